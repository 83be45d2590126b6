"use strict";
// The studio's page. The server tells what was drawn, in messages that filmkit/studio/artist.py
// describes; the page shows it, and asks for the numbers of the frame on which it stands.

const MANY_PANELS = 60;
const SETTLE = 120; // milliseconds that a frame must be stood on before its numbers are asked for
const RETRY = 1000; // milliseconds between two attempts to reach the studio
const SPEEDS = ["0.5", "1", "2"];

const byId = (id) => document.getElementById(id);

const stage = byId("stage"), picture = byId("picture"), scrubber = byId("scrubber");
const players = [...stage.querySelectorAll("video")];
const marks = [...byId("outline").children];

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// A number with so many digits after its point, as the language of the page writes it.
const written = (number, digits) => number.toFixed(digits).replace(".", POINT);
const one = (seconds) => written(seconds, 1);

// What the page shows. A beat has, once they are known: "still" and "film", addresses of its last
// picture and its film; "stale" while these are being drawn again; "start" and "frames", "seconds",
// "narration", "marks". "name" and "at" are the beat and its frame on which the page stands.
const state = {
  scenes: [],
  scene: "",
  choices: {},
  beats: [],
  total: 0, // number of frames of all beats
  unsure: false, // whether it is not known yet which beats are stale
  rate: 15,
  frame: [16, 9],
  name: "",
  touched: null, // the beat whose picture the last edit has changed first
  at: Infinity,
  playing: false,
  edited: false, // whether what is drawn now was edited, not chosen on the page
  pointer: null,
  began: 0, // when the last edit was noticed
  pictured: true, // whether a picture has come since
  tokens: [],
  axes: {},
  words: {},
};

const beatNamed = (name) => state.beats.find((beat) => beat.name === name);
const current = () => beatNamed(state.name);
const last = (beat) => Math.max(0, (beat.frames ?? 1) - 1);
const pressed = (id) => byId(id).getAttribute("aria-pressed") === "true";
const follows = () => state.edited && pressed("follow") && !state.playing;
const follow = (name) => name !== state.name && follows() && goTo(name, Infinity);
const film = (beat) => (beat && !beat.stale && !state.unsure ? beat.film : null);

// The connection to the studio.

let socket = null;

function connect() {
  socket = new WebSocket(`ws://${location.host}/session`);
  let answered = false;
  socket.addEventListener("message", (event) => {
    answered = true;
    const message = JSON.parse(event.data);
    HANDLERS[message.kind](message);
  });
  socket.addEventListener("close", () => {
    tell(say("The studio has ended; start it again in its terminal."));
    pause();
    own.lost();
    if (answered) lost();
    setTimeout(connect, RETRY);
  });
}

function lost() {
  frames.forget();
  showHint();
}

