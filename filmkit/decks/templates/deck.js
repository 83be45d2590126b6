"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const slides = data.slides;
const byId = (id) => document.getElementById(id);
const deck = byId("deck"), stage = byId("stage"), still = byId("still"), tip = byId("tip");
const players = [...stage.querySelectorAll("video")];
const marks = [...byId("marks").children];
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
const STARTS_SCENE = slides.map((slide, i) => i === 0 || slide.scene !== slides[i - 1].scene);

// Which beat is on the stage, and its mode: it "plays", is "paused", or "holds" its last picture.
// "started" is when the first beat was shown, in milliseconds; 0 before that.
const state = { index: -1, mode: "holds", started: 0 };
let front = 0;
let speaker = null;
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
  if (i < 0 || i >= slides.length || Number(player.dataset.index) === i) return;
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
  state.index = index;
  state.started ||= Date.now();
  stage.dataset.index = index;
  hideTip();
  if (playing && !lessMotion.matches) play();
  else hold();
  history.replaceState(null, "", `#${index + 1}`);
  showTexts();
}

function play() {
  const index = state.index;
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

// Browsers let a page speak only after the first key or click on it: until then it plays silently.
function start(player) {
  player.muted = !data.sound || muted;
  return player.play().catch((error) => {
    if (error.name !== "NotAllowedError" || player.muted) return hold();
    player.muted = true;
    showMessage("Press M to hear the voice: the browser wants a key or a click first.");
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
}

// Show the last picture at once: the still is the same picture, and is there before the film is.
function hold() {
  const index = state.index;
  still.src = slides[index].still;
  still.hidden = false;
  setMode("holds");
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
  } else if (state.mode === "paused") {
    setMode("plays");
    start(player);
  } else {
    play();
  }
}

function setMode(mode) {
  state.mode = stage.dataset.mode = mode;
  const label = mode === "plays" ? "Pause" : mode === "paused" ? "Resume" : "Play again";
  byId("play").setAttribute("aria-label", label);
  byId("play").dataset.mode = mode;
  if (mode === "plays") {
    hideTip();
    requestAnimationFrame(tick);
  }
  showCaption();
  showProgress();
}

players.forEach((player, i) =>
  player.addEventListener("ended", () => {
    if (i === front && state.mode === "plays") setMode("holds");
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
  byId("scene").textContent = slide.scene;
  byId("title").textContent = slide.title;
  byId("notes-text").replaceChildren(...paragraphs(slide.notes));
  [...byId("beats").children].forEach((button, i) => {
    if (i === state.index) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  byId("back").disabled = state.index === 0;
  byId("forward").disabled = !next;
  updateSpeaker();
}

const paragraphs = (text) => text.split("\n\n").map((part) => makeElement("p", part));

function makeElement(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

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

// The speaker's window is written and updated from this page: it needs no file and no server.

function openSpeaker() {
  if (speaker && !speaker.closed) {
    speaker.focus();
    return;
  }
  speaker = window.open("", "attention-film-speaker", "popup,width=1000,height=680");
  if (!speaker) {
    showMessage("The browser blocked the speaker's window: allow pop-ups for this page, or press N.");
    return;
  }
  const page = speaker.document;
  page.open();
  page.write("<!doctype html><html lang='en'><head><meta charset='utf-8'></head><body></body></html>");
  page.close();
  page.title = `Speaker: ${data.title}`;
  page.body.append(page.importNode(byId("window").content, true));
  page.addEventListener("keydown", onKey);
  page.getElementById("back").addEventListener("click", () => go(state.index - 1, false));
  page.getElementById("forward").addEventListener("click", () => go(state.index + 1, true));
  updateSpeaker();
  setInterval(updateClock, 500);
}

function updateSpeaker() {
  if (!speaker || speaker.closed) return;
  const at = (id) => speaker.document.getElementById(id);
  const slide = slides[state.index];
  const next = slides[state.index + 1];
  at("where").textContent = `${state.index + 1} / ${slides.length}  ·  ${slide.scene}`;
  at("title").textContent = slide.title;
  at("now").src = slide.still;
  at("now").alt = slide.alt;
  at("notes-text").replaceChildren(...paragraphs(slide.notes));
  at("next").textContent = next ? next.title : "The end";
  at("then").hidden = !next;
  if (next) at("then").src = next.still;
  updateClock();
}

function updateClock() {
  if (!speaker || speaker.closed) return;
  const seconds = Math.floor((Date.now() - state.started) / 1000);
  const two = (n) => String(n).padStart(2, "0");
  const now = new Date();
  speaker.document.getElementById("timer").textContent = `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  speaker.document.getElementById("clock").textContent = `${two(now.getHours())}:${two(now.getMinutes())}`;
}

function showMessage(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  setTimeout(() => (toast.hidden = true), 6000);
}

// The value under the pointer.

const cells = new CellReader(data);

function showTip(event) {
  if (state.mode === "plays") return false;
  const box = stage.getBoundingClientRect();
  const [width, height] = slides[state.index].frame;
  const cell = cells.at(
    slides[state.index].panels,
    ((event.clientX - box.left) / box.width) * width,
    ((event.clientY - box.top) / box.height) * height
  );
  if (!cell || state.mode === "paused") {
    hideTip();
    return false;
  }
  const texts = cells.describe(cell);
  [...tip.children].forEach((line, i) => (line.textContent = texts[i]));
  tip.dataset.value = cell.masked ? "masked" : texts[0];
  marks.forEach((mark) => mark.setAttribute("points", outline(cell)));
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

// Keys, clicks and touches.

const KEYS = {
  ArrowRight: () => go(state.index + 1, true),
  ArrowDown: () => go(state.index + 1, true),
  PageDown: () => go(state.index + 1, true),
  " ": () => go(state.index + 1, true),
  ArrowLeft: () => go(state.index - 1, false),
  ArrowUp: () => go(state.index - 1, false),
  PageUp: () => go(state.index - 1, false),
  Backspace: () => go(state.index - 1, false),
  Home: () => go(0, true),
  End: () => go(slides.length - 1, false),
  r: () => play(),
  p: pauseOrResume,
  c: toggleCaptions,
  m: toggleMute,
  n: () => toggleNotes(),
  s: openSpeaker,
  o: () => openOverview(),
  f: toggleFull,
  "?": () => openDialog(byId("help")),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  // Space presses the button that has the focus.
  if (event.key === " " && event.target.closest?.("button")) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
document.addEventListener("keydown", onKey);

let touch = null;
stage.addEventListener("pointerdown", (event) => {
  touch = { x: event.clientX, y: event.clientY, type: event.pointerType };
});
stage.addEventListener("click", (event) => {
  if (touch?.type === "touch" && (touch.swiped || showTip(event))) return;
  if (event.detail) go(state.index + 1, true);
});
stage.addEventListener("pointerup", (event) => {
  if (touch?.type !== "touch") return;
  const across = event.clientX - touch.x;
  if (Math.abs(across) < 50 || Math.abs(event.clientY - touch.y) > 40) return;
  touch.swiped = true;
  go(state.index + (across < 0 ? 1 : -1), across < 0);
});
stage.addEventListener("pointermove", (event) => {
  if (event.pointerType !== "touch") showTip(event);
});
stage.addEventListener("pointerleave", (event) => {
  if (event.pointerType !== "touch") hideTip();
});

byId("back").addEventListener("click", () => go(state.index - 1, false));
byId("forward").addEventListener("click", () => go(state.index + 1, true));
byId("play").addEventListener("click", pauseOrResume);
byId("captions").addEventListener("click", toggleCaptions);
byId("notes-button").addEventListener("click", () => toggleNotes());
byId("mute")?.addEventListener("click", toggleMute);
byId("speaker").addEventListener("click", openSpeaker);
byId("overview-button").addEventListener("click", () => openOverview());
byId("full").addEventListener("click", toggleFull);
byId("help-button").addEventListener("click", () => openDialog(byId("help")));

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

let idle = 0;
function wake() {
  document.documentElement.classList.remove("idle");
  clearTimeout(idle);
  idle = setTimeout(() => document.documentElement.classList.add("idle"), 2500);
}
["pointermove", "pointerdown", "keydown"].forEach((name) => document.addEventListener(name, wake));

function openDialog(dialog) {
  hideTip();
  dialog.showModal();
}

function openOverview() {
  const sheet = byId("overview").firstElementChild;
  const several = STARTS_SCENE.filter(Boolean).length > 1;
  sheet.replaceChildren(
    ...slides.flatMap((slide, i) => {
      const button = makeElement("button", `${i + 1}  ${slide.title}`);
      const picture = document.createElement("img");
      picture.src = slide.still;
      picture.alt = "";
      button.prepend(picture);
      if (i === state.index) button.setAttribute("aria-current", "step");
      button.addEventListener("click", () => {
        byId("overview").close();
        go(i, false);
      });
      return several && STARTS_SCENE[i] ? [makeElement("h2", slide.scene), button] : [button];
    })
  );
  openDialog(byId("overview"));
  sheet.querySelector("[aria-current]").focus();
}
[...document.querySelectorAll("dialog")].forEach((dialog) =>
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close())
);

// The row of beats: one button each, with a bar that shows how far it has played.
byId("beats").append(
  ...slides.map((slide, i) => {
    const button = document.createElement("button");
    button.setAttribute("aria-label", `${i + 1}: ${slide.title}`);
    button.title = slide.title;
    button.tabIndex = -1;
    if (i && STARTS_SCENE[i]) button.classList.add("first");
    button.append(document.createElement("i"));
    button.addEventListener("click", () => go(i, false));
    return button;
  })
);

const narrow = matchMedia("(max-width: 760px) and (orientation: portrait), (max-width: 480px)");
toggleNotes(narrow.matches);
narrow.addEventListener("change", () => toggleNotes(narrow.matches));
const requested = Number(location.hash.slice(1)) - 1;
go(requested > 0 && requested < slides.length ? requested : 0, true);
stage.focus({ preventScroll: true });
