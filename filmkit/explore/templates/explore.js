// What the parts of the page share: what is chosen, the theme, and numbers that are loaded when a
// part comes into view.

// The position of the word that looks, counted from the beginning of the prompt, and the head.
const chosen = { query: data.query, head: data.head };
const drawn = data.tokens.map((_, position) => position).slice(data.first);
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
const wordAt = (position) => data.tokens[position];

// Parts of the page by name, each with "draw", which draws it anew.
const drawers = {};
const ready = new Set();

const redraw = () => ready.forEach((name) => drawers[name].draw());

function choose(changes) {
  Object.assign(chosen, changes);
  const radio = document.querySelector(`#query input[value="${chosen.query}"]`);
  radio.checked = true;
  const [words, word] = [byId("query"), radio.parentElement];
  // To its middle, where the words have no room; the page itself must not move below the hand.
  words.scrollLeft = word.offsetLeft - words.offsetLeft - (words.clientWidth - word.offsetWidth) / 2;
  redraw();
}

// Themes.

const root = document.documentElement;
const themeName = () => (root.classList.contains("light") ? "light" : "dark");
const normOf = (name) => data.norms[themeName()][name];

function useTheme(light) {
  root.classList.toggle("light", light);
  byId("theme").setAttribute("aria-pressed", light);
  redraw();
}

// Numbers: a script of its own for each file, since a page from disk may not read other files.

const files = new Map(); // by name: what has arrived, or its promise
const arrivals = {};

function receive(file) {
  const reader = new CellReader({ arrays: file.arrays });
  const floats = (array) => {
    const view = reader.values(array);
    return Float64Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  };
  const tensor = ({ array, shape }) => ({ data: floats(array), shape });
  arrivals[file.name]({ numbers: () => file.numbers[themeName()], values: (array) => reader.values(array), tensor });
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
  if (!files.has(name)) {
    const arrival = new Promise((resolve) => (arrivals[name] = resolve));
    files.set(name, loadScript(`${name}.js`).then(() => arrival));
  }
  return files.get(name);
}

// The layer as the modules of arithmetic take it.
let layer = null;

function readLayer({ numbers, tensor }) {
  const { scale, cap, window, tensors } = numbers();
  const all = Object.fromEntries(Object.entries(tensors).map(([name, each]) => [name, tensor(each)]));
  layer ??= { ...all, scoring: { scale, cap, window, bias: all.bias, sinks: all.sinks } };
}

const setOf = (head) => Math.floor((head * layer.k.shape[1]) / layer.q.shape[1]);
const rowOf = (query = chosen.query, temperature = 1) =>
  attendRow(layer.q, layer.k, layer.scoring, chosen.head, query, temperature);

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
    drawers[name].draw();
    section.dataset.state = "ready";
  } catch (error) {
    section.dataset.state = "failed";
    section.append(makeElement("p", say("notLoaded", { what: error.message })));
  }
}

// A number with a sign and so many digits after the point.
function fixed(value, digitsAfter = 2) {
  return value.toFixed(digitsAfter).replace("-", "−").replace(".", POINT);
}

const counted = (value) => new Intl.NumberFormat(root.lang).format(value);