function send(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

// What is shown stands in the address, so that a page that is loaded again goes on.

function remember() {
  const kept = new URLSearchParams({ scene: state.scene, ...state.choices });
  [...kept].forEach(([name, value]) => value || kept.delete(name));
  history.replaceState(null, "", `/#${kept}`);
}

function show(scene, choices) {
  if (scene !== state.scene) {
    pause();
    Object.assign(state, { scene, beats: [], total: 0, name: "", at: Infinity });
    showBeats();
    showTrack();
    players.forEach((player) => player.classList.remove("front"));
    picture.hidden = true;
    showError("");
  }
  state.choices = choices;
  letChoose(false);
  showScene();
  remember();
  send({ kind: "show", scene, choices });
}

const HANDLERS = {
  hello({ scenes, scene, choices, models, missing }) {
    HANDLERS.scenes({ scenes });
    own.showModels(models, missing);
    tell("");
    const kept = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const wanted = scenes.some(({ name }) => name === kept.scene) ? kept.scene : scene;
    delete kept.scene;
    if (wanted) show(wanted, { ...choices, ...kept });
    else {
      state.choices = choices;
      letChoose(true);
      byId("scenes").querySelector("button")?.focus();
    }
  },

  scenes({ scenes }) {
    state.scenes = scenes;
    showScenes();
    showScene();
  },

  drawing({ edited }) {
    tell(say("drawing…"));
    Object.assign(state, { edited, began: performance.now(), pictured: false, unsure: true });
    frames.forget();
    // The frame on the page comes first.
    frames.settle();
  },

  model({ name, source, prompt, tokens, axes, words }) {
    Object.assign(state, { tokens, axes, words });
    byId("model").textContent = say("Numbers from {name}", { name });
    own.showTrace(source, prompt);
  },

  // A sentence that was asked for before the page was loaded again. Its messages follow, with the
  // seconds since each was first sent ("ago"), and whether the page had received it ("again").
  asked({ number, prompt, model, control, ago }) {
    if (!own.control) own.resume(number, prompt, model, control, ago);
  },

  step({ number, task, done, total, ago }) {
    if (own.awaits(number)) own.step(task, done, total, ago);
  },

  traced({ number, file, notes, more, waits, ago, again }) {
    if (!own.awaits(number)) return;
    if (waits) own.tell(notes);
    else own.traced(file, notes, more, ago, again);
  },

  refused({ number, text }) {
    if (own.awaits(number)) own.refused(text);
  },

  controls({ controls }) {
    showControls(controls);
  },

  beats({ beats, frame, frame_rate: rate, touched }) {
    const known = new Map(state.beats.map((beat) => [beat.name, beat]));
    Object.assign(state, { frame, rate, unsure: false });
    state.beats = beats.map((beat) => {
      const before = known.get(beat.name);
      // What has the picture of before has its film too.
      const stale = !before?.film || before.stale || beat.still !== before.still;
      return { ...before, ...beat, still: beat.still ?? before?.still, stale, redrawn: false };
    });
    document.documentElement.style.setProperty("--ratio", frame[0] / frame[1]);
    byId("outline").setAttribute("viewBox", `0 0 ${frame[0]} ${frame[1]}`);
    if (!current()) Object.assign(state, { name: beats[0].name, at: Infinity });
    state.touched = touched;
    if (touched) follow(touched);
    showBeats();
    refresh();
  },

  still({ beat, still }) {
    const drawn = beatNamed(beat);
    if (!drawn) return;
    Object.assign(drawn, { still, redrawn: true });
    tellPicture();
    showBeat(drawn);
    if (beat === state.name && state.at >= last(drawn) && !film(drawn)) showPicture(still);
  },

  plan({ beats }) {
    let start = 0;
    const others = ({ name, narration }) => (beatNamed(name)?.narration ?? narration) !== narration;
    const reworded = beats.find(others);
    for (const said of beats) {
      const beat = beatNamed(said.name);
      if (!beat) continue;
      Object.assign(beat, said, { film: said.film ?? beat.film, stale: !said.film, start });
      start += said.frames;
    }
    state.total = start;
    if (reworded && !state.touched) follow(reworded.name);
    showError("");
    showBeats();
    showTrack();
    resume();
  },

  film({ beat: name, film: address }) {
    const beat = beatNamed(name);
    if (!beat) return;
    Object.assign(beat, { film: address, stale: false });
    const ready = state.beats.filter(film).length;
    tell(say("films {ready} of {count}", { ready, count: state.beats.length }), { aloud: false });
    showBeat(beat);
    showTrack();
    if (name !== state.name) return;
    if (state.playing) startFilm();
    else showFrame();
  },

  done() {
    tell(say("all drawn after {seconds} s", { seconds: one(sinceEdit()) }));
  },

  // The last good films stay.
  error({ text }) {
    state.unsure = false;
    showError(text);
    tell(say("there is a mistake"));
    resume();
  },

  frame(answer) {
    frames.answered(answer);
  },
};

function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = !text;
  showHint();
}

// Say what is going on; how far the films are is not read out each time.
function tell(text, { aloud = true } = {}) {
  byId("status").setAttribute("aria-live", aloud ? "polite" : "off");
  byId("status").textContent = text;
}

const sinceEdit = () => (performance.now() - state.began) / 1000;

// Say how long the first picture after an edit took.
function tellPicture() {
  if (state.pictured) return;
  state.pictured = true;
  tell(say("picture after {seconds} s", { seconds: written(sinceEdit(), 2) }));
}

// The numbers of frames. One question is under way at a time; of those that come meanwhile, the
// last one counts.

