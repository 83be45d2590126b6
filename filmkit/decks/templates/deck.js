/**
 * The page's data, as filmkit/decks/web.py writes it.
 * @typedef {object} PageData
 * @property {string} title
 * @property {string[]} tokens
 * @property {Object<string, string>} axes words for one step along each axis
 * @property {string[]} arrays base64 of 32-bit floats
 * @property {boolean} sound whether a film has any
 * @property {boolean} auto whether the deck goes on by itself
 * @property {number} pause seconds that it then waits after a beat
 * @property {?number} minutes of the talk; null if none are given
 * @property {any} live what live.js and rank.js draw, by its name
 * @property {Object<string, string>} maps base64 of the 256 colours of each map
 * @property {Object<string, string>} words what else is said of a cell
 * @property {Slide[]} slides
 *
 * @typedef {object} Slide
 * @property {string} scene
 * @property {string} title
 * @property {string} narration
 * @property {string} notes
 * @property {string} alt
 * @property {[number, number, string][]} cues when a caption begins and ends, in seconds, and its text
 * @property {number} seconds
 * @property {number[]} frame width and height of the picture, in pixels
 * @property {string} still the address of its last picture
 * @property {string} [film] the address of its film, if that is a file of its own
 * @property {boolean} moves whether it has a film
 * @property {boolean} loop whether that plays over and over
 * @property {any[]} panels that the pointer reads; see filmkit/decks/cells.py
 * @property {?string} live the name of its live picture
 */

const slides = data.slides;
const deck = byId("deck"), stage = byId("stage"), still = byId("still"), tip = byId("tip");
const players = [...stage.querySelectorAll("video")];
const marks = [...byId("marks").children];
const STARTS_SCENE = slides.map((slide, i) => i === 0 || slide.scene !== slides[i - 1].scene);

// Which beat is on the stage, and its mode: it "plays", is "paused", or "holds" its last picture.
// A beat that is repeated has said its words: it is silent.
const state = { index: -1, mode: "holds", silent: false };
let front = 0;
let muted = false;

// Films. A film inside this page becomes a blob when it is first needed. There are two players: the
// hidden one already has the next film loaded, so that nothing flickers between two beats.
const addresses = new Map();

