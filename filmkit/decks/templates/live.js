// Live pictures: the rank as a dial, every pattern, and a token followed through all panels.

const live = data.live;

function offerLive() {
  const kind = slides[state.index].live;
  byId("live-button").hidden = !kind;
  if (kind) byId("live-words").textContent = WORDS[`live_${kind}`];
}

function openLive(page) {
  const kind = slides[state.index].live;
  if (!kind) return showMessage(WORDS.noLive, page);
  if (kind === "rows") return following.token === null ? startFollowing() : stopFollowing();
  const opened = document.querySelector("dialog.live[open]");
  leave();
  if (opened) return;
  if (state.mode === "plays") pauseOrResume();
  if (kind === "rank") openRank();
  else openPatterns();
}

// Numbers and colours.

const maps = new Map();

function colours(name) {
  if (!maps.has(name)) maps.set(name, Uint8Array.from(atob(live.maps[name]), (c) => c.charCodeAt(0)));
  return maps.get(name);
}

// Where a value lies in the 256 colours of a norm; as filmkit.core.norm has it.
function level(value, { vmin, vmax, width }) {
  const stretch = (x) => (width === null ? x : Math.asinh(x / width));
  const place = (stretch(value) - stretch(vmin)) / (stretch(vmax) - stretch(vmin));
  return Math.round(255 * Math.min(1, Math.max(0, place)));
}

const MASKED_COLOUR = (getComputedStyle(document.documentElement).getPropertyValue("--masked").match(/\w\w/g) ?? [])
  .map((part) => parseInt(part, 16));

// Draw values, one pixel each; null is a cell that the causal mask removes.
function paint(canvas, [rows, columns], valueAt, norm, left = 0, top = 0) {
  const table = colours(norm.map);
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = valueAt(row, column);
      const start = value === null ? 0 : 3 * level(value, norm);
      const rgb = value === null ? MASKED_COLOUR : table.subarray(start, start + 3);
      image.data.set([...rgb, 255], 4 * (row * columns + column));
    }
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

function makeCanvas([rows, columns], kind, label) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.className = kind;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// Which cell of a picture a pointer is on.
function cellOf(event, canvas) {
  const { x, y } = share(event, canvas);
  const limit = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
  return { row: limit(y, canvas.height), column: limit(x, canvas.width) };
}

// A share of attention, as the film writes it.
function percent(value) {
  const text = (100 * value).toFixed(100 * value >= 9.95 ? 0 : 1);
  const percents = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  return percents.format(0).replace("0", text.replace(".", POINT));
}

// The rank as a dial. All pictures of one kind stand beside each other: the model's own, then one
// for each kind of latent, and a mark shows the same cell in all of them.

const rank = { size: null, mark: null };

const rankSides = () => [
  { name: WORDS.model, ...live.rank.model },
  ...live.rank.latents.map(({ name, rungs }) => ({ name, ...rungs[rank.size] })),
];

function rankShape(kind) {
  const count = live.rank.words.length;
  return [count, kind === "pattern" ? count : live.rank.width[kind]];
}

function rankValue(side, kind, row, column) {
  if (kind === "pattern" && column > row) return null;
  return cells.values(side[kind]).getFloat32(4 * (row * rankShape(kind)[1] + column), true);
}

function openRank() {
  if (rank.size === null) buildRank();
  openDialog(byId("rank"));
  byId("rank-dial").focus();
}