const frames = {
  asked: null,
  wanted: null,
  known: null, // the answer for the frame on which the page stands
  reader: null,
  timer: 0,

  ask(beat, frame, withPicture) {
    this.wanted = { kind: "frame", beat, frame, picture: withPicture };
    if (!this.asked) this.next();
  },

  next() {
    [this.asked, this.wanted] = [this.wanted, null];
    if (this.asked) send(this.asked);
  },

  answered(answer) {
    this.asked = null;
    const beat = current();
    const here = beat && answer.beat === beat.name && answer.frame === Math.min(state.at, last(beat));
    if (here && !state.playing) {
      this.known = answer;
      if (!answer.error) {
        const { arrays } = answer;
        this.reader = new CellReader({ arrays, tokens: state.tokens, axes: state.axes, words: state.words });
        if (answer.picture && !film(beat)) {
          showPicture(answer.picture);
          tellPicture();
        }
      }
      showPanels(answer.panels ?? []);
      showMosaic();
      pointed();
    }
    this.next();
  },

  // The page has left the frame whose numbers are known.
  leave() {
    clearTimeout(this.timer);
    this.known = null;
    cursor = null;
    unmark();
    showMosaic();
  },

  // What was drawn before is not true any more.
  forget() {
    this.leave();
    this.asked = this.wanted = null;
  },

  // Ask for the numbers of the frame on which the page stands, and for its picture if there is no
  // film of it.
  settle() {
    const beat = current();
    if (!beat?.frames || state.playing) return this.leave();
    const frame = Math.min(state.at, last(beat));
    const drawn = Boolean(film(beat));
    const answers = (other) =>
      other?.beat === beat.name && other.frame === frame && (drawn || other.picture);
    if (!answers(this.known)) {
      this.leave();
      if (answers(this.wanted ?? this.asked)) return;
      if (drawn) this.timer = setTimeout(() => this.ask(beat.name, frame, false), SETTLE);
      else this.ask(beat.name, frame, true);
    }
    showHint();
  },
};

// Where the page stands.

function goTo(name, at) {
  state.name = name;
  const beat = current();
  state.at = beat.frames ? Math.max(0, Math.min(at, last(beat))) : at;
  showPosition();
  reveal(byId(`beat-${name}`));
}

// Scroll the list of beats until one of them is in sight. In a small window scrollIntoView would
// scroll the whole page, away from the film.
function reveal(beat) {
  if (!beat) return;
  const beyond = (low, high, start, end) => Math.min(0, low - start) + Math.max(0, high - end);
  for (const list of [byId("beats"), byId("beats").parentElement]) {
    const inside = beat.getBoundingClientRect();
    const around = list.getBoundingClientRect();
    list.scrollTop += beyond(inside.top, inside.bottom, around.top, around.bottom);
    list.scrollLeft += beyond(inside.left, inside.right, around.left, around.right);
  }
}

// Stand on another frame, as the user wants.
function stand(name, at) {
  if (!beatNamed(name)) return;
  const plays = state.playing;
  players.forEach((player) => player.pause());
  goTo(name, at);
  if (plays) startFilm();
  else refresh();
}

function refresh() {
  showPosition();
  if (state.playing) return;
  showFrame();
  frames.settle();
}

// Go on where the page stands, with the films that there are now.
function resume() {
  if (state.playing && players[front].paused) startFilm();
  refresh();
}

function standOnFrame(number) {
  const beat = state.beats.findLast(({ start }) => start <= number) ?? state.beats[0];
  if (beat) stand(beat.name, number - beat.start);
}

function frameNumber() {
  const beat = current();
  return beat?.frames ? beat.start + Math.min(state.at, last(beat)) : 0;
}

function step(count) {
  if (!state.total) return;
  pause();
  standOnFrame(Math.max(0, Math.min(state.total - 1, frameNumber() + count)));
}

function stepBeat(count) {
  const index = state.beats.findIndex(({ name }) => name === state.name);
  const beat = state.beats[index + count];
  if (beat) stand(beat.name, state.playing ? 0 : Infinity);
}

// Films. There are two players: the hidden one has the next film loaded already, so that nothing
// flickers between two beats.

let front = 0;

function playerOf(address) {
  let index = players.findIndex((player) => player.dataset.film === address);
  if (index < 0) {
    index = 1 - front;
    load(players[index], address);
  }
  return index;
}

function load(player, address) {
  if (player.dataset.film === address) return;
  player.dataset.film = address;
  player.src = address;
  player.load();
}

function bringForward(index) {
  front = index;
  players.forEach((player, i) => player.classList.toggle("front", i === index));
  picture.hidden = true;
  stage.dataset.shows = "film";
}

function showPicture(address) {
  const shown = state.name;
  picture.src = address;
  picture.decode().then(
    () => {
      if (shown !== state.name || film(current())) return;
      picture.hidden = false;
      stage.dataset.shows = "picture";
    },
    () => {}
  );
}

// Show the frame on which the page stands, while the film is paused.
function showFrame() {
  const beat = current();
  if (!beat) return;
  const address = film(beat);
  if (!address) {
    if (state.at >= last(beat) && beat.still) showPicture(beat.still);
    return;
  }
  const index = playerOf(address);
  const player = players[index];
  player.pause();
  // The middle of the frame, so that rounding cannot lead to its neighbours.
  player.wanted = (Math.min(state.at, last(beat)) + 0.5) / state.rate;
  if (player.readyState >= 1) player.currentTime = player.wanted;
}

