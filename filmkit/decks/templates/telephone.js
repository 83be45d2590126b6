// The speaker's telephone: it steps the deck, points, and shows what to say.

/**
 * The page's data, as filmkit/decks/talk.py writes it.
 * @typedef {object} PageData
 * @property {?number} minutes of the talk; null if none are given
 * @property {{ title: string, notes: string, alt: string, picture: string }[]} slides
 */

const slides = data.slides;
/** Where the talk is, as the server says it. */
const here = {
  index: 0,
  black: false,
  mode: "holds",
  since: 0,
  minutes: data.minutes,
  running: false,
  screen: false,
  connection: "lost",
  places: 0,
  votes: 0,
};
const tell = keepConnected((message) => HEAR[message.kind]?.(message), (connection, places) => {
  Object.assign(here, { connection, places });
  showConnection();
});

const HEAR = {
  at({ index, black, mode, elapsed, minutes, screen }) {
    Object.assign(here, { index, black, mode, minutes, screen, running: elapsed !== null });
    here.since = Date.now() - 1000 * (elapsed ?? 0);
    byId("black").setAttribute("aria-pressed", black);
    byId("play").dataset.mode = mode;
    byId("play").ariaLabel = byId("play").title = PLAY_WORDS[mode];
    showConnection();
    showSlide();
    showTimes();
  },
  vote(vote) {
    byId("votes").hidden = vote.slide === null;
    byId("result").hidden = vote.slide === null;
    here.votes = vote.count ?? 0;
    showConnection();
    if (vote.slide === null) return;
    byId("votes-count").textContent = say("Votes: {count}", { count: vote.count });
    byId("votes-state").textContent = vote.shown ? say("on the screen now") : say("only you see this");
    byId("result").textContent = vote.shown ? (vote.right === null ? say("Vote again") : say("Hide")) : say("Result");
    byId("votes-bars").replaceChildren(...voteBars(vote));
  },
};

function showConnection() {
  const { connection, places, screen } = here;
  const works = connection === "works" && screen;
  const why = {
    works: say("The deck is not open on the screen."),
    waits: say("Waiting for an answer…"),
    lost: say("No connection. Trying again…"),
    full: say("{count} telephones have joined already: close the page on one of them.", { count: places }),
  };
  byId("connection").textContent = works ? "" : why[connection];
  byId("connection").hidden = works;
  document.body.classList.toggle("works", works);
  // A button that is switched off would keep the keys to itself.
  if (!works && document.activeElement instanceof HTMLButtonElement) document.activeElement.blur();
  document.querySelectorAll("footer button").forEach((button) => (button.disabled = !works));
  byId("result").disabled ||= !here.votes;
  document.querySelectorAll("#goto-list button").forEach((button) => (button.disabled = !works));
}

function showSlide() {
  const slide = slides[here.index];
  const next = slides[here.index + 1];
  byId("where").textContent = `${here.index + 1} / ${slides.length}`;
  if (byId("title").textContent !== slide.title) byId("notes").scrollTop = 0;
  byId("title").textContent = slide.title;
  showPicture(byId("now"), slide);
  byId("now").alt = slide.alt;
  byId("next").textContent = next ? next.title : say("The end");
  byId("then").hidden = !next;
  if (next) showPicture(byId("then"), next);
  byId("notes").replaceChildren(...slide.notes.split("\n\n").map((part) => makeElement("p", part)));
}

function showPicture(image, { picture }) {
  if (image.getAttribute("src") !== picture) image.src = picture;
}

function showTimes() {
  const seconds = here.running ? (Date.now() - here.since) / 1000 : 0;
  showTime(byId("timer"), byId("rest"), seconds, here.minutes);
}
setInterval(showTimes, 500);

// Steps.

function press(message) {
  if (!document.body.classList.contains("works")) return;
  if (!lessMotion.matches) navigator.vibrate?.(15); // felt without a look
  tell(message, true);
}

const TWICE = 300; // milliseconds in which a thumb that trembles touches a button again
const stepped = { by: 0, at: -TWICE };

function step(by) {
  const at = performance.now();
  if (by === stepped.by && at - stepped.at < TWICE) return;
  Object.assign(stepped, { by, at });
  press({ kind: "step", by, seen: here.index });
}

const BUTTONS = {
  back: () => step(-1),
  forward: () => step(1),
  black: () => press({ kind: "black", on: !here.black }),
  play: () => press({ kind: "play", mode: here.mode }),
  result: () => byId("result").disabled || press({ kind: "result" }),
  "goto-button": openGoTo,
};
Object.entries(BUTTONS).forEach(([id, action]) => byId(id).addEventListener("click", action));

const KEYS = {
  ArrowRight: BUTTONS.forward,
  PageDown: BUTTONS.forward,
  " ": BUTTONS.forward,
  ArrowLeft: BUTTONS.back,
  PageUp: BUTTONS.back,
  Backspace: BUTTONS.back,
  b: BUTTONS.black,
  ".": BUTTONS.black,
  v: () => byId("result").hidden || BUTTONS.result(),
  g: openGoTo,
  r: BUTTONS.play,
  p: BUTTONS.play,
};
document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || byId("goto").open) return;
  if (key === " " && event.target.closest("button")) return;
  if (!KEYS[key]) return;
  event.preventDefault();
  KEYS[key]();
});

// Going to a beat.

byId("goto-list").append(
  ...slides.map((slide, index) => {
    const button = makeElement("button", `${index + 1}  ${slide.title}`);
    button.addEventListener("click", () => {
      byId("goto").close();
      press({ kind: "go", index, seen: here.index });
    });
    return button;
  })
);

function openGoTo() {
  [...byId("goto-list").children].forEach((button, i) => {
    if (i === here.index) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  byId("goto").showModal();
  byId("goto-list").querySelector("[aria-current]").focus();
}
byId("goto").addEventListener("click", (event) => event.target === byId("goto") && byId("goto").close());

// Pointing: a finger on the picture is the laser on the screen.

const LASER_EVERY = 33; // milliseconds
const LASER_STILL = 300; // milliseconds after which a finger that rests is told again
const now = byId("now");
const dot = byId("dot");
let pointed = 0; // when it was told last, by the clock of events
let resting = 0;

function point(event) {
  const box = now.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  const inside = at.every((part) => part >= 0 && part <= 1);
  dot.hidden = !inside;
  if (!inside) {
    clearInterval(resting);
    return tell({ kind: "laser", at: null });
  }
  dot.style.left = `${100 * at[0]}%`;
  dot.style.top = `${100 * at[1]}%`;
  const tellPlace = () => tell({ kind: "laser", at: at.map((part) => Number(part.toFixed(4))) });
  clearInterval(resting);
  resting = setInterval(tellPlace, LASER_STILL);
  if (event.timeStamp - pointed < LASER_EVERY) return;
  pointed = event.timeStamp;
  tellPlace();
}

function stopPointing() {
  clearInterval(resting);
  if (dot.hidden) return;
  dot.hidden = true;
  tell({ kind: "laser", at: null });
}

now.addEventListener("pointerdown", (event) => {
  now.setPointerCapture(event.pointerId);
  point(event);
});
now.addEventListener("pointermove", (event) => now.hasPointerCapture(event.pointerId) && point(event));
["pointerup", "pointercancel"].forEach((name) => now.addEventListener(name, stopPointing));
