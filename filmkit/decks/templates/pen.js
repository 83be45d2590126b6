// The pen: what a speaker draws on the pictures, on the deck or in their own window.
//
// Strokes are measured in their picture, so that they stay in place at any size.

/**
 * @typedef {object} Stroke
 * @property {number} colour number of the pen
 * @property {[number, number, number][]} points x and y in units of `LONG`, and the line's width
 */

const LONG = 1000; // units of a picture's longer side
const LINE = 4; // width of a line
const EDGE = 1.5; // by which its edge is wider on each side: colours can be told from any picture
const APART = 1; // points that are nearer to each other tell no more
const STEADY = 0.55; // share of the way to the pointer that a line goes with each point, at least
const FAST = 20; // way after which it goes all of it: a fast hand does not tremble
const SHARP = 50; // degrees by which a line turns at a corner
const DOT = 3; // times as wide as a line
const SAVED = 250; // milliseconds after which strokes are kept; browsers allow only so many a second
const PENS = 4;

/** @type {{ page: ?Document, colour: number, stroke: ?Stroke, pointer: number, stylus: boolean, drawn: Object<string, ?Stroke[]> }} */
const pen = {
  page: null, // in which the speaker draws: that of the deck, or of their window
  colour: 0,
  stroke: null, // that is being drawn
  pointer: 0, // which draws it
  stylus: false, // whether there is one: then a hand that rests on the screen draws nothing
  drawn, // by the number of the slide: strokes, and null where all before were cleared
};
let saving = 0;

const drawnHere = () => (pen.drawn[state.index] ??= []);
const strokesHere = () => drawnHere().slice(drawnHere().lastIndexOf(null) + 1);

// Both windows show what is drawn.
const windows = () => [document, ...(speaker && !speaker.closed ? [speaker.document] : [])];

function pictureSize() {
  const [width, height] = slides[state.index].frame;
  return [width, height].map((side) => (LONG * side) / Math.max(width, height));
}

function toggleDrawing(page = document) {
  if (pen.page === page) return stopDrawing();
  switchLaser(false);
  hideTip();
  pen.stylus = false;
  pen.page = page;
  showPen();
}

function stopDrawing() {
  pen.page = pen.stroke = null;
  showPen();
}

function choosePen(colour) {
  pen.colour = colour;
  showPen();
}

function undo() {
  pen.stroke = null;
  drawnHere().pop();
  keepStrokes();
}

function clearStrokes() {
  pen.stroke = null;
  if (strokesHere().length) drawnHere().push(null);
  keepStrokes();
}

// Nobody is left at a stand: the next visitors find clean pictures.
function clearAll() {
  stopDrawing();
  Object.values(pen.drawn).forEach((strokes) => strokes.at(-1) && strokes.push(null));
  keepStrokes();
}

function keepStrokes() {
  showPen();
  clearTimeout(saving);
  saving = setTimeout(remember, SAVED);
}

// Keys while the pen is in hand. Digits are those of the place on the keyboard: where other signs
// stand on these keys, they need no shift.
const PEN_KEYS = { u: undo, Delete: clearStrokes, Escape: stopDrawing };

function penAction(event, key) {
  // The speaker may have closed their window.
  if (event.altKey || !windows().includes(pen.page)) return undefined;
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey ? undo : undefined;
  const digit = Number(/^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1]);
  return digit >= 1 && digit <= PENS ? () => choosePen(digit - 1) : PEN_KEYS[key];
}

// Drawing.

// The stroke follows the pointer, and ends where it is lifted, when nothing presses any more.
function extend(event, ink) {
  const [width, height] = pictureSize();
  const at = pointerOn(event, ink);
  const goal = [at.x * width, at.y * height];
  const pressure = event.pointerType === "pen" ? event.pressure : 0.5;
  const { points } = pen.stroke;
  const lifted = event.type === "pointerup";
  const pressed = Math.round(2 * LINE * (0.5 + pressure)) / 2; // rounded: a curve in a few pieces
  const last = points.at(-1) ?? [...goal, pressed];
  const away = Math.hypot(goal[0] - last[0], goal[1] - last[1]);
  const step = lifted ? 1 : Math.min(1, STEADY + ((1 - STEADY) * away) / FAST);
  const [x, y] = goal.map((place, axis) => Math.round(10 * (last[axis] + step * (place - last[axis]))) / 10);
  if (points.length && Math.hypot(x - last[0], y - last[1]) < APART) return;
  points.push([x, y, lifted ? last[2] : pressed]);
}