players.forEach((player, index) => {
  player.addEventListener("loadedmetadata", () => {
    if (player.wanted !== undefined) player.currentTime = player.wanted;
  });
  player.addEventListener("seeked", () => {
    if (player.wanted === undefined || film(current()) !== player.dataset.film) return;
    // Where the film ends, the browser may stand at its end instead: the same frame.
    const apart = Math.abs(player.currentTime - player.wanted);
    if (apart > 0.5 / state.rate + 1e-3) player.currentTime = player.wanted;
    else if (!state.playing) bringForward(index);
  });
  player.addEventListener("ended", () => {
    if (index === front && state.playing) afterBeat();
  });
});

function setPlaying(on) {
  state.playing = on;
  byId("play").setAttribute("aria-pressed", on);
  byId("play").setAttribute("aria-label", on ? say("Pause") : say("Play"));
}

function play() {
  const beat = current();
  if (!beat?.frames) return;
  if (state.at >= last(beat)) {
    const index = state.beats.indexOf(beat);
    const following = pressed("loop") ? beat : state.beats[index + 1] ?? state.beats[0];
    goTo(following.name, 0);
  }
  setPlaying(true);
  frames.leave();
  showHint();
  startFilm();
}

function pause() {
  if (!state.playing) return;
  setPlaying(false);
  players.forEach((player) => player.pause());
  refresh();
}

// Play from where the page stands; a film that is not drawn yet starts when it is.
function startFilm() {
  const beat = current();
  const address = film(beat);
  if (!address) return;
  const index = playerOf(address);
  const player = players[index];
  players[1 - index].pause();
  player.wanted = undefined;
  const begin = () => {
    if (!state.playing || film(current()) !== address) return;
    player.currentTime = Math.min(state.at, last(beat)) / state.rate + 1e-3;
    player.playbackRate = Number(byId("speed").value);
    bringForward(index);
    player.play().catch(() => {});
    const following = state.beats[state.beats.indexOf(beat) + 1];
    if (film(following)) load(players[1 - index], following.film);
    requestAnimationFrame(tick);
  };
  if (player.readyState >= 2) begin();
  else player.addEventListener("loadeddata", begin, { once: true });
}

function tick() {
  const player = players[front];
  if (!state.playing || player.paused) return;
  state.at = Math.min(last(current()), Math.floor(player.currentTime * state.rate + 1e-3));
  showPosition();
  requestAnimationFrame(tick);
}

function afterBeat() {
  const index = state.beats.findIndex(({ name }) => name === state.name);
  const following = pressed("loop") ? state.beats[index] : state.beats[index + 1];
  if (!following) {
    state.at = Infinity;
    pause();
    return;
  }
  goTo(following.name, 0);
  startFilm();
}

// Texts and lists.

function showScenes() {
  const select = byId("scene");
  select.replaceChildren(
    element("option", say("choose a scene"), { value: "", disabled: "", selected: "" }),
    ...state.scenes.map(({ name, title }) => element("option", title, { value: name }))
  );
  byId("scenes").replaceChildren(
    ...state.scenes.map(({ name, title }) => {
      const item = element("li");
      const button = element("button");
      button.append(element("b", title), element("span", name));
      button.addEventListener("click", () => show(name, state.choices));
      item.append(button);
      return item;
    })
  );
}

function showScene() {
  if (!state.scene) return;
  byId("scene").value = state.scene;
  const entry = state.scenes.find(({ name }) => name === state.scene);
  document.title = `${entry ? entry.title : state.scene} · ${say("Studio")}`;
}

function letChoose(on) {
  byId("welcome").hidden = !on;
  byId("main").classList.toggle("choosing", on);
}

function showBeats() {
  const list = byId("beats");
  const wanted = state.beats.map(({ name }) => name).join();
  if (list.dataset.names !== wanted) {
    list.dataset.names = wanted;
    list.replaceChildren(
      ...state.beats.map(({ name }) => {
        const item = element("li");
        const button = element("button", "", { id: `beat-${name}` });
        button.append(
          element("img", "", { alt: "", hidden: "" }),
          element("span", "", { class: "blank" }),
          element("span", "", { class: "number" }),
          element("span", "", { class: "title" }),
          element("span", "", { class: "seconds" })
        );
        button.addEventListener("click", () => stand(name, state.playing ? 0 : Infinity));
        item.append(button);
        return item;
      })
    );
  }
  state.beats.forEach(showBeat);
  showPosition();
}

