// Less to keep, and attention moves: sets of keys and values that heads share, and one latent.

const LEAST_MOVED = 5e-7; // a smaller share is one of rounding
const SECONDS_TO_CHANGE = 0.9;

// The patterns of all heads in a row, with the share of its attention that moved below each.
class HeadRow {
  constructor(host) {
    this.shown = ownPatterns();
    this.heads = this.shown.map((_, head) => {
      const figure = makeElement("figure", "");
      const canvas = makeCanvas([drawn.length, drawn.length], "cells", say("head {head}", { head }));
      // What moved stands below the pattern, alone.
      const glowing = makeCanvas([drawn.length, drawn.length], "cells", say("attention that moved in head {head}", { head }));
      const caption = makeElement("figcaption", "");
      caption.append(makeElement("span", say("head {head}", { head })), makeElement("b", ""));
      figure.append(canvas, glowing, caption);
      return { figure, canvas, glowing, moved: caption.lastChild };
    });
    host.replaceChildren(...this.heads.map(({ figure }) => figure));
    host.closest(".part").style.setProperty("--heads", data.heads);
  }

  // Show other patterns of all heads; return words on how much attention moved.
  compare(patterns) {
    const shares = patterns.map((pattern, head) => movedInPattern(ownPatterns()[head], pattern));
    shares.forEach((share, head) => {
      this.heads[head].moved.textContent = share > LEAST_MOVED ? percent(share) : "";
    });
    this.change(patterns);
    this.moved = shares.reduce((sum, each) => sum + each, 0) / shares.length;
    if (this.moved <= LEAST_MOVED) return say("no attention moves");
    return say("{share} of the attention moves to other words", { share: percent(this.moved) });
  }

  // Let the patterns on screen become others.
  change(patterns) {
    const [before, start] = [this.shown, performance.now()];
    cancelAnimationFrame(this.frame);
    const step = (now) => {
      const done = lessMotion.matches ? 1 : Math.min(1, (now - start) / SECONDS_TO_CHANGE / 1000);
      const eased = done * done * (3 - 2 * done);
      this.shown = patterns.map((pattern, head) =>
        pattern.map((row, query) => row.map((weight, key) => before[head][query][key] + eased * (weight - before[head][query][key])))
      );
      this.shown.forEach((pattern, head) => {
        const { canvas, glowing } = this.heads[head];
        const own = ownPatterns()[head];
        paintPattern(canvas, pattern);
        paintPattern(glowing, pattern.map((row, query) => row.map((weight, key) => Math.abs(weight - own[query][key]))), "moved");
      });
      if (done < 1) this.frame = requestAnimationFrame(step);
    };
    step(start);
  }
}

// A plate of the drawn rows of one set of a tensor (position, set, channel).
function makePlate(tensor, set, name, role) {
  const canvas = makeCanvas([drawn.length, tensor.shape[2]], `plate ${role}`, NAMES[role]);
  paintPlate(canvas, name, tensor, set);
  return canvas;
}

const keptNumbers = (count) => say("{count} numbers kept for each word and layer", { count: counted(count) });

drawers.sets = {
  sets: data.trained,

  // The keys and values of so many sets, and what heads that share them look at.
  get shared() {
    const { sets } = this;
    if (this.made?.sets !== sets) {
      const fewer = sets < data.trained;
      const [k, v] = [layer.k, layer.v].map((tensor) => (fewer ? pool(tensor, sets) : tensor));
      this.made = { sets, k, v, patterns: fewer ? patternsWith(k) : ownPatterns() };
    }
    return this.made;
  },

  // What it is called when heads share so many.
  get named() {
    if (this.sets === 1) return say("This is multi-query attention (MQA).");
    const own = this.sets === data.heads;
    return own ? say("This is multi-head attention (MHA).") : say("This is grouped-query attention (GQA).");
  },

  build() {
    byId("sets-choice").append(
      ...data.sets.map((sets) => {
        const count = counted(sets);
        return makeRadio("sets", sets === data.trained ? say("{count}, as trained", { count }) : count, sets, sets === this.sets, () => {
          this.sets = sets;
          redraw();
        });
      })
    );
    this.row = new HeadRow(byId("sets-patterns"));
  },

  answer() {
    this.sets = 1;
  },

  draw() {
    byId("sets-choice").querySelector(`[value="${this.sets}"]`).checked = true;
    const { k, v, patterns } = this.shared;
    // A plate of each set stands over the heads that share it.
    byId("sets-plates").replaceChildren(
      ...Array.from({ length: this.sets }, (_, set) => {
        const own = Math.floor((set * k.shape[1]) / this.sets); // more sets than the model has are copies
        const box = makeElement("div", "");
        box.style.gridColumn = `span ${data.heads / this.sets}`;
        box.append(makePlate(k, own, "k", "key"), makePlate(v, own, "v", "value"));
        return box;
      })
    );
    const moved = this.row.compare(patterns);
    const kept = keptNumbers(this.sets * (k.shape[2] + v.shape[2]));
    const trained = this.sets === data.trained && this.sets < data.heads ? say("This is how the model was trained.") : "";
    byId("sets-read").textContent = sentences(say("{kept}; {moved}.", { kept, moved }), this.named, trained);
    announce();
  },
};

drawers.latent = {
  build(_, file) {
    this.parts = read(file);
    const { pairs, first } = file.numbers();
    const { cos, sin, k } = this.parts;
    this.given = { rotation: cos && { cos, sin, pairs }, own: k, first };
    this.rank = byId("latent-rank");
    this.rank.max = this.rank.value = this.parts.latent.shape[1];
    this.rank.addEventListener("input", () => this.draw());
    this.row = new HeadRow(byId("latent-patterns"));
    const plate = makeElement("div", "");
    plate.style.gridColumn = "1 / -1";
    byId("latent-plate").append(plate);
    this.plate = plate;
  },

  answer() {
    this.rank.value = this.rank.max;
  },

  draw() {
    const rank = Number(this.rank.value);
    const { latent, W_UK } = this.parts;
    byId("latent-count").textContent = counted(rank);
    const shape = [drawn.length, latent.shape[1]];
    const canvas = makeCanvas(shape, "plate latent", say("one latent (MLA)"));
    paint(canvas, shape, (row, channel) => (channel < rank ? latent.data[drawn[row] * shape[1] + channel] : null), normOf("latent"));
    this.plate.replaceChildren(canvas);
    const moved = this.row.compare(patternsWith(keysOfLatent(latent, W_UK, rank, this.given)));
    byId("latent-read").textContent = say("{kept}; {moved}.", { kept: keptNumbers(rank), moved });
    announce();
  },
};
