// What a deck does while a server runs for its talk: telephones step it, and the audience votes.

const panel = byId("vote");
/** What it has told of itself, the vote that it shows, and how many telephones step it. */
const remote = { told: "", vote: null, telephones: 0, greeted: false, fresh: requested < 0, pointing: 0 };
const POINTING = 1000; // milliseconds without a word from a telephone after which it points no more
const tell = keepConnected((message) => HEAR[message.kind]?.(message), showConnection);

// The stage says in its attributes where the talk is.
const watch = new MutationObserver(report);
watch.observe(stage, { attributes: true, attributeFilter: ["data-index", "data-mode"] });
watch.observe(byId("black"), { attributes: true, attributeFilter: ["open"] });
setInterval(report, 1000); // the speaker's window may have started the time again

function report() {
  tellRight();
  showVoteToSpeaker();
  if (!remote.greeted) return;
  const { started, minutes } = timer;
  const now = {
    kind: "at",
    index: state.index,
    black: byId("black").open,
    mode: state.mode,
    minutes,
    told: panel.classList.contains("told"),
  };
  const told = JSON.stringify([now, started]);
  if (told === remote.told) return;
  remote.told = told;
  tell({ ...now, elapsed: started ? (Date.now() - started) / 1000 : null });
}

function showConnection(connection) {
  const button = byId("remote-button");
  const connected = connection === "works";
  button.dataset.state = connected ? "connected" : "alone";
  const why = connection === "replaced"
    ? say("The deck is open in another window, which telephones step now.")
    : say("The server is gone: telephones no longer step this deck. The talk goes on.");
  button.title = connected ? say("Telephones (T)") : why;
  remote.greeted = false;
  if (connected) return;
  showVote({ slide: null });
  // Nobody can use what stands in them.
  [byId("join"), byId("telephone")].forEach((dialog) => dialog.close());
}

// What a telephone asks. It waits for a word, also if nothing came of it.
const ASKED = {
  step: ({ by, seen }) => seen === state.index && unlessBlack(() => go(state.index + by, by > 0)),
  go: ({ index, seen }) => seen === state.index && unlessBlack(() => go(index, false)),
  black: ({ on }) => on !== byId("black").open && toggleBlack(),
  play: ({ mode }) => mode === state.mode && unlessBlack(pauseOrResume),
};

// As with a key: whatever is pressed, the picture comes back, and nothing else happens.
function unlessBlack(action) {
  if (byId("black").open) byId("black").close();
  else action();
}

function answer(message) {
  noticeSomebody();
  ASKED[message.kind](message);
  remote.told = "";
  report();
}

const HEAR = {
  hello({ telephone, audience, network, place }) {
    for (const [name, { address, code }] of Object.entries({ telephone, audience })) {
      document.querySelectorAll(`img.${name}`).forEach((image) => (image.src = code));
      document.querySelectorAll(`p.${name}`).forEach((line) => (line.textContent = address));
    }
    document.querySelectorAll("p.only-here").forEach((line) => (line.hidden = network));
    if (place && remote.fresh) {
      timer.started = Date.now() - 1000 * place.elapsed;
      go(place.index, false);
    }
    Object.assign(remote, { greeted: true, fresh: false, told: "" });
    report();
  },
  telephones({ count }) {
    // The code has been scanned: it does not stay where the audience could scan it too.
    if (count > remote.telephones) byId("telephone").close();
    remote.telephones = count;
    byId("telephone-state").textContent = say("Telephones that step this deck now: {count}", { count });
    byId("remote-button").classList.toggle("steps", count > 0);
  },
  ...Object.fromEntries(Object.keys(ASKED).map((kind) => [kind, answer])),
  laser({ at }) {
    clearTimeout(remote.pointing);
    if (!at) return hideLaser();
    showLaser({ x: at[0], y: at[1] });
    remote.pointing = setTimeout(hideLaser, POINTING);
  },
  vote: showVote,
};

// A film that lies on the server is gone with it: its last picture is here.
players.forEach((player) =>
  player.addEventListener("error", () => {
    const index = Number(player.dataset.index);
    delete player.dataset.index;
    if (index !== state.index || state.mode === "holds") return;
    still.src = slides[index].still;
    still.hidden = false;
    setMode("holds");
  })
);

// Votes: their number while people choose, and what was chosen once the speaker asks for it.

function showVote(vote) {
  remote.vote = vote;
  panel.hidden = !vote.open && !vote.shown;
  byId("vote-join").hidden = !vote.open;
  byId("vote-bars").hidden = !vote.shown;
  byId("vote-count").textContent = say("Votes: {count}", vote);
  if (vote.shown) byId("vote-bars").replaceChildren(...voteBars(vote));
  report();
}

function showVoteToSpeaker() {
  if (!speaker || speaker.closed) return;
  const at = (id) => speaker.document.getElementById(id);
  const { vote } = remote;
  at("votes").hidden = !vote || vote.slide === null;
  if (at("votes").hidden) return;
  at("votes-count").textContent = say("Votes: {count}", vote);
  at("votes-state").textContent = vote.open ? say("The vote is open.") : say("The vote is closed.");
  at("votes").classList.toggle("told", panel.classList.contains("told"));
  at("votes-bars").replaceChildren(...(vote.open ? [] : voteBars(vote)));
}

// Which choice is right is said once the film of the answer has been seen.
function tellRight() {
  const { slide, right } = remote.vote ?? {};
  const told = state.mode === "holds" || panel.classList.contains("told");
  panel.classList.toggle("told", told && typeof right === "number" && slide === state.index - 1);
}

function resultOrCode(page) {
  const { vote } = remote;
  const isHere = vote && vote.slide !== null && [0, 1].includes(state.index - vote.slide);
  if (byId("join").open || !isHere) return openJoin(page);
  if (!vote.count) return showMessage(say("Nobody has voted yet."), page);
  tell({ kind: "result" });
}

function openJoin(page) {
  if (!remote.greeted) return showMessage(byId("remote-button").title, page);
  openDialog(byId("join"));
}

// The code steps the deck, and everybody sees it: it is shown at a second word only.
function openTelephone(page) {
  if (!remote.greeted) return showMessage(byId("remote-button").title, page);
  const covered = byId("telephone").open && byId("telephone-code").hidden;
  byId("telephone-code").hidden = !covered;
  byId("telephone-warning").hidden = covered;
  if (!covered) openDialog(byId("telephone"));
  byId("telephone").querySelector(covered ? "form button" : "#telephone-show").focus();
}

Object.assign(KEYS, { v: resultOrCode, t: openTelephone });
panel.querySelector("img").addEventListener("click", () => openJoin());
[byId("remote-button"), byId("telephone-show")].forEach((button) => button.addEventListener("click", () => openTelephone()));
[byId("join"), byId("telephone")].forEach((dialog) =>
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close())
);