function showBeat(beat) {
  const button = byId(`beat-${beat.name}`);
  const number = state.beats.indexOf(beat) + 1;
  const [image, blank, count, title, seconds] = button.children;
  if (beat.still && image.getAttribute("src") !== beat.still) image.src = beat.still;
  image.hidden = !beat.still;
  blank.hidden = Boolean(beat.still);
  count.textContent = number;
  title.textContent = beat.title;
  seconds.textContent = beat.seconds ? say("{seconds} s", { seconds: one(beat.seconds) }) : "";
  const stale = beat.stale && !beat.redrawn && !beat.film;
  const named = { number, title: beat.title };
  button.dataset.stale = stale;
  button.setAttribute("aria-label", stale ? say("{number}: {title}, being drawn", named) : say("{number}: {title}", named));
}

function showTrack() {
  byId("track").replaceChildren(
    ...state.beats.map((beat) => {
      const part = element("div");
      part.style.flexGrow = beat.frames ?? 0;
      part.style.flexBasis = "0";
      part.dataset.beat = beat.name;
      part.classList.toggle("ready", Boolean(film(beat)));
      for (const { seconds, waited } of beat.marks ?? []) {
        const tick = element("i");
        tick.classList.toggle("quiet", !waited);
        tick.style.left = `${(100 * seconds) / beat.seconds}%`;
        part.append(tick);
      }
      return part;
    })
  );
  showPosition();
}

let narrated = null;

