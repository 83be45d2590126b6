// A picture in a notebook: what is chosen in it goes to Python, and what Python chooses comes back.

// The pattern of a head: the page to explore has its scores instead.
drawers.pattern = {
  ...drawers.dot,
  key: null,
  shows: "pattern",
  cellsOf: (row) => row.weights,
  reading: ({ weight, ...words }) => say("Head {head}: “{query}” gives “{key}” {value}.", { ...words, head: chosen.head, value: percent(weight) }),
};

const parts = Object.keys(data.needs);

drawers.heads.widest = 2.4; // a cell is not high

// The heads of a notebook are those that share sets below them.
if (parts.includes("sets")) {
  Object.defineProperty(drawers.heads, "shown", { get: () => drawers.sets.shared });
  drawers.heads.about = () => (drawers.sets.sets < data.trained ? drawers.sets.named : "");
}

const aboutHead = () => ({ layer: data.layer, head: chosen.head, query: chosen.query, query_word: wordAt(chosen.query) });
const aboutCell = (key) => ({ ...aboutHead(), key, key_word: wordAt(key) });

/**
 * What each part tells of what is chosen in it, and how it takes a choice of Python's; the names are
 * those that filmkit/explore/widget.py writes down, which computes the same.
 * @type {Object<string, { value: () => object, take: (value: any) => void }>}
 */
const told = {
  pattern: {
    value() {
      const { key } = drawers.pattern;
      const { scores, weights } = rowOf();
      return { ...aboutCell(key), score: unmasked(scores[key]), weight: weights[key] };
    },
    take({ key = drawers.pattern.key }) {
      drawers.pattern.key = key;
    },
  },
  softmax: {
    value() {
      const { temperature } = drawers.softmax;
      const { scores, weights } = rowOf(chosen.query, temperature);
      return { ...aboutHead(), temperature, scores: scores.map(unmasked), weights };
    },
    take({ temperature = drawers.softmax.temperature }) {
      byId("temperature").value = Math.round(5 * Math.log2(temperature));
    },
  },
  mix: {
    value: () => ({ off: [...drawers.mix.off].sort((a, b) => a - b) }),
    take({ off = drawers.mix.off }) {
      drawers.mix.off = new Set(off);
    },
  },
  heads: {
    value() {
      const { key } = drawers.heads;
      return { ...aboutCell(key), weight: drawers.heads.shown.patterns[chosen.head][chosen.query][key] };
    },
    take({ key = drawers.heads.key }) {
      drawers.heads.key = key;
    },
  },
  sets: {
    value: () => ({ sets: drawers.sets.sets, moved: drawers.sets.row.moved }),
    take({ sets = drawers.sets.sets }) {
      drawers.sets.sets = sets;
    },
  },
  rank: {
    value() {
      const { layer, head, sizes, latents } = rank.picture;
      const measured = latents.map(({ way, rungs }) => [way, rungs[rank.size].measured]);
      return { layer, head, numbers: sizes[rank.size], ...Object.fromEntries(measured) };
    },
    take({ numbers = rank.picture.sizes[rank.size] }) {
      turnRank((byId("rank-dial").value = rank.picture.sizes.indexOf(numbers)));
    },
  },
};

const heads = byId("head");
if (data.chooses_head) {
  heads.hidden = false;
  byId("chosen-head").hidden = true;
  heads.append(...Array.from({ length: data.heads }, (_, head) => Object.assign(makeElement("option", say("head {head}", { head })), { value: head })));
  heads.addEventListener("input", () => choose({ head: Number(heads.value) }));
}

// Each part is built at the beginning: a frame does not know what its notebook shows of it. The last
// one is the first, as the heads show what the sets below them give.
const built = (async () => {
  for (const part of [...document.querySelectorAll(".part")].reverse()) await show(part);
})();

/** @type {?MessagePort} */
let notebook = null;
let last = ""; // what was told last
let answers = 0; // the number of the notebook's choice that is being answered; 0 for a hand's own

function tell() {
  const value = Object.assign({}, ...parts.map((name) => told[name].value()));
  heads.value = chosen.head;
  const text = JSON.stringify(value);
  if (notebook && text !== last) notebook.postMessage({ value, answers });
  last = text;
  answers = 0;
}

// Not before all parts are drawn: a change may be drawn in several.
let waiting = false;
document.addEventListener("choice", async () => {
  if (waiting) return;
  waiting = true;
  await built;
  waiting = false;
  tell();
});

const tellHeight = () => notebook?.postMessage({ height: Math.ceil(root.getBoundingClientRect().height) });
new ResizeObserver(tellHeight).observe(root);

// The frame's holder, and no one else, hands over a port for what passes between the two.
addEventListener("message", async (event) => {
  const [port] = event.ports;
  if (event.source !== parent || !port) return;
  await built;
  port.onmessage = ({ data: { turn, value: { query = chosen.query, head = chosen.head, ...value } } }) => {
    last = ""; // what Python chooses is answered, even if it changes nothing
    answers = turn;
    // First comes what Python has chosen so far: only then is anything told.
    if (notebook !== port) {
      notebook = port;
      tellHeight();
    }
    parts.forEach((name) => told[name].take(value));
    choose({ query, head });
  };
});