function buildRank() {
  const { sizes, start, words } = live.rank;
  const dial = byId("rank-dial");
  dial.max = sizes.length - 1;
  dial.value = rank.size = start;
  byId("rank-ticks").replaceChildren(...sizes.map((size) => makeElement("span", size)));
  byId("rank-sides").replaceChildren(
    ...rankSides().map((side) => {
      const figure = document.createElement("figure");
      const text = document.createElement("figcaption");
      text.append(makeElement("b", side.name), makeElement("span", ""));
      const names = makeElement("ol", "");
      names.append(...words.map((word) => makeElement("li", word)));
      names.setAttribute("aria-hidden", "true");
      const pictures = ["pattern", "k", "v"].map((kind) => {
        const what = { pattern: say("place", live.rank), k: WORDS.keys, v: WORDS.values }[kind];
        const box = document.createElement("div");
        box.className = `picture ${kind}`;
        box.append(makeCanvas(rankShape(kind), "cells", `${side.name}: ${what}`), makeElement("i", ""));
        if (kind !== "pattern") box.append(makeElement("small", what));
        box.firstChild.addEventListener("pointermove", (event) => markRank(kind, cellOf(event, box.firstChild)));
        box.firstChild.addEventListener("click", (event) => markRank(kind, cellOf(event, box.firstChild)));
        return box;
      });
      figure.append(text, names, ...pictures, makeElement("p", ""));
      return figure;
    })
  );
  dial.addEventListener("input", () => turnRank(Number(dial.value)));
  turnRank(start);
  markRank("pattern", strongestCell());
}

// The cell where a word gives most to another one, the first drawn one left out, which often
// collects attention that is needed nowhere else.
function strongestCell() {
  let best = { row: 0, column: 0 };
  let most = -1;
  for (let row = 2; row < live.rank.words.length; row++) {
    for (let column = 1; column < row; column++) {
      const value = rankValue(live.rank.model, "pattern", row, column);
      if (value > most) [best, most] = [{ row, column }, value];
    }
  }
  return best;
}

const sizeWords = (side) =>
  side.parts.length === 2
    ? say("together", { first: side.parts[0], second: side.parts[1] })
    : say("numbers", side);

function turnRank(size) {
  rank.size = size;
  const { sizes, model, shared } = live.rank;
  const count = say("ofCached", { count: sizes[size], cached: model.count });
  byId("rank-count").textContent = count;
  byId("rank-dial").setAttribute("aria-valuetext", say("numbers", { count: sizes[size] }));
  const sides = rankSides();
  [...byId("rank-sides").children].forEach((figure, i) => {
    const side = sides[i];
    figure.querySelector("span").textContent = sizeWords(side);
    for (const kind of ["pattern", "k", "v"]) {
      const draw = (row, column) => rankValue(side, kind, row, column);
      paint(figure.querySelector(`.${kind} canvas`), rankShape(kind), draw, live.rank.norms[kind]);
    }
    figure.querySelector("p").textContent = side.k_error
      ? say("lost", { k: side.k_error, v: side.v_error })
      : WORDS.nothingLost;
  });
  const heads = byId("rank").querySelector("thead tr").cells;
  byId("rank-rows").replaceChildren(
    ...[...sides, ...shared].map((side) => {
      const row = document.createElement("tr");
      const name = makeElement("th", side.name);
      name.scope = "row";
      const fixed = side.k_error === null && side !== sides[0];
      name.append(makeElement("small", fixed ? say("fixed", side) : sizeWords(side)));
      const bar = document.createElement("td");
      for (const [colour, count] of side.pieces) {
        bar.append(makeElement("span", ""));
        bar.lastChild.style.background = colour;
        bar.lastChild.style.width = `${(100 * count) / model.numbers}%`;
      }
      row.append(name, bar, ...[side.moved, side.next, side.says].map((text) => makeElement("td", text)));
      [...row.cells].forEach((cell, i) => (cell.dataset.label = heads[i].textContent));
      row.classList.toggle("same", side.numbers === sizes[size]);
      return row;
    })
  );
  if (rank.mark) markRank(rank.mark.kind, rank.mark);
}