function showPosition() {
  const beat = current();
  for (const button of byId("beats").querySelectorAll("button")) {
    const here = button.id === `beat-${state.name}`;
    if (here) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  for (const part of byId("track").children) {
    part.classList.toggle("current", part.dataset.beat === state.name);
  }
  scrubber.disabled = !state.total || !beat?.frames;
  byId("title").textContent = beat?.title ?? "";
  if (!beat?.frames) {
    for (const id of ["now", "frame", "facts", "narration"]) byId(id).textContent = "";
    narrated = null;
    return;
  }
  const number = frameNumber();
  const at = number - beat.start;
  scrubber.max = state.total - 1;
  scrubber.value = number;
  const position = say("{title}, frame {frame}", { title: beat.title, frame: at + 1 });
  scrubber.setAttribute("aria-valuetext", position);
  stage.setAttribute("aria-label", position);
  stage.dataset.frame = number;
  const [now, whole] = [number / state.rate, state.total / state.rate];
  byId("now").textContent = say("{now} / {whole} s", { now: written(now, 2), whole: one(whole) });
  byId("frame").textContent = say("frame {frame} of {frames}", { frame: at + 1, frames: beat.frames });
  byId("facts").textContent = say("beat {number} of {count}  ·  {seconds} s  ·  {speed} words a minute", {
    number: state.beats.indexOf(beat) + 1,
    count: state.beats.length,
    seconds: one(beat.seconds),
    speed: Math.round(beat.words_per_minute),
  });
  if (narrated !== beat.narration || byId("narration").dataset.beat !== beat.name) narrate(beat);
}

// The narration, with a button at each mark that leads to the time at which it is said.
function narrate(beat) {
  narrated = beat.narration;
  const letters = [...beat.narration]; // as Python counts them
  const parts = [];
  let done = 0;
  for (const mark of beat.marks) {
    const space = letters.findIndex((letter, i) => i > mark.letters && /\s/.test(letter));
    const end = space < 0 ? letters.length : space;
    parts.push(letters.slice(done, mark.letters).join(""));
    const button = element("button", letters.slice(mark.letters, end).join(""));
    const time = { seconds: one(mark.seconds) };
    button.title = mark.waited
      ? say("Said {seconds} s after the beat begins; the beat waits for it", time)
      : say("Said {seconds} s after the beat begins", time);
    button.classList.toggle("quiet", !mark.waited);
    button.append(" ", element("small", say("{seconds} s", time)));
    button.addEventListener("click", () => stand(beat.name, Math.round(mark.seconds * state.rate)));
    parts.push(button);
    done = end;
  }
  parts.push(letters.slice(done).join(""));
  byId("narration").replaceChildren(...parts);
  byId("narration").dataset.beat = beat.name;
}

// The controls, from the list that the server sends.

let controlled = "";

function showControls(controls) {
  const wanted = JSON.stringify(controls);
  byId("compare-it").hidden = !controls.some(({ name }) => name === "compare");
  if (wanted === controlled) return; // lest a list closes that the user has just opened
  controlled = wanted;
  const focused = document.activeElement?.id;
  byId("controls").replaceChildren(
    ...controls.flatMap(({ name, label, value, options, others }) => {
      const select = element("select", "", { id: `control-${name}` });
      const all = others ? [...options, [null, say("another file…")]] : options;
      select.append(
        ...all.map(([choice, text]) => {
          const option = element("option", text, { value: choice ?? "\u0000" });
          option.selected = choice === value;
          return option;
        })
      );
      const title = element("label", label, { for: select.id });
      if (!others) {
        select.addEventListener("change", () => choose(name, select.value));
        return [title, select];
      }
      const field = element("input", "", {
        type: "text",
        placeholder: say("path of a file"),
        "aria-label": say("{label}: path of a file", { label }),
        spellcheck: "false",
        hidden: "",
      });
      field.addEventListener("change", () => field.value && choose(name, field.value));
      select.addEventListener("change", () => {
        field.hidden = select.value !== "\u0000";
        if (field.hidden) choose(name, select.value);
        else field.focus();
      });
      return [title, select, field];
    })
  );
  if (focused?.startsWith("control-")) byId(focused)?.focus();
}

function choose(name, value) {
  const choices = { ...state.choices, [name]: value };
  // Another model may not have that layer and head.
  if (name === "trace") Object.assign(choices, { layer: "", head: "" });
  show(state.scene, choices);
}

// A sentence of the user's own: its trace is made by the studio, and shown when it is there.

const own = {
  source: "", // the model of the trace that is shown
  number: 0, // how many sentences there were
  control: "", // what the last one will be: "trace" or "compare"; empty while none is traced
  prepared: "",
  began: 0,
  seconds: "", // how long it took, as text
  task: "",
  taskBegan: 0,

  showModels(models, missing) {
    byId("own").hidden = !models.length;
    byId("own-told").textContent = missing;
    byId("sentence-model").replaceChildren(...models.map((name) => element("option", name, { value: name })));
    byId("own-model").hidden = models.length < 2;
    this.chooseModel();
  },

  // The model of the trace that is shown comes first, if it is here.
  chooseModel(wanted = this.source) {
    const select = byId("sentence-model");
    if ([...select.options].some(({ value }) => value === wanted)) select.value = wanted;
  },

  showTrace(source, prompt) {
    byId("sentence").placeholder = prompt;
    if (source === this.source) return;
    this.source = source;
    this.chooseModel();
  },

  prepare() {
    const model = byId("sentence-model").value;
    if (this.prepared === model) return;
    this.prepared = model;
    send({ kind: "prepare", model });
  },

  awaits(number) {
    return this.control && number === this.number;
  },

  trace(control) {
    const prompt = byId("sentence").value.trim();
    if (!prompt) return;
    this.begin(this.number + 1, control);
    send({ kind: "trace", number: this.number, prompt, model: byId("sentence-model").value, control });
  },

  resume(number, prompt, model, control, ago) {
    byId("sentence").value = prompt;
    this.chooseModel(model);
    this.begin(number, control, ago);
  },

  begin(number, control, ago = 0) {
    Object.assign(this, { number, control, began: performance.now() - 1000 * ago, seconds: "", task: "" });
    byId("steps").replaceChildren();
    byId("own-error").textContent = "";
    byId("own-told").textContent = "";
    byId("stop-it").hidden = false;
    this.step(say("starting"), 0, 1, ago);
  },

  step(task, done, total, ago = 0) {
    const now = performance.now() - 1000 * ago;
    if (task !== this.task) {
      this.finishStep(now);
      Object.assign(this, { task, taskBegan: now });
      const item = element("li", "", { class: "now" });
      item.append(element("span", task), element("span"));
      byId("steps").append(item);
    }
    const share = total > 1 && done < total ? say("{done} of {total}", { done, total }) : "";
    byId("steps").lastElementChild.lastElementChild.textContent = share;
  },

  finishStep(now) {
    const item = byId("steps").lastElementChild;
    if (!item) return;
    item.classList.remove("now");
    item.lastElementChild.textContent = say("{seconds} s", { seconds: one((now - this.taskBegan) / 1000) });
  },

  traced(file, notes, more, ago = 0, again = false) {
    const { control } = this;
    // Once: while its model is converted, another trace may have been chosen.
    const first = !this.seconds && !again;
    this.seconds ||= one((performance.now() - this.began) / 1000 - ago);
    this.tell([say("Traced after {seconds} s", { seconds: this.seconds }), ...notes]);
    if (!more) {
      this.end();
      byId("steps").replaceChildren();
    }
    if (first && state.choices[control] !== file) choose(control, file);
  },

  tell(lines) {
    byId("own-told").textContent = lines.join("\n");
  },

  refused(text) {
    this.end();
    byId("steps").replaceChildren();
    byId("own-told").textContent = "";
    byId("own-error").textContent = text;
  },

  end() {
    this.finishStep(performance.now());
    Object.assign(this, { control: "", prepared: "", task: "" });
    byId("stop-it").hidden = true;
  },

  // The studio has ended, and with it the process that traces.
  lost() {
    if (this.control) this.stop();
    this.prepared = "";
  },

  stop() {
    send({ kind: "give_up", model: byId("sentence-model").value });
    this.end();
    byId("steps").replaceChildren();
    byId("own-told").textContent = "";
  },
};

// The inspector: the cell under the pointer, or the one that the arrow keys have reached.

let cursor = null;

function showHint() {
  const beat = current();
  const answer = frames.known;
  const reads = byId("error").hidden && socket?.readyState === WebSocket.OPEN;
  let text = reads ? say("Reading the numbers of this frame…") : "";
  if (!beat?.frames) text = "";
  else if (state.playing) text = say("Pause to see values.");
  else if (answer?.error) text = byId("error").hidden ? answer.error : "";
  else if (answer) text = answer.panels.length ? say("Point at a cell to see its value.") : say("No tensor is on this frame.");
  byId("hint").textContent = text;
  stage.dataset.numbers = answer && !answer.error ? `${answer.beat} ${answer.frame}` : "";
}

function showCell(cell) {
  const lines = cell ? frames.reader.describe(cell) : ["", "", ""];
  [...byId("cell").children].forEach((line, i) => {
    if (line.textContent !== lines[i]) line.textContent = lines[i];
  });
  byId("value").classList.toggle("masked", Boolean(cell?.masked));
  marks.forEach((mark) => mark.setAttribute("points", cell ? frames.reader.outline(cell) : ""));
  byId("hint").hidden = Boolean(cell);
}

function unmark() {
  showCell(null);
  byId("on-frame").hidden = true;
}

function pointed() {
  showHint();
  if (!frames.known?.panels) return;
  let cell = null;
  if (state.pointer) {
    const box = stage.getBoundingClientRect();
    const [width, height] = state.frame;
    cell = frames.reader.at(
      frames.known.panels,
      ((state.pointer.x - box.left) / box.width) * width,
      ((state.pointer.y - box.top) / box.height) * height
    );
  }
  showCell(cell ?? (cursor && frames.reader.cell(cursor.panel, cursor.row, cursor.column)));
}

function showPanels(panels) {
  byId("on-frame").hidden = !panels.length;
  const items = panels.slice(0, MANY_PANELS).map((panel) => {
    const item = element("li");
    const button = element("button", panel.name);
    button.append(element("span", panel.shape.join(" × ")));
    button.addEventListener("click", () => moveCursor(panel, 0, 0));
    button.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move || cursor?.panel !== panel) return;
      event.preventDefault();
      event.stopPropagation();
      moveCursor(panel, cursor.row + move[0], cursor.column + move[1]);
    });
    item.append(button);
    return item;
  });
  const more = panels.length - items.length;
  if (more > 0) items.push(element("li", say("and {count} more", { count: more })));
  byId("panels").replaceChildren(...items);
}

