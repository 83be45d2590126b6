// Keys and buttons, and the first beat.

const KEYS = {
  ArrowRight: () => go(state.index + 1, true),
  ArrowDown: () => followNext(1) || go(state.index + 1, true),
  PageDown: () => go(state.index + 1, true),
  " ": () => go(state.index + 1, true),
  ArrowLeft: () => go(state.index - 1, false),
  ArrowUp: () => followNext(-1) || go(state.index - 1, false),
  PageUp: () => go(state.index - 1, false),
  Backspace: () => go(state.index - 1, false),
  Home: () => go(0, true),
  End: () => go(slides.length - 1, false),
  Escape: leave,
  r: () => play(),
  p: pauseOrResume,
  c: toggleCaptions,
  m: toggleMute,
  n: () => toggleNotes(),
  s: openSpeaker,
  o: () => openOverview(),
  f: toggleFull,
  b: toggleBlack,
  ".": toggleBlack,
  l: toggleLaser,
  d: toggleDrawing,
  z: () => toggleZoom(),
  g: (page) => openGoTo.get(page)(),
  e: toggleLoop,
  a: toggleAuto,
  x: openLive,
  "?": () => openDialog(byId("help")),
};

// Keys that work while something lies over the deck: those that a presenter's remote sends, and those
// that open and close it.
const OF_REMOTES = ["PageDown", "PageUp", "b", "."];
const WITH_LIVE = [...OF_REMOTES, "x"];
const WITH_DIALOG = [...OF_REMOTES, "ArrowLeft", "ArrowRight", "o", "?", "v", "t"];
const ONLY_WITH_OTHERS = ["Shift", "Control", "Alt", "Meta"];

function onKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const wanted = penAction(event, key);
  if (((event.ctrlKey || event.metaKey || event.altKey) && !wanted) || ONLY_WITH_OTHERS.includes(key)) return;
  if (event.repeat) return; // a key that is held counts once
  const page = event.target.ownerDocument ?? document;
  if (byId("black").open) {
    // Whatever is pressed, the picture comes back, and nothing else happens.
    event.preventDefault();
    return byId("black").close();
  }
  if (key !== "a") noticeSomebody(page);
  if (event.target.closest?.("input:not([type=range])") && !key.startsWith("Page")) return;
  const open = page.querySelector("dialog[open]");
  if (open && !(open.classList.contains("live") ? WITH_LIVE : WITH_DIALOG).includes(key)) return;
  // Space presses the button that has the focus.
  if (key === " " && event.target.closest?.("button")) return;
  const action = wanted ?? KEYS[key];
  if (!action) return;
  event.preventDefault();
  action(page);
}
document.addEventListener("keydown", onKey);
// Before anything else has a click: the pen keeps those on the picture to itself.
document.addEventListener("pointerdown", () => noticeSomebody(), true);

const BUTTONS = {
  back: () => go(state.index - 1, false),
  forward: () => go(state.index + 1, true),
  play: pauseOrResume,
  captions: toggleCaptions,
  "notes-button": () => toggleNotes(),
  mute: toggleMute,
  "pen-button": toggleDrawing,
  speaker: openSpeaker,
  "overview-button": () => openOverview(),
  full: toggleFull,
  "help-button": () => openDialog(byId("help")),
  "live-button": openLive,
  black: toggleBlack,
};
Object.entries(BUTTONS).forEach(([id, action]) => byId(id)?.addEventListener("click", () => action()));

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
["pointermove", "pointerdown", "keydown"].forEach((name) => document.addEventListener(name, wake, true));

// Open a dialog instead of another; close it if it is open.
function openDialog(dialog) {
  const opened = document.querySelector("dialog[open]");
  hideTip();
  opened?.close();
  if (opened !== dialog) dialog.showModal();
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
      button.addEventListener("click", () => go(i, false));
      const named = several && STARTS_SCENE[i] && slide.scene !== slide.title;
      return named ? [makeElement("h2", slide.scene), button] : [button];
    })
  );
  openDialog(byId("overview"));
  sheet.querySelector("[aria-current]").focus();
}
[byId("overview"), byId("help"), byId("rank"), byId("patterns")].forEach((dialog) =>
  dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close())
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