function markRank(kind, { row, column }) {
  if (kind === "pattern" && column > row) return;
  rank.mark = { kind, row, column };
  const [rows, columns] = rankShape(kind);
  byId("rank-sides").querySelectorAll(".picture").forEach((box) => {
    const mark = box.querySelector("i");
    mark.hidden = !box.classList.contains(kind);
    mark.style.inset = `${(100 * row) / rows}% auto auto ${(100 * column) / columns}%`;
    mark.style.width = `${100 / columns}%`;
    mark.style.height = `${100 / rows}%`;
  });
  const words = live.rank.words;
  const shown = rankSides().map((side) => {
    const value = rankValue(side, kind, row, column);
    return say("valueOf", { value: kind === "pattern" ? percent(value) : digits(value), name: side.name });
  });
  const values = shown.reduce((some, more) => say("apart", { some, more }));
  byId("rank-read").textContent =
    kind === "pattern"
      ? say("looks", { query: words[row], key: words[column], values })
      : say("channelOf", {
          what: kind === "k" ? WORDS.keys : WORDS.values,
          word: words[row],
          channel: column,
          values,
        });
}

// Every pattern: a wall with a column for each layer, and one of them large.

const wall = { layer: 0, head: 0, built: false };
const GAP = 1; // cells between two patterns

function patternValue(layer, head, row, column) {
  if (column > row) return null;
  const { heads, words } = live.patterns;
  const size = (words.length * (words.length + 1)) / 2;
  const at = (layer * heads + head) * size + (row * (row + 1)) / 2 + column;
  return cells.values(live.patterns.cells).getFloat32(4 * at, true);
}

function openPatterns() {
  if (!wall.built) buildWall();
  openDialog(byId("patterns"));
  byId("wall").focus();
}

function buildWall() {
  const { layers, heads, words, norm } = live.patterns;
  const count = words.length;
  const canvas = byId("wall");
  wall.built = true;
  canvas.width = layers * (count + GAP) - GAP;
  canvas.height = heads * (count + GAP) - GAP;
  byId("wall-box").style.setProperty("--ratio", canvas.width / canvas.height);
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      const draw = (row, column) => patternValue(layer, head, row, column);
      paint(canvas, [count, count], draw, norm, layer * (count + GAP), head * (count + GAP));
    }
  }
  const headAt = (event) => {
    const { x, y } = share(event, canvas);
    return [Math.min(layers - 1, Math.floor(x * layers)), Math.min(heads - 1, Math.floor(y * heads))];
  };
  canvas.addEventListener("click", (event) => {
    choosePattern(...headAt(event));
    openPattern();
  });
  byId("patterns").addEventListener("keydown", onWallKey);
  byId("patterns").addEventListener("cancel", (event) => {
    if (byId("open-pattern").hidden) return;
    event.preventDefault();
    closePattern();
  });
  byId("pattern-close").addEventListener("click", closePattern);
  const large = byId("pattern-cells");
  large.width = large.height = count;
  for (const name of ["pointermove", "click"]) {
    large.addEventListener(name, (event) => readPattern(cellOf(event, large)));
  }
  for (const id of ["pattern-rows", "pattern-columns"]) {
    byId(id).replaceChildren(...words.map((word) => makeElement("li", word)));
  }
  byId("open-pattern").style.setProperty("--count", count);
  choosePattern(live.patterns.layer, live.patterns.head);
}

const WALL_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onWallKey(event) {
  const step = WALL_KEYS[event.key];
  if (step) {
    const { layers, heads } = live.patterns;
    const inside = (place, count) => Math.min(count - 1, Math.max(0, place));
    choosePattern(inside(wall.layer + step[0], layers), inside(wall.head + step[1], heads));
  } else if ((event.key === "Enter" || event.key === " ") && event.target === byId("wall")) {
    openPattern();
  } else {
    return;
  }
  event.preventDefault();
}

function choosePattern(layer, head) {
  const { layers, heads, previous, first, hides_first, words, norm } = live.patterns;
  [wall.layer, wall.head] = [layer, head];
  const mark = byId("wall-mark");
  mark.style.inset = `${(100 * head) / heads}% auto auto ${(100 * layer) / layers}%`;
  mark.style.width = `${100 / layers}%`;
  mark.style.height = `${100 / heads}%`;
  const place = say("place", { layer, head });
  byId("wall-place").textContent = place;
  byId("pattern-place").textContent = place;
  byId("pattern-habits").replaceChildren(
    makeElement("li", say("previous", { share: previous[layer][head] })),
    makeElement("li", say(hides_first ? "firstHidden" : "first", { share: first[layer][head] }))
  );
  const draw = (row, column) => patternValue(layer, head, row, column);
  paint(byId("pattern-cells"), [words.length, words.length], draw, norm);
  byId("pattern-mark").hidden = true;
  byId("pattern-read").textContent = WORDS.pointAtCell;
}