function moveCursor(panel, row, column) {
  const [rows, columns] = panel.shape;
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  cursor = { panel, row: within(row, rows), column: within(column, columns) };
  state.pointer = null;
  pointed();
}

stage.addEventListener("pointermove", (event) => {
  state.pointer = { x: event.clientX, y: event.clientY };
  if (state.playing) showHint();
  else pointed();
});
stage.addEventListener("pointerleave", () => {
  state.pointer = null;
  pointed();
});

// The mosaic from which the picture was made: what its author may move.

const pixels = (size) => written((size * 1080) / Math.min(...state.frame), 1);

function showMosaic() {
  const answer = pressed("mosaic") && frames.known?.panels ? frames.known : null;
  const mosaic = answer?.mosaic;
  byId("grid").hidden = !answer;
  byId("rows").textContent = mosaic ? aligned(mosaic.grid) : "";
  byId("fields").replaceChildren(...(mosaic ? fieldsOf(mosaic) : []));
  const sides = (mosaic?.parts ?? []).flatMap(({ sides }) => sides.filter(Boolean));
  const sizes = new Map(sides.map(({ axis, pitch }) => [axis, pitch]));
  const lines = [...sizes].map(([axis, pitch]) => say("a cell of {axis} is {size} px of 1080", { axis, size: pixels(pitch) }));
  lines.push(...(mosaic?.left_out ?? []).map((words) => say("no room for {words}", { words })));
  if (answer && !mosaic) lines.push(say("This picture is not made from a mosaic."));
  byId("axes").replaceChildren(...lines.map((line) => element("li", line)));
}

