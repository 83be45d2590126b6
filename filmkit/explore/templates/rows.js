// One row of attention: the sum behind a score, the softmax, and the mix of values.

// The dot product of a query and a key, channel by channel.

drawers.dot = {
  key: drawn[0], // and not the strongest, for which the page asks below
  shows: "scores",
  build() {
    const width = layer.q.shape[2];
    this.matrix = makeMatrix(byId("dot-matrix"), {
      positions: drawn,
      label: NAMES[this.shows],
      onChoose: (query, key) => {
        this.key = key;
        choose({ query });
      },
      read: byId("dot-read"),
    });
    this.strips = ["query", "key"].map((role) => makeStrip(role, NAMES[role]));
    this.bars = makeElement("div", "");
    this.bars.className = "bars-of-channels";
    this.bars.append(...Array.from({ length: width }, () => makeElement("i", "")));
    const lines = [...this.strips.map(({ canvas }) => canvas), this.bars];
    const names = ["query", "key", "product"].map((role) => makeElement("span", NAMES[role]));
    byId("dot-channels").replaceChildren(...lines.flatMap((line, i) => [names[i], line]));
    this.count = byId("dot-count");
    this.count.max = this.count.value = width;
    this.count.addEventListener("input", () => this.draw());
    byId("dot-channels").addEventListener("pointermove", (event) => {
      this.count.value = Math.ceil(width * Math.min(1, Math.max(0, pointerOn(event, this.bars).x)));
      this.draw();
    });
  },
  draw() {
    const { query, head } = chosen;
    const row = rowOf();
    if (this.key === null || this.key > query) this.key = strongestOf(row.weights);
    const rowsOf = new Map(drawn.map((position) => [position, this.cellsOf(rowOf(position))]));
    this.matrix.draw((asking, key) => rowsOf.get(asking)[key], normOf(this.shows), query, this.key);
    const asked = channels(layer.q, query, head);
    const offered = channels(layer.k, this.key, setOf(head));
    this.strips[0].draw(asked, normOf("q"));
    this.strips[1].draw(offered, normOf("k"));
    const parts = products(asked, offered);
    const most = Math.max(...parts.map(Math.abs)) || 1;
    const added = Number(this.count.value);
    [...this.bars.children].forEach((bar, channel) => {
      bar.style.setProperty("--size", Math.abs(parts[channel]) / most);
      bar.className = parts[channel] < 0 ? "below" : "above";
      bar.classList.toggle("waits", channel >= added);
    });
    const last = added - 1;
    const words = { query: wordAt(query), key: wordAt(this.key) };
    byId("dot-read").textContent = this.reading({ ...words, weight: row.weights[this.key] });
    const sum = runningSums(asked, offered)[last];
    const all = added === parts.length;
    byId("dot-total").textContent = all
      ? this.result(sum, unmasked(row.scores[this.key]))
      : say("{added} of {count} channels: {sum}. The last one adds {query} × {key} = {product}.", {
          added,
          count: parts.length,
          sum: fixed(sum),
          query: fixed(asked[last]),
          key: fixed(offered[last]),
          product: fixed(parts[last]),
        });
    announce();
  },
  cellsOf: (row) => row.scores.map(unmasked),
  reading: (words) => say("The query of “{query}” meets the key of “{key}”", words),
  // What becomes of the whole sum.
  result(sum, score) {
    if (score === null) return say("The sum is {sum}; this model does not look back that far.", { sum: fixed(sum) });
    const { scale, bias, cap } = layer.scoring;
    const numbers = { sum: fixed(sum), scale: digits(scale), score: fixed(score) };
    return bias || cap
      ? say("The sum is {sum}; times {scale}, and with what this model changes in its scores, the score is {score}.", numbers)
      : say("The sum is {sum}; times {scale}, the score is {score}.", numbers);
  },
};

// A score; null if a key lies before the window of the one that asks.
const unmasked = (score) => (Number.isFinite(score) ? score : null);

// The drawn word with the most weight.
function strongestOf(weights) {
  return drawn.filter((position) => position < weights.length)
    .reduce((best, position) => (weights[position] > weights[best] ? position : best), drawn[0]);
}