function openPattern() {
  byId("open-pattern").hidden = false;
  byId("patterns").classList.add("opened");
  byId("wall").focus();
}

function closePattern() {
  byId("open-pattern").hidden = true;
  byId("patterns").classList.remove("opened");
  byId("wall").focus();
}

function readPattern({ row, column }) {
  const value = patternValue(wall.layer, wall.head, row, column);
  const { words } = live.patterns;
  const mark = byId("pattern-mark");
  mark.hidden = value === null;
  mark.style.inset = `${(100 * row) / words.length}% auto auto ${(100 * column) / words.length}%`;
  byId("pattern-read").textContent =
    value === null
      ? WORDS.masked
      : say("oneLook", { query: words[row], key: words[column], value: percent(value) });
}

// Following a token: frames around its rows, and around its columns where it is read as a key.

const following = { token: null };

// The axes of a panel that count tokens: their span, and whether they are its rows.
function tokenAxes(panel) {
  const spans = panel.index.map((span, i) => ({ span, axis: panel.axes[i] })).filter(({ span }) => Array.isArray(span));
  return spans
    .map(({ span, axis }, i) => {
      const second = spans.length === 1 ? true : i === 1;
      return { span, axis, inRows: panel.transposed ? second : !second };
    })
    .filter(({ axis }) => axis?.endsWith("pos"));
}

function tokensShown() {
  const tokens = new Set();
  for (const panel of slides[state.index].panels) {
    for (const { span } of tokenAxes(panel)) for (let t = span[0]; t < span[1]; t++) tokens.add(t);
  }
  return [...tokens].sort((a, b) => a - b);
}

function startFollowing() {
  if (state.mode !== "holds") hold();
  followToken(tokensShown().at(-1));
  stage.classList.add("follows");
}

function stopFollowing() {
  following.token = null;
  stage.classList.remove("follows");
  byId("follow").hidden = true;
  byId("rows").replaceChildren();
}

function followNext(step) {
  if (following.token === null) return false;
  const tokens = tokensShown();
  const place = tokens.indexOf(following.token) + step;
  followToken(tokens[Math.min(tokens.length - 1, Math.max(0, place))]);
  return true;
}

// A click while a token is followed; false if none is.
function follow(event) {
  if (following.token === null) return false;
  const cell = cellUnder(event);
  if (cell) {
    const axes = tokenAxes(cell.panel);
    const axis = axes.find(({ inRows }) => inRows) ?? axes[0];
    if (axis) followToken(axis.span[0] + (axis.inRows ? cell.row : cell.column));
  }
  return true;
}

function followToken(token) {
  following.token = token;
  const frames = [];
  let columns = false;
  for (const panel of slides[state.index].panels) {
    panel.toPicture ??= toCorners(panel.corners);
    if (!panel.toPicture) continue;
    for (const { span, axis, inRows } of tokenAxes(panel)) {
      if (token < span[0] || token >= span[1]) continue;
      const [low, high] = [0, 1].map((more) => (token - span[0] + more) / (span[1] - span[0]));
      const corners = inRows ? [[0, low], [1, low], [1, high], [0, high]] : [[low, 0], [high, 0], [high, 1], [low, 1]];
      const frame = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
      frame.setAttribute("points", corners.map(([x, y]) => project(panel.toPicture, x, y).join(",")).join(" "));
      frame.setAttribute("class", axis === "key_pos" ? "column" : "row");
      columns ||= axis === "key_pos";
      frame.dataset.panel = panel.name;
      frames.push(frame);
    }
  }
  byId("rows").replaceChildren(...frames);
  const where = { word: data.tokens[token], position: token };
  byId("follow-words").textContent = say(columns ? "followColumns" : "follow", where);
  byId("follow").hidden = false;
}
