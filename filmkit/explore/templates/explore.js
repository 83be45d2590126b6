// What the parts of the page share: what is chosen, the theme, and numbers that are loaded when a
// part comes into view.

/**
 * The page's data, as filmkit/explore/page.py writes it.
 * @typedef {object} PageData
 * @property {string[]} tokens of the prompt
 * @property {number} first position of the first one that is drawn
 * @property {string} hidden a name for those before; empty if all are drawn
 * @property {number} head that is chosen at first
 * @property {number} query position of the word that is chosen at first
 * @property {number} heads how many a layer has
 * @property {number[]} sets how many sets of keys and values they may share, the most first
 * @property {number} trained how many it has
 * @property {Object<string, Object<string, Norm>>} norms by theme, and by what is drawn
 * @property {Object<string, string>} maps base64 of the 256 colours of each map
 * @property {string} library file that draws in space; empty if it stands in the page
 * @property {?boolean} light whether it is light; null if as the reader's system is
 * @property {Object<string, NumbersFile>} files those that stand in the page, by their names
 * @property {Object<string, string[]>} needs names of the files of numbers that each part needs
 * @property {number} [layer] in a notebook: the layer that is shown,
 * @property {boolean} [chooses_head] and whether a head is chosen from a list
 *
 * A file of numbers: by theme, what filmkit/explore/parts.py returns; arrays are numbered there.
 * @typedef {{ name: string, numbers: Object<string, object>, arrays: string[] }} NumbersFile
 *
 * One that has arrived.
 * @typedef {object} Numbers
 * @property {() => any} numbers for the theme in use, as filmkit/explore/parts.py returns them
 * @property {(array: number) => Float32Array} values
 * @property {(named: { array: number, shape: number[] }) => Tensor} tensor
 *
 * A part of the page: what its files have brought is built in once, and drawn after every change.
 * @typedef {{ build: (...files: Numbers[]) => (void | Promise<void>), draw: () => void, [own: string]: any }} Drawer
 */

// The position of the word that looks, counted from the beginning of the prompt, and the head.
const chosen = { query: data.query, head: data.head };
const drawn = data.tokens.map((_, position) => position).slice(data.first);
const wordAt = (position) => data.tokens[position];

/** @type {Object<string, string>} what is drawn, by its name in scripts and styles */
const NAMES = {
  query: say("query"),
  key: say("key"),
  value: say("value"),
  product: say("products"),
  scores: say("scores"),
  pattern: say("attention pattern"),
};

/** @type {Object<string, Drawer>} by the names of their parts */
const drawers = {};
const ready = new Set();

const redraw = () => ready.forEach((name) => drawers[name].draw());

let byHand = false; // whether the reader has chosen a word or a head

function choose(changes) {
  byHand = true;
  Object.assign(chosen, changes);
  showChosen();
  redraw();
}

// The word that a question was about, unless the reader has chosen another one.
function askAbout(query) {
  if (byHand) return;
  choose({ query });
  byHand = false;
}

// Whose row a part shows; and a way back to the word that its question was about.
function nameRow(part) {
  const { asked } = drawers[part];
  const host = byId(`${part}-row`);
  host.replaceChildren(say("How “{query}” shares out its attention", { query: wordAt(chosen.query) }));
  if (!answered.has(part)) return;
  const back = makeElement("button", say("“{query}”, as in the question", { query: wordAt(asked) }));
  back.addEventListener("click", () => {
    choose({ query: asked });
    /** @type {HTMLElement} */ (document.querySelector("#query :checked")).focus({ preventScroll: true }); // the button is gone
  });
  back.classList.toggle("later", chosen.query === asked); // it keeps its room
  host.append(" ", back);
}

// What is chosen, in the bar at the top, which scrolls to the side and never moves the page.
function showChosen() {
  const radio = document.querySelector(`#query input[value="${chosen.query}"]`);
  radio.checked = true;
  byId("chosen-head").textContent = data.heads > 1 ? say("head {head}", chosen) : "";
  const [bar, { offsetLeft, offsetWidth }] = [byId("query"), radio.parentElement];
  // One pixel more, as the browser rounds them.
  bar.scrollLeft = Math.min(offsetLeft, Math.max(bar.scrollLeft, offsetLeft + offsetWidth + 1 - bar.clientWidth));
}