// A window is ready for the pen: its picture, and its palette.
function preparePen(page) {
  const ink = page.getElementById("ink");
  const onInk = (name, act) =>
    ink.addEventListener(name, (event) => {
      event.stopPropagation(); // neither a step nor a pointer
      act(event);
    });
  const isOwn = (event) => pen.stroke && event.pointerId === pen.pointer;

  onInk("pointerdown", (event) => {
    const stylus = event.pointerType === "pen";
    if (event.button || (event.pointerType === "touch" && pen.stylus)) return;
    // The hand touches the screen before the stylus does.
    if (pen.stroke && stylus && !pen.stylus) drawnHere().pop();
    else if (pen.stroke) return;
    pen.stylus ||= stylus;
    ink.setPointerCapture(event.pointerId);
    pen.pointer = event.pointerId;
    pen.stroke = { colour: pen.colour, points: [] };
    extend(event, ink);
    drawnHere().push(pen.stroke);
    showPen();
  });
  onInk("pointermove", (event) => {
    if (page === document) talk.pointer = pointerOn(event, ink); // Z zooms in there
    if (!isOwn(event)) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) extend(each, ink);
    showEnd();
  });
  onInk("pointerup", (event) => {
    if (!isOwn(event)) return;
    extend(event, ink);
    pen.stroke = null;
    keepStrokes();
  });
  onInk("pointercancel", (event) => isOwn(event) && undo());
  onInk("click", () => {});

  const palette = page.getElementById("palette");
  // The keys stay with the deck: space goes on, and does not press a button again.
  palette.addEventListener("mousedown", (event) => event.preventDefault());
  page.getElementById("pens").replaceChildren(
    ...Array.from({ length: PENS }, (_, colour) => {
      const button = makeElement("button", `${colour + 1}`);
      button.dataset.pen = `${colour}`;
      button.ariaLabel = button.title = say("Pen {number}", { number: colour + 1 });
      button.addEventListener("click", () => choosePen(colour));
      return button;
    })
  );
  page.getElementById("undo").addEventListener("click", undo);
  page.getElementById("clear").addEventListener("click", clearStrokes);
  page.getElementById("end-pen").addEventListener("click", stopDrawing);
  showPen();
}

// Showing.

function showPen() {
  if (state.index < 0) return;
  const strokes = strokesHere();
  for (const page of windows()) {
    const ink = page.getElementById("ink");
    ink.setAttribute("viewBox", `0 0 ${pictureSize().join(" ")}`);
    ink.classList.toggle("draws", pen.page === page);
    for (const layer of ink.children) layer.replaceChildren(...strokes.map((stroke) => strokeIn(layer, stroke)));
    page.getElementById("palette").hidden = pen.page !== page;
    [...page.getElementById("pens").children].forEach((button, i) => button.setAttribute("aria-pressed", i === pen.colour));
    page.getElementById("undo").disabled = !drawnHere().length;
    page.getElementById("clear").disabled = !strokes.length;
  }
  byId("pen-button").setAttribute("aria-pressed", pen.page === document);
}

// The stroke that is being drawn is the last one.
function showEnd() {
  for (const page of windows()) {
    for (const layer of page.getElementById("ink").children) layer.lastElementChild.replaceWith(strokeIn(layer, pen.stroke));
  }
}

const makeShape = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

function strokeIn(layer, stroke) {
  const { colour, points } = stroke;
  const group = makeShape("g");
  group.dataset.pen = `${colour}`;
  const wider = layer.classList.contains("edges") ? 2 * EDGE : 0;
  const [first] = points;
  const isDot = stroke !== pen.stroke && points.every((point) => Math.hypot(point[0] - first[0], point[1] - first[1]) < LINE);
  for (const { width, curve } of curves(isDot ? [[first[0], first[1], DOT * first[2]]] : points)) {
    const path = makeShape("path");
    path.setAttribute("d", curve);
    path.setAttribute("stroke-width", width + wider);
    group.append(path);
  }
  return group;
}

function isSharp([ax, ay], [bx, by], [cx, cy]) {
  const turn = Math.abs(Math.atan2(cy - by, cx - bx) - Math.atan2(by - ay, bx - ax));
  return Math.min(turn, 2 * Math.PI - turn) > (SHARP * Math.PI) / 180;
}

// A smooth curve through the middles between points, in a piece for each width; corners stay.
function curves(points) {
  const pieces = [];
  let from = points[0];
  points.forEach((point, i) => {
    const [x, y, width] = point;
    const next = points[i + 1] ?? point;
    const to = [(x + next[0]) / 2, (y + next[1]) / 2];
    if (pieces.at(-1)?.width !== width) pieces.push({ width, curve: `M${from[0]} ${from[1]}` });
    const corner = i > 0 && i < points.length - 1 && isSharp(points[i - 1], point, next);
    pieces.at(-1).curve += corner ? `L${x} ${y}L${to[0]} ${to[1]}` : `Q${x} ${y} ${to[0]} ${to[1]}`;
    from = /** @type {[number, number, number]} */ ([...to, width]);
  });
  return pieces;
}

preparePen(document);
