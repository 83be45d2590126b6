// Live pictures: the rank as a dial, every pattern, and a token followed through all panels.

const live = data.live;

/** @type {Object<string, string>} what is offered, by the kind of the picture */
const LIVE_WORDS = { rank: say("Turn the rank"), patterns: say("Open a pattern"), rows: say("Follow a token") };

function offerLive() {
  const kind = slides[state.index].live;
  byId("live-button").hidden = !kind;
  if (kind) byId("live-words").textContent = LIVE_WORDS[kind];
}

function openLive(page) {
  const kind = slides[state.index].live;
  if (!kind) return showMessage(say("This beat has no live picture."), page);
  stopDrawing();
  talk.loop = false; // or the film would begin again below
  stopWaiting();
  if (kind === "rows") return following.token === null ? startFollowing() : stopFollowing();
  const opened = document.querySelector("dialog.live[open]");
  leave();
  if (opened) return;
  if (state.mode === "plays") pauseOrResume();
  if (kind === "rank") openRank();
  else openPatterns();
}

// The rank as a dial; see rank.js.

function openRank() {
  if (rank.size === null) buildRank(live.rank, (array) => cells.values(array));
  openDialog(byId("rank"));
  byId("rank-dial").focus();
}

// Every pattern: a wall with a column for each layer, and one of them large.

const wall = { layer: 0, head: 0, built: false };
const GAP = 1; // cells between two patterns

function patternValue(layer, head, row, column) {
  if (column > row) return null;
  const { heads, words } = live.patterns;
  const size = (words.length * (words.length + 1)) / 2;
  const at = (layer * heads + head) * size + (row * (row + 1)) / 2 + column;
  return cells.values(live.patterns.cells)[at];
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
    const { x, y } = pointerOn(event, canvas);
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
  placeMark(byId("wall-mark"), [heads, layers], head, layer);
  const place = say("layer {layer}, head {head}", { layer, head });
  byId("wall-place").textContent = place;
  byId("pattern-place").textContent = place;
  const share = first[layer][head];
  const onFirst = hides_first
    ? say("{share} goes to the first token, which is not drawn", { share })
    : say("{share} goes to the first token", { share });
  byId("pattern-habits").replaceChildren(
    makeElement("li", say("{share} of its attention goes to the token right before", { share: previous[layer][head] })),
    makeElement("li", onFirst)
  );
  const draw = (row, column) => patternValue(layer, head, row, column);
  paint(byId("pattern-cells"), [words.length, words.length], draw, norm);
  byId("pattern-mark").hidden = true;
  byId("pattern-read").textContent = say("Point at a cell to see its value.");
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
  placeMark(mark, [words.length, words.length], row, column);
  byId("pattern-read").textContent =
    value === null
      ? data.words.masked
      : say("“{query}” gives “{key}” {value}", { query: words[row], key: words[column], value: percent(value) });
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
  byId("follow-words").textContent = columns
    ? say("“{word}” ({position}): its numbers in every panel, in pink; in yellow, how the words look at it.", where)
    : say("“{word}” ({position}): its numbers in every panel, in pink.", where);
  byId("follow").hidden = false;
}