function address(i) {
  if (!addresses.has(i)) {
    const separate = slides[i].film;
    if (separate) {
      addresses.set(i, separate);
    } else {
      const bytes = Uint8Array.from(atob(byId(`film-${i}`).textContent), (c) => c.charCodeAt(0));
      addresses.set(i, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
    }
  }
  return addresses.get(i);
}

function load(player, i) {
  if (!slides[i]?.moves || Number(player.dataset.index) === i) return;
  player.dataset.index = i;
  player.src = address(i);
  player.load();
}

function whenReady(player, then) {
  if (player.readyState >= 2) then();
  else player.addEventListener("loadeddata", then, { once: true });
}

// Steps.

function go(index, playing) {
  if (index < 0 || index >= slides.length) return;
  players.forEach((player) => player.pause());
  startTimer();
  leave();
  pen.stroke = null;
  if (index !== state.index) talk.loop = slides[index].loop && hasFilm(index) && !talk.auto;
  state.index = index;
  stage.dataset.index = index;
  if (playing && hasFilm(index)) play();
  else hold();
  remember();
  showTexts();
}

// The beat, the speaker's time and what is drawn outlive a reload of the page. A browser may refuse
// to keep so much, or so often: the talk goes on.
function remember() {
  try {
    history.replaceState({ ...timer, drawn: pen.drawn }, "", `#${state.index + 1}`);
  } catch {
    return;
  }
}

// Whether a beat has a film that may be shown.
const hasFilm = (index) => slides[index].moves && !lessMotion.matches;

function play(silent = false) {
  const index = state.index;
  if (!slides[index].moves) return hold();
  stopWaiting();
  state.silent = silent;
  const back = 1 - front;
  const chosen = Number(players[front].dataset.index) === index ? front : back;
  load(players[chosen], index);
  setMode("plays");
  whenReady(players[chosen], () => {
    if (state.index !== index || state.mode !== "plays") return;
    players[chosen].currentTime = 0;
    bringForward(chosen);
    still.hidden = true;
    load(players[1 - chosen], index + 1);
    start(players[chosen]);
  });
}

const pressForVoice = say("Press M to hear the voice: the browser wants a key or a click first.");
let told = false;

// Browsers let a page speak only after the first key or click on it: until then it plays silently.
function start(player) {
  player.muted = !data.sound || muted || state.silent;
  const plays = player.play().then(() => player.muted || withdrawMessage(pressForVoice));
  return plays.catch((error) => {
    // Another step, or a pause, came before the film began: what it does is wanted.
    if (error.name === "AbortError") return;
    if (error.name !== "NotAllowedError" || player.muted) return hold();
    player.muted = true;
    if (!told) showMessage(pressForVoice);
    told = true;
    return player.play().catch(hold);
  });
}

function toggleMute() {
  if (!data.sound) return;
  const player = players[front];
  // A film that the browser has muted is not what the user wants.
  muted = state.mode === "plays" && player.muted ? false : !muted;
  players.forEach((each) => (each.muted = muted));
  byId("mute").setAttribute("aria-pressed", muted);
  withdrawMessage(pressForVoice);
}

// Show the last picture at once: the still is the same picture, and is there before the film is.
function hold() {
  const index = state.index;
  still.src = slides[index].still;
  still.hidden = false;
  setMode("holds");
  goOnAfter(slides[index].seconds + (slides[index].moves ? data.pause : 0));
  if (!slides[index].moves) return load(players[1 - front], index + 1);
  const back = Number(players[front].dataset.index) === index ? front : 1 - front;
  const player = players[back];
  load(player, index);
  whenReady(player, () => {
    if (state.index !== index || state.mode !== "holds") return;
    player.currentTime = player.duration;
    bringForward(back);
    load(players[1 - back], index + 1);
  });
}

function bringForward(which) {
  front = which;
  players.forEach((player, i) => player.classList.toggle("front", i === which));
}

function pauseOrResume() {
  const player = players[front];
  if (state.mode === "plays") {
    player.pause();
    setMode("paused");
  } else if (state.mode === "paused" && Number(player.dataset.index) === state.index) {
    setMode("plays");
    start(player);
  } else {
    play(); // from its beginning; if it was paused, its film had not been there yet
  }
}

function setMode(mode) {
  state.mode = stage.dataset.mode = mode;
  byId("play").setAttribute("aria-label", PLAY_WORDS[mode]);
  byId("play").dataset.mode = mode;
  if (mode === "plays") {
    hideTip();
    stopFollowing();
    requestAnimationFrame(tick);
  }
  showCaption();
  showProgress();
}

players.forEach((player, i) =>
  player.addEventListener("ended", () => {
    if (i !== front || state.mode !== "plays") return;
    setMode("holds");
    goOnAfter(data.pause);
  })
);

function tick() {
  showCaption();
  showProgress();
  if (state.mode === "plays") requestAnimationFrame(tick);
}

function time() {
  const slide = slides[state.index];
  const player = players[front];
  if (state.mode === "holds" || Number(player.dataset.index) !== state.index) {
    return state.mode === "holds" ? slide.seconds : 0;
  }
  return player.currentTime;
}

// Text.

function showTexts() {
  const slide = slides[state.index];
  const next = slides[state.index + 1];
  still.alt = slide.alt;
  stage.style.setProperty("--ratio", slide.frame[0] / slide.frame[1]);
  byId("marks").setAttribute("viewBox", `0 0 ${slide.frame[0]} ${slide.frame[1]}`);
  stage.setAttribute("aria-label", `${slide.title}. ${slide.alt}`);
  byId("where").replaceChildren(`${state.index + 1} / ${slides.length}`, makeElement("b", slide.title));
  byId("scene").textContent = slide.scene === slide.title ? "" : slide.scene;
  byId("title").textContent = slide.title;
  byId("notes-text").replaceChildren(...paragraphs(slide.notes));
  [...byId("beats").children].forEach((button, i) => {
    if (i === state.index) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  byId("back").disabled = state.index === 0;
  byId("forward").disabled = !next;
  offerLive();
  updateSpeaker();
  showPen();
}

const paragraphs = (text) => text.split("\n\n").map((part) => makeElement("p", part));

function showCaption() {
  const caption = byId("caption");
  const slide = slides[state.index];
  const wanted = deck.classList.contains("captioned") && slide;
  caption.hidden = !wanted;
  if (!wanted) return;
  const now = time();
  const cue = slide.cues.find(([start, end]) => start <= now && now < end) ?? slide.cues.at(-1);
  // A beat that was not played has shown none of its captions: show the whole narration.
  const text = state.mode === "holds" && !still.hidden ? slide.narration : cue ? cue[2] : "";
  if (caption.textContent !== text) caption.textContent = text;
}

function showProgress() {
  [...byId("beats").querySelectorAll("i")].forEach((bar, i) => {
    const done = i < state.index ? 1 : i > state.index ? 0 : time() / slides[i].seconds;
    bar.style.setProperty("--done", Math.min(1, done).toFixed(4));
  });
}

function toggle(button, name, on) {
  byId(button).setAttribute("aria-pressed", on);
  deck.classList.toggle(name, on);
}

function toggleCaptions() {
  toggle("captions", "captioned", !deck.classList.contains("captioned"));
  showCaption();
}

function toggleNotes(on = byId("notes").hidden) {
  byId("notes").hidden = !on;
  toggle("notes-button", "noted", on);
}

// On the page whose key was pressed: the audience sees nothing of what the speaker's window says.
function showMessage(text, page = document) {
  const toast = page.getElementById("toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(toast.gone);
  toast.gone = setTimeout(() => (toast.hidden = true), 6000);
}

function withdrawMessage(text) {
  if (byId("toast").textContent === text) byId("toast").hidden = true;
}

// The value under the pointer.

const cells = new CellReader(data);

function cellUnder(event) {
  const { panels, frame: [width, height] } = slides[state.index];
  const { x, y } = pointerOn(event, stage);
  return cells.at(panels, x * width, y * height);
}

function showTip(event) {
  if (state.mode === "plays" || points()) {
    hideTip();
    return false;
  }
  const cell = cellUnder(event);
  if (!cell || state.mode === "paused") {
    hideTip();
    return false;
  }
  const texts = cells.describe(cell);
  [...tip.children].forEach((line, i) => (line.textContent = texts[i]));
  tip.dataset.value = cell.masked ? "masked" : texts[0];
  marks.forEach((mark) => mark.setAttribute("points", cells.outline(cell)));
  tip.hidden = false;
  const { width: w, height: h } = tip.getBoundingClientRect();
  const gap = event.pointerType === "touch" ? 34 : 18;
  const left = event.clientX + gap + w < innerWidth ? event.clientX + gap : event.clientX - gap - w;
  const top = event.clientY - gap - h > 0 ? event.clientY - gap - h : event.clientY + gap;
  tip.style.transform = `translate(${Math.max(8, Math.min(left, innerWidth - w - 8))}px, ${top}px)`;
  return true;
}

function hideTip() {
  tip.hidden = true;
  marks.forEach((mark) => mark.setAttribute("points", ""));
}