// Themes.

const root = document.documentElement;
const themeName = () => (root.classList.contains("light") ? "light" : "dark");
const normOf = (name) => data.norms[themeName()][name];

function useTheme(light) {
  root.classList.toggle("light", light);
  byId("theme").textContent = light ? say("Dark") : say("Light");
  redraw();
}

// Numbers: a script of its own for each file, since a page from disk may not read other files.

const files = new Map(); // by name, a promise of what arrives
const arrivals = {}; // by name, what keeps it

/**
 * @param {NumbersFile} file
 * @returns {Numbers}
 */
function readerOf(file) {
  const reader = new CellReader({ arrays: file.arrays });
  const values = (array) => reader.values(array);
  const tensor = ({ array, shape }) => ({ data: Float64Array.from(values(array)), shape });
  return { numbers: () => file.numbers[themeName()], values, tensor };
}

/**
 * Each file of numbers calls it.
 * @param {NumbersFile} file
 */
// oxlint-disable-next-line no-unused-vars
function receive(file) {
  arrivals[file.name](readerOf(file));
}

function loadScript(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = () => reject(new Error(address));
    document.head.append(script);
  });
}

function numbersOf(name) {
  if (name in data.files) return readerOf(data.files[name]);
  if (!files.has(name)) {
    const arrival = new Promise((resolve) => (arrivals[name] = resolve));
    files.set(name, loadScript(`${name}.js`).then(() => arrival));
  }
  return files.get(name);
}

/** @type {{ q: Tensor, k: Tensor, v: Tensor, scoring: Scoring }} as arithmetic.js takes them */
let layer = null;

/** All tensors of a file by their names. */
const read = ({ numbers, tensor }) =>
  Object.fromEntries(Object.entries(numbers().tensors).map(([name, each]) => [name, tensor(each)]));

function readLayer(file) {
  const { scale, cap, window } = file.numbers();
  const { q, k, v, bias, sinks } = read(file);
  layer ??= { q, k, v, scoring: { scale, cap, window, bias, sinks } };
}

const setOf = (head, k = layer.k) => Math.floor((head * k.shape[1]) / layer.q.shape[1]);
const rowOf = (query = chosen.query, temperature = 1) =>
  attendRow(layer.q, layer.k, layer.scoring, chosen.head, query, temperature);

/** The patterns of all heads, with the model's keys or others. */
const patternsWith = (k) => Array.from({ length: data.heads }, (_, head) => attend(layer.q, k, layer.scoring, head));
let modelPatterns = null;
const ownPatterns = () => (modelPatterns ??= patternsWith(layer.k));

// Parts whose answer is shown: they begin with what the film's question was about.
const answered = new Set();

function answer(name) {
  drawers[name].answer?.();
  drawers[name].draw();
}

async function show(section) {
  const name = section.dataset.part;
  if (ready.has(name) || section.dataset.state) return;
  section.dataset.state = "loading";
  try {
    const needed = data.needs[name];
    const arrived = await Promise.all(needed.map(numbersOf));
    needed.forEach((file, i) => file === "layer" && readLayer(arrived[i]));
    await drawers[name].build(...arrived);
    ready.add(name);
    if (answered.has(name)) answer(name);
    else drawers[name].draw();
    section.dataset.state = "ready";
  } catch (error) {
    section.dataset.state = "failed";
    section.append(makeElement("p", say("{what} could not be loaded; is it beside this page?", { what: error.message })));
  }
}

/** A radio button in its label. */
function makeRadio(name, text, value, checked, onChoose) {
  const label = makeElement("label", text);
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name, value, checked });
  input.addEventListener("change", onChoose);
  label.prepend(input);
  return label;
}

// A number with a sign and so many digits after the point.
function fixed(value, digitsAfter = 2) {
  return value.toFixed(digitsAfter).replace("-", "−").replace(".", POINT);
}

const sentences = (...texts) => texts.filter(Boolean).join(" ");

// A number with its thousands set apart, and one digit after the point at most; one below 1 has two
// significant digits, so that little is not written as nothing.
const counted = (value) =>
  new Intl.NumberFormat(
    root.lang,
    Math.abs(value) < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 1 }
  ).format(value);
