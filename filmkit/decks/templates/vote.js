// A telephone of the audience: the choices of the question on the screen, one of which is chosen.

/**
 * The page's data, as filmkit/decks/talk.py writes it.
 * @typedef {object} PageData
 * @property {string} title
 * @property {Object<string, string>} words
 */

const asked = { slide: null, open: false, mine: null, connected: false };
const tell = keepConnected((message) => HEAR[message.kind]?.(message), (connected) => {
  asked.connected = connected;
  showState();
});

const HEAR = {
  vote({ slide, question, choices, open, mine }) {
    Object.assign(asked, { slide, open, mine });
    byId("question").textContent = slide === null ? data.title : question;
    byId("choices").hidden = slide === null;
    byId("choices").replaceChildren(...choices.map(choiceButton));
    showState();
  },
};

function choiceButton(choice, i) {
  const button = makeElement("button", choice);
  button.addEventListener("click", () => {
    if (!lessMotion.matches) navigator.vibrate?.(15);
    tell({ kind: "vote", slide: asked.slide, choice: i });
  });
  return button;
}

function showState() {
  const { slide, open, mine, connected } = asked;
  [...byId("choices").children].forEach((button, i) => {
    button.setAttribute("aria-pressed", i === mine);
    button.disabled = !open || !connected;
  });
  const choice = mine === null ? "" : byId("choices").children[mine].textContent;
  const chosen = choice ? say("chosen", { choice }) : WORDS.choose;
  const text = slide === null ? WORDS.wait : open ? chosen : WORDS.closed;
  byId("state").textContent = connected ? text : WORDS.noConnection;
  document.body.classList.toggle("works", connected);
}
