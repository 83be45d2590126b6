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
  showChosen();
  redraw();
}

// What is chosen, in the bar at the top, which scrolls to the side and never moves the page.
function showChosen() {
  const radio = document.querySelector(`#query input[value="${chosen.query}"]`);
  radio.checked = true;
  const [bar, { offsetLeft, offsetWidth }] = [byId("query"), radio.parentElement];
  bar.scrollLeft = Math.min(offsetLeft, Math.max(bar.scrollLeft, offsetLeft + offsetWidth - bar.clientWidth));
  byId("chosen-head").textContent = data.heads > 1 ? say("head", chosen) : "";
}

// Themes.

const root = document.documentElement;
const themeName = () => (root.classList.contains("light") ? "light" : "dark");
const normOf = (name) => data.norms[themeName()][name];

function useTheme(light) {
  root.classList.toggle("light", light);
  byId("theme").textContent = light ? WORDS.dark : WORDS.light;
  redraw();
}

// Numbers: a script of its own for each file, since a page from disk may not read other files.

const files = new Map(); // by name: what has arrived, or its promise
const arrivals = {};

/**
 * Each file of numbers calls it.
 * @param {{ name: string, numbers: Object<string, object>, arrays: string[] }} file by theme, the
 *   numbers that filmkit/explore/parts.py returns; arrays are numbered there
 */
// oxlint-disable-next-line no-unused-vars
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

const read = ({ numbers, tensor }) =>
  Object.fromEntries(Object.entries(numbers().tensors).map(([name, each]) => [name, tensor(each)]));

function readLayer(file) {
  const { scale, cap, window } = file.numbers();
  const all = read(file);
  layer ??= { ...all, scoring: { scale, cap, window, bias: all.bias, sinks: all.sinks } };
}

const setOf = (head) => Math.floor((head * layer.k.shape[1]) / layer.q.shape[1]);
const rowOf = (query = chosen.query, temperature = 1) =>
  attendRow(layer.q, layer.k, layer.scoring, chosen.head, query, temperature);

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
    section.append(makeElement("p", say("notLoaded", { what: error.message })));
  }
}

// A number with a sign and so many digits after the point.
function fixed(value, digitsAfter = 2) {
  return value.toFixed(digitsAfter).replace("-", "−").replace(".", POINT);
}

const counted = (value) => new Intl.NumberFormat(root.lang).format(value);
