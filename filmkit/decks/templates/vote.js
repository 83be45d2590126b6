// A telephone of the audience: the choices of the question on the screen, one of which is chosen.

/**
 * The page's data, as filmkit/decks/talk.py writes it.
 * @typedef {object} PageData
 * @property {string} title
 */

const asked = { slide: null, open: false, mine: null, right: null, connection: "lost", places: 0 };
const tell = keepConnected((message) => HEAR[message.kind]?.(message), (connection, places) => {
  Object.assign(asked, { connection, places });
  showState();
});

const HEAR = {
  vote({ slide, question, choices, open, mine, right }) {
    // Not with each message: a finger may be on a button.
    if (slide !== asked.slide) byId("choices").replaceChildren(...choices.map(choiceButton));
    Object.assign(asked, { slide, open, mine, right });
    byId("question").textContent = slide === null ? data.title : question;
    byId("choices").hidden = slide === null;
    showState();
  },
};

function choiceButton(choice, i) {
  const button = makeElement("button", choice);
  button.addEventListener("click", () => {
    if (!lessMotion.matches) navigator.vibrate?.(15);
    tell({ kind: "vote", slide: asked.slide, choice: i }, true);
  });
  return button;
}

function showState() {
  const { slide, open, mine, right, connection, places } = asked;
  const works = connection === "works";
  const buttons = [...byId("choices").children];
  buttons.forEach((button, i) => {
    button.setAttribute("aria-pressed", i === mine);
    button.classList.toggle("right", i === right);
    button.disabled = !open || !works;
  });
  const choice = buttons[mine]?.textContent;
  const told = buttons[right]?.textContent;
  const chosen = choice ? say("You chose “{choice}”. You can change it until the vote is closed.", { choice }) : say("Choose one.");
  const isRight = choice
    ? say("You chose “{choice}”; “{right}” is right.", { choice, right: told })
    : say("“{right}” is right.", { right: told });
  const answer = mine === right ? say("You are right: “{right}”.", { right: told }) : isRight;
  const closed = told ? answer : say("The vote is closed.");
  const text = slide === null ? say("The next question comes here by itself.") : open ? chosen : closed;
  const why = {
    waits: say("Waiting for an answer…"),
    lost: say("No connection. Trying again…"),
    full: say("{count} telephones vote already: this one can when one of them leaves.", { count: places }),
  };
  byId("state").textContent = works ? text : why[connection];
  byId("state").classList.toggle("lost", !works);
  byId("state").classList.toggle("told", Boolean(told));
}
