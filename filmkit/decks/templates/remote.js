// What a deck does while a server runs for its talk: telephones step it, and the audience votes.

const panel = byId("vote");
/** What it has told of itself, the vote that it shows, and how many telephones step it. */
const remote = { told: "", vote: null, telephones: 0 };
const tell = keepConnected((message) => HEAR[message.kind]?.(message), showConnection);

// The stage says in its attributes where the talk is.
const watch = new MutationObserver(report);
watch.observe(stage, { attributes: true, attributeFilter: ["data-index", "data-mode"] });
watch.observe(byId("black"), { attributes: true, attributeFilter: ["open"] });
setInterval(report, 1000); // the speaker's window may have started the time again

function report() {
  tellRight();
  const { started, minutes } = timer;
  const now = { kind: "at", index: state.index, black: byId("black").open, minutes };
  const told = JSON.stringify([now, started]);
  if (told === remote.told) return;
  remote.told = told;
  tell({ ...now, elapsed: started ? (Date.now() - started) / 1000 : null });
}

function showConnection(connected, replaced) {
  const button = byId("remote-button");
  button.dataset.state = connected ? "connected" : "alone";
  button.title = connected ? WORDS.telephones : replaced ? WORDS.replaced : WORDS.alone;
  byId("telephone-state").textContent = connected ? "" : button.title;
  remote.told = "";
  if (connected) report();
  else showVote({ slide: null });
}

const HEAR = {
  hello({ telephone, audience, network }) {
    for (const [name, { address, code }] of Object.entries({ telephone, audience })) {
      document.querySelectorAll(`img.${name}`).forEach((image) => (image.src = code));
      document.querySelectorAll(`p.${name}`).forEach((line) => (line.textContent = address));
    }
    document.querySelectorAll("p.only-here").forEach((line) => (line.hidden = network));
  },
  telephones({ count }) {
    // The code has been scanned: it does not stay where the audience could scan it too.
    if (count > remote.telephones) byId("telephone").close();
    remote.telephones = count;
    byId("telephone-state").textContent = say("telephonesNow", { count });
    byId("remote-button").classList.toggle("steps", count > 0);
  },
  step({ by }) {
    noticeSomebody();
    // As with a key: whatever is pressed, the picture comes back, and nothing else happens.
    if (byId("black").open) byId("black").close();
    else go(state.index + by, by > 0);
  },
  go({ index }) {
    noticeSomebody();
    if (byId("black").open) byId("black").close();
    go(index, false);
  },
  black() {
    noticeSomebody();
    toggleBlack();
  },
  laser({ at }) {
    if (at) showLaser({ x: at[0], y: at[1] });
    else hideLaser();
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
  panel.hidden = vote.slide === null;
  if (panel.hidden) return;
  byId("vote-join").hidden = !vote.open;
  byId("vote-bars").hidden = vote.open;
  byId("vote-count").textContent = say("votes", { count: vote.count });
  if (!vote.open) byId("vote-bars").replaceChildren(...voteBars(vote));
  tellRight();
}

// Which choice is right is said once the film of the answer has been seen.
function tellRight() {
  const told = state.mode === "holds" || panel.classList.contains("told");
  panel.classList.toggle("told", told && typeof remote.vote?.right === "number");
}

function resultOrCode() {
  if (remote.vote?.slide === state.index) tell({ kind: "result" });
  else openDialog(byId("join"));
}

Object.assign(KEYS, { v: resultOrCode, t: () => openDialog(byId("telephone")) });
panel.querySelector("img").addEventListener("click", () => openDialog(byId("join")));
byId("remote-button").addEventListener("click", () => openDialog(byId("telephone")));
[byId("join"), byId("telephone")].forEach((dialog) =>
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close())
);
