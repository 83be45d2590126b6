// Heads that share keys and values: with fewer sets, attention moves.

const LEAST_MOVED = 5e-7; // a smaller share is one of rounding
const SECONDS_TO_CHANGE = 0.9;

drawers.sets = {
  build() {
    this.sets = data.sets[0];
    byId("sets-choice").append(
      ...data.sets.map((sets) =>
        makeRadio("sets", counted(sets), sets, sets === this.sets, () => {
          this.sets = sets;
          this.draw();
        })
      )
    );
    this.shown = ownPatterns();
    this.heads = this.shown.map((_, head) => {
      const figure = makeElement("figure", "");
      const canvas = makeCanvas([drawn.length, drawn.length], "cells", say("head", { head }));
      figure.append(canvas, makeElement("figcaption", ""));
      return { figure, canvas };
    });
    byId("sets-patterns").replaceChildren(...this.heads.map(({ figure }) => figure));
    byId("sets").style.setProperty("--heads", data.heads);
  },

  draw() {
    const [k, v] = [layer.k, layer.v].map((tensor) => (this.sets < tensor.shape[1] ? pool(tensor, this.sets) : tensor));
    this.drawPlates(k, v);
    const patterns = patternsWith(k);
    const shares = patterns.map((pattern, head) => movedInPattern(ownPatterns()[head], pattern));
    shares.forEach((share, head) => {
      const caption = makeElement("span", say("head", { head }));
      this.heads[head].figure.lastChild.replaceChildren(caption, makeElement("b", share > LEAST_MOVED ? percent(share) : ""));
    });
    this.change(patterns);
    const share = shares.reduce((sum, each) => sum + each, 0) / shares.length;
    const kept = say("keptNumbers", { count: counted(this.sets * (k.shape[2] + v.shape[2])) });
    const more = share > LEAST_MOVED ? say("moves", { share: percent(share) }) : WORDS.nothingMoves;
    byId("sets-read").textContent = say("apart", { some: kept, more });
  },

  // A plate of keys and one of values for each set, over the heads that share it.
  drawPlates(k, v) {
    const plates = Array.from({ length: this.sets }, (_, set) => {
      const box = makeElement("div", "");
      box.style.gridColumn = `span ${data.heads / this.sets}`;
      for (const [tensor, name, role] of [[k, "k", "key"], [v, "v", "value"]]) {
        // More sets than the model has are copies of its own.
        const own = Math.floor((set * tensor.shape[1]) / this.sets);
        const canvas = makeCanvas([drawn.length, tensor.shape[2]], `plate ${role}`, WORDS[role]);
        paintPlate(canvas, name, tensor, own);
        box.append(canvas);
      }
      return box;
    });
    byId("sets-plates").replaceChildren(...plates);
  },

  // Let the patterns on screen become others.
  change(patterns) {
    const [before, start] = [this.shown, performance.now()];
    cancelAnimationFrame(this.frame);
    const step = (now) => {
      const done = lessMotion.matches || before === patterns ? 1 : Math.min(1, (now - start) / SECONDS_TO_CHANGE / 1000);
      const eased = done * done * (3 - 2 * done);
      this.shown = patterns.map((pattern, head) => pattern.map((row, i) => row.map((weight, key) => before[head][i][key] + eased * (weight - before[head][i][key]))));
      this.shown.forEach((pattern, head) => paintPattern(this.heads[head].canvas, pattern));
      if (done < 1) this.frame = requestAnimationFrame(step);
    };
    step(start);
  },
};