// The names of a mosaic, row by row in columns.
function aligned(grid) {
  const widths = grid[0].map((_, i) => Math.max(...grid.map((row) => row[i].length)));
  return grid.map((row) => row.map((name, i) => name.padEnd(widths[i])).join("  ").trimEnd()).join("\n");
}

function fieldsOf({ grid, fields, parts }) {
  const shown = new Set(parts.map(({ name }) => name));
  const empty = grid.flatMap((row, r) =>
    row.flatMap((name, c) => {
      if (shown.has(name)) return [];
      const field = placed(fields[r][c], "empty");
      if (!".|".includes(name)) field.append(element("span", name, { class: "name" }));
      return [field];
    })
  );
  return empty.concat(
    parts.flatMap(({ name, field: [rows, columns], box, sides: [down, across] }) => {
      const [left, top] = fields[rows[0]][columns[0]];
      const [, , right, bottom] = fields[rows[1] - 1][columns[1] - 1];
      const field = placed([left, top, right, bottom], "part");
      field.append(element("span", name, { class: "name" }));
      const cells = placed(box, "cells");
      for (const [side, kind] of [[across, "across"], [down, "down"]]) {
        if (!side) continue;
        const { axis, count, drawn } = side;
        const words = drawn < count ? say("{axis} {count} ({drawn} drawn)", { axis, count, drawn }) : `${axis} ${count}`;
        const told = element("span", words, { class: kind });
        told.append(element("small", ` × ${pixels(side.pitch)} px`));
        cells.append(told);
      }
      return down || across ? [field, cells] : [field];
    })
  );
}

// An element at a box of the picture.
function placed([left, top, right, bottom], kind) {
  const [width, height] = state.frame;
  const made = element("div", "", { class: kind });
  const share = (size, whole) => `${(100 * size) / whole}%`;
  Object.assign(made.style, {
    left: share(left, width),
    top: share(top, height),
    width: share(right - left, width),
    height: share(bottom - top, height),
  });
  return made;
}

// Buttons and keys.

const toggle = (id) => byId(id).setAttribute("aria-pressed", !pressed(id));
const toggleMosaic = () => {
  toggle("mosaic");
  showMosaic();
};
const togglePlay = () => (state.playing ? pause() : play());

function setSpeed(value) {
  byId("speed").value = value;
  players.forEach((player) => (player.playbackRate = Number(value)));
}

const KEYS = {
  " ": togglePlay,
  ",": () => step(-1),
  ".": () => step(1),
  ArrowLeft: (event) => step(event.shiftKey ? -state.rate : -1),
  ArrowRight: (event) => step(event.shiftKey ? state.rate : 1),
  ArrowUp: () => stepBeat(-1),
  ArrowDown: () => stepBeat(1),
  Home: () => stand(state.name, 0),
  End: () => stand(state.name, Infinity),
  l: () => toggle("loop"),
  e: () => toggle("follow"),
  m: toggleMosaic,
  s: () => setSpeed(SPEEDS[(SPEEDS.indexOf(byId("speed").value) + 1) % SPEEDS.length]),
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.target.closest("select, input[type=text], textarea")) return;
  // Space presses the button that has the focus.
  if (event.key === " " && event.target.closest("button")) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
});

scrubber.addEventListener("input", () => standOnFrame(Number(scrubber.value)));
byId("play").addEventListener("click", togglePlay);
byId("back").addEventListener("click", () => step(-1));
byId("forward").addEventListener("click", () => step(1));
byId("previous").addEventListener("click", () => stepBeat(-1));
byId("next").addEventListener("click", () => stepBeat(1));
byId("loop").addEventListener("click", () => toggle("loop"));
byId("follow").addEventListener("click", () => toggle("follow"));
byId("mosaic").addEventListener("click", toggleMosaic);
byId("speed").addEventListener("change", () => setSpeed(byId("speed").value));
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("own").addEventListener("submit", (event) => {
  event.preventDefault();
  own.trace(event.submitter?.id === "compare-it" ? "compare" : "trace");
});
byId("sentence").addEventListener("input", () => own.prepare());
byId("sentence").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("own").requestSubmit(byId("trace-it"));
});
byId("stop-it").addEventListener("click", () => own.stop());
byId("scene").addEventListener("change", () => show(byId("scene").value, state.choices));

document.documentElement.style.setProperty("--ratio", 16 / 9);
tell(say("connecting…"));
// The token is in a cookie now: nobody needs to see it in the address.
history.replaceState(null, "", `/${location.hash}`);
connect();