// What is before the first drawn word counts as one.
function hiddenShare(weights) {
  return weights.slice(0, data.first).reduce((sum, weight) => sum + weight, 0);
}

// The softmax, with its temperature.

drawers.softmax = {
  build() {
    byId("temperature").addEventListener("input", redraw); // what is passed on follows
  },
  answer() {
    askAbout(this.asked);
  },
  asked: data.query,
  get temperature() {
    return 2 ** (Number(byId("temperature").value) / 5);
  },
  draw() {
    const { temperature } = this;
    byId("temperature-read").textContent = fixed(temperature);
    byId("temperature").setAttribute("aria-valuetext", fixed(temperature));
    const { scores, weights } = rowOf(chosen.query, temperature);
    const line = (word, score, weight) => {
      const row = makeElement("div", "");
      row.append(makeElement("span", word), makeElement("b", score === null ? "" : fixed(score)), makeElement("i", ""), makeElement("em", percent(weight)));
      row.style.setProperty("--share", weight);
      return row;
    };
    const lines = drawn.map((position) => line(wordAt(position), unmasked(scores[position]), weights[position] ?? 0));
    lines.forEach((row, i) => row.classList.toggle("later", drawn[i] > chosen.query));
    if (data.first) lines.unshift(line(data.hidden, data.first === 1 ? scores[0] : null, hiddenShare(weights)));
    byId("softmax-bars").replaceChildren(...lines);
    nameRow("softmax");
    announce();
  },
};

// The weighted mix of the values.

drawers.mix = {
  off: new Set(),
  build() {
    const lines = drawn.map((position) => {
      const line = makeElement("div", "");
      const button = makeElement("button", wordAt(position));
      button.addEventListener("click", () => {
        if (!this.off.delete(position)) this.off.add(position);
        this.draw();
      });
      const strip = makeStrip("value", `${NAMES.value}: ${wordAt(position)}`);
      line.append(button, makeElement("em", ""), strip.canvas);
      return { position, line, button, strip };
    });
    this.lines = lines;
    this.sum = makeStrip("z", say("sum"));
    const last = makeElement("div", "");
    last.className = "sum-of-rows";
    last.append(makeElement("b", say("sum")), makeElement("em", ""), this.sum.canvas);
    this.last = last;
    byId("mix-rows").replaceChildren(...lines.map(({ line }) => line), last);
  },
  draw() {
    const { query, head } = chosen;
    const { temperature } = drawers.softmax;
    const { weights } = rowOf(query, temperature);
    const kept = weights.map((weight, position) => (this.off.has(position) ? 0 : weight));
    for (const { position, line, button, strip } of this.lines) {
      line.classList.toggle("later", position > query);
      const on = !this.off.has(position);
      button.setAttribute("aria-pressed", on);
      line.classList.toggle("off", !on);
      line.style.setProperty("--share", on ? weights[position] ?? 0 : 0);
      line.querySelector("em").textContent = percent(weights[position] ?? 0);
      strip.draw(channels(layer.v, position, setOf(head)), normOf("v"));
    }
    const all = mix(weights, layer.v, setOf(head));
    const some = mix(kept, layer.v, setOf(head));
    this.sum.draw(some, normOf("z"));
    const share = kept.reduce((sum, weight) => sum + weight, 0);
    this.last.querySelector("em").textContent = percent(share);
    const off = Math.hypot(...all.map((value, i) => value - some[i])) / (Math.hypot(...all) || 1);
    const missing = this.off.size
      ? say("Without them, the sum is off by {off}. This is not just their share: values differ in size, too.", { off: percent(off) })
      : data.first ? say("Not drawn, but part of the sum: {what}, {share}.", { share: percent(hiddenShare(weights)), what: data.hidden }) : "";
    const other = say("At temperature {temperature}, not the model’s own of 1.", { temperature: fixed(temperature) });
    byId("mix-read").textContent = sentences(temperature === 1 ? "" : other, missing);
    nameRow("mix");
    announce();
  },
};
