// What a speaker does besides stepping: point, zoom, go to a beat, turn the screen black, let the
// deck go on by itself, and watch the time in a window of their own.

const ZOOM = 2.5;
const DOUBLE = 260; // milliseconds in which a second click counts with the first
const HELD = 300; // after which a button that is held points
const DRAGGED = 10; // pixels after which it points at once
const AGAIN = 1000; // milliseconds between two rounds of a beat that is repeated
const ALONE = 60000; // after which a deck at a stand goes on
const SHOWN = 12; // beats at most in the list of "go to"

const laser = byId("laser");
// What outlives a reload of the page.
const { drawn = {}, ...kept } = history.state ?? {};
const talk = { laser: false, loop: false, auto: data.auto, stand: data.auto, pointer: null };
let press = null;
let click = 0;
let waiting = 0;
let alone = 0;

// End what belongs to one picture: zoom, a token that is followed, whatever lies over it.
function leave() {
  clearTimeout(click);
  for (const page of windows()) page.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  zoomOut();
  stopFollowing();
  hideTip();
}

// The laser pointer: while L is on, while a button is held, and from the speaker's window.

const points = () => talk.laser || Boolean(press?.held);

function showLaser({ x, y }) {
  const box = stage.getBoundingClientRect();
  laser.style.transform = `translate(${box.left + x * box.width}px, ${box.top + y * box.height}px)`;
  laser.hidden = false;
  hideTip();
}

function hideLaser() {
  laser.hidden = true;
}

function switchLaser(on) {
  talk.laser = on;
  stage.classList.toggle("points", on);
  if (on && talk.pointer) showLaser(talk.pointer);
  else hideLaser();
}

function toggleLaser(page) {
  stopDrawing();
  switchLaser(!talk.laser);
  showMessage(talk.laser ? say("The pointer is on; press L to switch it off.") : say("The pointer is off."), page);
}

function pointHeld(at) {
  press.held = true;
  stage.classList.add("points");
  showLaser(at);
}

function letGo() {
  clearTimeout(press?.timer);
  if (!press?.held) return;
  stage.classList.toggle("points", talk.laser);
  if (!talk.laser) hideLaser();
}

stage.addEventListener("pointerdown", (event) => {
  clearTimeout(press?.timer);
  press = { x: event.clientX, y: event.clientY, type: event.pointerType };
  if (press.type === "touch" || event.button) return;
  const at = pointerOn(event, stage);
  press.timer = setTimeout(() => pointHeld(at), HELD);
});
stage.addEventListener("pointermove", (event) => {
  if (event.pointerType === "touch") return;
  talk.pointer = pointerOn(event, stage);
  const pressed = press && event.buttons & 1;
  if (pressed && Math.hypot(event.clientX - press.x, event.clientY - press.y) > DRAGGED) {
    pointHeld(talk.pointer);
  }
  if (points()) showLaser(talk.pointer);
  else showTip(event);
});
stage.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "touch") return;
  talk.pointer = null;
  letGo();
  press = null;
  hideLaser();
  hideTip();
});
stage.addEventListener("pointerup", (event) => {
  letGo();
  if (press?.type !== "touch") return;
  const across = event.clientX - press.x;
  if (Math.abs(across) < 50 || Math.abs(event.clientY - press.y) > 40) return;
  press.swiped = true;
  go(state.index + (across < 0 ? 1 : -1), across < 0);
});
stage.addEventListener("click", (event) => {
  const held = press?.held || press?.swiped;
  const touched = press?.type === "touch";
  press = null;
  if (held || !event.detail || follow(event)) return;
  if (touched) {
    if (!showTip(event)) go(state.index + 1, true);
    return;
  }
  clearTimeout(click);
  if (event.detail === 1) click = setTimeout(() => go(state.index + 1, true), DOUBLE);
  else if (event.detail === 2) toggleZoom(pointerOn(event, stage));
});

// Zoom.

function toggleZoom(at = talk.pointer ?? { x: 0.5, y: 0.5 }) {
  if (stage.classList.contains("zoomed")) return zoomOut();
  stage.style.transformOrigin = `${100 * at.x}% ${100 * at.y}%`;
  stage.style.transform = `scale(${ZOOM})`;
  stage.classList.add("zoomed");
  hideTip();
}

function zoomOut() {
  stage.style.transform = "";
  stage.classList.remove("zoomed");
}

// A black screen. It is a dialog, so that it covers a live picture too.

function toggleBlack() {
  const black = byId("black");
  if (black.open) return black.close();
  const plays = state.mode === "plays";
  if (plays) pauseOrResume();
  stopWaiting();
  const goOnThen = () => {
    if (plays && state.mode === "paused") pauseOrResume();
    else if (state.mode === "holds") goOnAfter(data.pause);
  };
  black.addEventListener("close", goOnThen, { once: true });
  black.showModal();
}

// Repeating a beat, and going on without anybody.

function toggleLoop(page) {
  if (!talk.loop && !hasFilm(state.index)) return showMessage(say("There is no film to repeat here."), page);
  talk.loop = !talk.loop;
  showMessage(talk.loop ? say("This beat plays over and over; press E to end it.") : say("Each beat plays once."), page);
  if (!talk.loop) stopWaiting();
  else if (state.mode !== "plays") play();
}

function stopWaiting() {
  clearTimeout(waiting);
}

// Called when a picture stands: what comes after it, in seconds from now.
function goOnAfter(seconds) {
  stopWaiting();
  if (talk.loop && hasFilm(state.index)) waiting = setTimeout(() => play(true), AGAIN);
  else if (talk.auto) waiting = setTimeout(goOn, 1000 * seconds);
}

