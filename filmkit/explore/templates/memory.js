// What a cache takes of a GPU, in each kind of cache, and how long it takes to be read.

const SCHEMES = {
  mha: say("keys and values for each head (MHA)"),
  mla: say("a latent and a rotated key (MLA)"),
  gqa: say("shared by groups of heads (GQA)"),
  mqa: say("one set for all heads (MQA)"),
};
const BYTES = 2; // of a number of 16 bits

// What was published where, as a link to it if there is a page.
function cited({ source, address }) {
  if (!address) return source;
  return Object.assign(makeElement("a", source), { href: address, target: "_blank", rel: "noreferrer" });
}

drawers.memory = {
  build({ numbers }) {
    this.published = numbers();
    const { models, gpus } = this.published;
    for (const [id, options] of [["memory-model", models], ["memory-gpu", gpus]]) {
      byId(id).replaceChildren(...options.map(({ name }, i) => Object.assign(makeElement("option", name), { value: i })));
      byId(id).addEventListener("input", () => this.draw());
    }
    byId("memory-model").value = models.findIndex(({ name }) => name === this.published.model);
    byId("memory-gpu").value = gpus.findIndex(({ name }) => name === this.published.gpu);
    byId("memory-tokens").value = 40;
    byId("memory-tokens").addEventListener("input", () => this.draw());
    this.boxes = Object.entries(SCHEMES).map(([scheme, name]) => {
      const box = makeElement("figure", "");
      const glass = makeElement("div", "");
      glass.className = `glass ${scheme}`;
      glass.append(makeElement("i", ""));
      box.append(makeElement("b", name), glass, makeElement("p", ""), makeElement("small", ""));
      return box;
    });
    byId("memory-boxes").replaceChildren(...this.boxes);
  },
  draw() {
    const model = this.published.models[byId("memory-model").value];
    const gpu = this.published.gpus[byId("memory-gpu").value];
    const tokens = Number((1000 * 10 ** (Number(byId("memory-tokens").value) / 20)).toPrecision(1));
    byId("memory-count").textContent = counted(tokens);
    byId("memory-tokens").setAttribute("aria-valuetext", counted(tokens));
    Object.keys(SCHEMES).forEach((scheme, i) => {
      const each = BYTES * cacheNumbers(model, scheme);
      const taken = each * tokens;
      const [box, own] = [this.boxes[i], scheme === model.scheme];
      box.classList.toggle("own", own);
      box.hidden = scheme === "gqa" && (model.sets === model.heads || model.sets === 1);
      box.classList.toggle("full", taken > gpu.bytes);
      box.style.setProperty("--taken", Math.min(1, taken / gpu.bytes));
      const needed = Math.ceil(taken / gpu.bytes);
      box.style.setProperty("--gpus", needed);
      box.style.setProperty("--filled", needed > 1 ? 0.9 : 1); // the rest is the gap between two
      const takes = { gigabytes: counted(taken / 1e9), gpus: counted(needed) };
      box.querySelector("p").textContent = needed > 1 ? say("{gigabytes} GB: {gpus} GPUs", takes) : say("{gigabytes} GB", takes);
      box.querySelector("small").textContent = say(
        "An empty GPU is full after {tokens} tokens. Reading this cache takes {time} ms for each new token.",
        { tokens: counted(Math.floor(gpu.bytes / each)), time: counted((1000 * taken) / gpu.speed) }
      );
    });
    const kind = model.latent.length ? "" : say("This model has no latent: the one shown here is hypothetical, in DeepSeek’s proportions.");
    const sources = { model: cited(model), gpu: cited(gpu) };
    byId("memory-source").replaceChildren(
      ...say("Sizes: {model}. Memory: {gpu}.").split(/\{(\w+)\}/).map((text, i) => (i % 2 ? sources[text] : text)),
      ` ${sentences(kind, say("This is the cache alone, in numbers of 16 bits; the weights need memory, too."))}`
    );
    announce();
  },
};
