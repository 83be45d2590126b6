// How much of the attention of all heads some words hold.

const WAYS = {
  hand: say("your choice"),
  last: say("the last words"),
  first: say("the first and the last words"),
  best: say("the best words of each head"),
};

drawers.reading = {
  way: "hand",
  asked: data.tokens.length - 1,
  build({ numbers, values }) {
    const { cells, heads } = numbers();
    const all = values(cells);
    // What is before the first drawn word counts as one.
    this.words = [...(data.first ? [data.hidden] : []), ...drawn.map(wordAt)];
    const before = this.words.length - drawn.length;
    const startOf = (row) => (row * (row + 1)) / 2 + row * before;
    this.rowsOf = (query) => {
      const row = drawn.indexOf(query);
      return Array.from({ length: heads }, (_, head) => {
        const start = head * startOf(drawn.length) + startOf(row);
        return Array.from(all.subarray(start, start + before + row + 1));
      });
    };
    byId("reading-ways").append(
      ...Object.entries(WAYS).map(([way, name]) =>
        makeRadio("way", name, way, way === this.way, () => {
          this.way = way;
          this.draw();
        })
      )
    );
    const slide = byId("reading-count");
    slide.value = 3;
    slide.addEventListener("input", () => this.draw());
    this.columns = this.words.map((word, i) => {
      const button = document.createElement("button");
      button.append(makeElement("i", ""), makeElement("span", word), makeElement("em", ""));
      button.addEventListener("click", () => {
        if (this.way !== "hand") this.read = new Set(this.common);
        this.use("hand");
        if (!this.read.delete(i)) this.read.add(i);
        this.draw();
      });
      return button;
    });
    byId("reading-words").replaceChildren(...this.columns);
  },
  use(way) {
    this.way = way;
    byId("reading-ways").querySelector(`[value="${way}"]`).checked = true;
  },
  answer() {
    this.use("best");
    askAbout(this.asked);
  },
  draw() {
    const rows = this.rowsOf(chosen.query);
    const count = rows[0].length;
    this.read ??= new Set([count - 1]);
    const slide = byId("reading-count");
    slide.max = count;
    const n = Math.min(count, Number(slide.value));
    byId("reading-number").textContent = counted(n);
    slide.closest("label").classList.toggle("idle", this.way === "hand");
    const byHand = [...this.read].filter((key) => key < count);
    const keysOf = (row) => (this.way === "hand" ? byHand : chosenKeys(row, this.way, n));
    const read = rows.map(keysOf);
    this.columns.forEach((column, key) => {
      column.hidden = key >= count;
      const mean = rows.reduce((sum, row) => sum + (row[key] ?? 0), 0) / rows.length;
      const by = read.filter((keys) => keys.includes(key)).length / rows.length;
      column.style.setProperty("--share", mean);
      column.style.setProperty("--read", by);
      column.setAttribute("aria-pressed", by === 1);
      column.querySelector("em").textContent = percent(mean);
    });
    this.common = this.columns.flatMap((_, key) => (read.every((keys) => keys.includes(key)) ? [key] : []));
    const share = shareHeld(rows, keysOf);
    const number = this.way === "hand" ? byHand.length : n;
    nameRow("reading");
    byId("reading-read").textContent = say(
      "{number} of {count} words hold {share} of the attention of {heads} heads.",
      { number, count, share: percent(share), heads: rows.length }
    );
    announce();
  },
};