function goOn() {
  go((state.index + 1) % slides.length, true);
}

function toggleAuto(page) {
  talk.auto = talk.stand = !talk.auto;
  clearTimeout(alone);
  showMessage(talk.auto ? say("The deck goes on by itself; any key pauses it.") : say("The deck waits for you."), page);
  if (talk.auto) talk.loop = false;
  if (!talk.auto) stopWaiting();
  else if (state.mode === "holds") goOnAfter(data.pause);
  else if (state.mode === "paused") pauseOrResume();
}

// Somebody is there: a deck that goes on by itself waits until they have left.
function noticeSomebody(page) {
  if (!talk.stand) return;
  if (talk.auto) showMessage(say("Paused. It goes on by itself after a minute without a key, or with A."), page);
  talk.auto = false;
  stopWaiting();
  clearTimeout(alone);
  alone = setTimeout(() => {
    talk.auto = true;
    clearAll();
    goOn();
  }, ALONE);
}

// Going to a beat by its number or its name. The speaker's window has a list of its own.

const plain = (text) => text.toLowerCase().replaceAll("_", " ").trim();

function beatsCalled(text) {
  const wanted = plain(text);
  const numbers = slides.map((_, i) => i);
  if (/^\d+$/.test(wanted)) return numbers.filter((i) => String(i + 1) === wanted);
  const begins = numbers.filter((i) => plain(slides[i].title).startsWith(wanted));
  return [...begins, ...numbers.filter((i) => !begins.includes(i) && plain(slides[i].title).includes(wanted))];
}

function prepareGoTo(page) {
  const at = (id) => page.getElementById(id);
  const dialog = at("goto");
  const choose = (i) => {
    dialog.close();
    go(i, false);
  };
  const list = () => {
    const found = beatsCalled(at("goto-name").value);
    at("goto-none").textContent = found.length ? "" : say("No beat has this number or name.");
    at("goto-list").replaceChildren(
      ...found.slice(0, SHOWN).map((i, place) => {
        const button = page.createElement("button");
        button.type = "button";
        button.textContent = `${i + 1}  ${slides[i].title}`;
        if (place === 0 && at("goto-name").value) button.append(page.createElement("kbd"));
        if (button.lastElementChild) button.lastElementChild.textContent = say("Enter");
        button.addEventListener("click", () => choose(i));
        return button;
      })
    );
  };
  at("goto-name").addEventListener("input", list);
  at("goto-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [first] = beatsCalled(at("goto-name").value);
    if (at("goto-name").value && first !== undefined) choose(first);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  return () => {
    at("goto-name").value = "";
    dialog.showModal();
    list();
  };
}

const openGoTo = new Map([[document, prepareGoTo(document)]]);

// The speaker's window is written and updated from this page: it needs no file and no server.

let speaker = null;
let speakerClock = 0;
const timer = { started: 0, minutes: data.minutes, ...kept };

function openSpeaker() {
  if (speaker && !speaker.closed) return speaker.focus();
  speaker = window.open("", "attention-film-speaker", "popup,width=1000,height=680");
  if (!speaker) return showMessage(say("The browser blocked the speaker’s window: allow pop-ups for this page, or press N."));
  const page = speaker.document;
  page.open();
  page.write("<!doctype html><html><head><meta charset='utf-8'></head><body></body></html>");
  page.close();
  page.documentElement.lang = document.documentElement.lang;
  page.title = say("Speaker: {title}", { title: data.title });
  page.head.append(page.importNode(byId("fonts"), true));
  page.body.append(page.importNode(byId("window").content, true));
  const at = (id) => page.getElementById(id);
  page.addEventListener("keydown", onKey);
  openGoTo.set(page, prepareGoTo(page));
  at("back").addEventListener("click", () => go(state.index - 1, false));
  at("forward").addEventListener("click", () => go(state.index + 1, true));
  at("again").addEventListener("click", () => {
    timer.started = Date.now();
    remember();
    updateClock();
  });
  at("minutes").value = timer.minutes ?? "";
  at("minutes").addEventListener("input", () => {
    timer.minutes = Number(at("minutes").value) || null;
    remember();
    updateClock();
  });
  // Keys belong to the deck again when the number is there.
  at("minutes").addEventListener("keydown", (event) => {
    if (["Enter", "Escape"].includes(event.key)) at("minutes").blur();
  });
  // Pointing at the picture there points at the same place here.
  const point = (event) => {
    if (talk.laser || event.buttons & 1) showLaser(pointerOn(event, at("now")));
    else hideLaser();
  };
  ["pointerdown", "pointermove", "pointerup"].forEach((name) => at("now").addEventListener(name, point));
  at("now").addEventListener("pointerleave", hideLaser);
  preparePen(page);
  updateSpeaker();
  clearInterval(speakerClock);
  speakerClock = setInterval(updateClock, 500);
}

// Once this page is reloaded, it can no longer reach the window: S opens it again.
addEventListener("pagehide", () => speaker?.close());

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
  at("next").textContent = next ? next.title : say("The end");
  at("then").hidden = !next;
  if (next) at("then").src = next.still;
  updateClock();
}

// The time runs from the first step on.
function startTimer() {
  if (state.index >= 0) timer.started ||= Date.now();
}

function updateClock() {
  if (!speaker || speaker.closed) return;
  const at = (id) => speaker.document.getElementById(id);
  const seconds = timer.started ? (Date.now() - timer.started) / 1000 : 0;
  const now = new Date();
  at("clock").textContent = `${twoDigits(now.getHours())}:${twoDigits(now.getMinutes())}`;
  showTime(at("timer"), at("rest"), seconds, timer.minutes);
}
