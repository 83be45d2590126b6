// The dial of ranks, which decks have too; and the beginning.

drawers.rank = {
  build({ numbers, values }) {
    buildRank(numbers(), values);
    this.numbers = numbers;
  },
  draw() {
    if (rank.picture === this.numbers()) return; // they are of the theme, and of no word
    rank.picture = this.numbers();
    turnRank(rank.size);
  },
};

byId("query").append(
  ...drawn.map((position) =>
    makeRadio("query", wordAt(position), position, position === chosen.query, () => choose({ query: position }))
  )
);
const light = matchMedia("(prefers-color-scheme: light)");
useTheme(data.light ?? light.matches);
showChosen();
document.fonts.ready.then(showChosen); // whose words have other widths
if (data.light === null) light.addEventListener("change", () => useTheme(light.matches));
byId("theme").addEventListener("click", () => useTheme(themeName() === "dark"));

// A guess stays beside what is right: told in words and by shapes, and to a screen reader with the
// answer.
function markGuess(guess, answer) {
  const heard = [];
  for (const choice of guess.parentElement.children) {
    const right = "right" in choice.dataset;
    choice.disabled = true;
    choice.setAttribute("aria-pressed", choice === guess);
    if (choice !== guess && !right) continue;
    const mark = choice !== guess ? say("right") : right ? say("your guess, and right") : say("your guess");
    heard.push(`${choice.textContent}: ${mark}. `);
    choice.append(makeElement("small", mark));
  }
  const words = makeElement("span", heard.join(""));
  words.className = "unseen";
  answer.prepend(words);
}

function unmarkGuess(choices) {
  for (const choice of choices) {
    choice.disabled = false;
    choice.setAttribute("aria-pressed", false);
    choice.querySelector("small")?.remove();
  }
}

const sections = [...document.querySelectorAll(".part")];

// A part shows its answer, or asks again; what would tell the answer below it waits until then.
function showAnswer(section, shown) {
  const { part } = section.dataset;
  if (shown) answered.add(part);
  else answered.delete(part);
  section.querySelector(".asked").classList.toggle("answered", shown);
  const waiting = sections.filter(({ dataset }) => dataset.waits === part);
  const own = section.querySelectorAll(".shown, .answer, .again");
  for (const each of [...own, ...waiting.map((other) => other.querySelector(".told"))]) each.hidden = !shown;
  for (const other of waiting) other.querySelector(".waiting").hidden = shown;
}

for (const section of sections) {
  const words = section.querySelector(".answer");
  section.querySelectorAll(".asked button").forEach((button) =>
    button.addEventListener("click", () => {
      showAnswer(section, true);
      words.focus({ preventScroll: true }); // which would be lost with the button
      if (button.closest(".guesses")) markGuess(button, words);
      else button.remove();
      if (ready.has(section.dataset.part)) answer(section.dataset.part);
    })
  );
  section.querySelector(".again button")?.addEventListener("click", () => {
    const choices = section.querySelector(".guesses").children;
    showAnswer(section, false);
    unmarkGuess(choices);
    words.querySelector(".unseen").remove();
    choices[0].focus();
  });
  section.querySelector(".waiting button")?.addEventListener("click", () => {
    section.querySelector(".waiting").hidden = true;
    section.querySelector(".told").hidden = false;
    section.querySelector("h2").focus({ preventScroll: true });
  });
}

// What a screen reader says when the hand rests: the texts of the part in use. Another word changes
// the texts of all parts, and a drag changes one many times.
const REST = 400; // milliseconds
const SAID = ".read, .total, .own :is(p, small)";
let resting = null;

function sayAtRest(target) {
  clearTimeout(resting);
  resting = setTimeout(() => {
    const inView = sections.find((part) => part.getBoundingClientRect().bottom > innerHeight / 2);
    const part = target.closest(".part") ?? inView;
    byId("said").textContent = [...(part?.querySelectorAll(SAID) ?? [])].map((text) => text.textContent).join(" ");
  }, REST);
}
for (const kind of ["input", "click", "keyup", "pointerup"]) {
  document.body.addEventListener(kind, (event) => sayAtRest(event.target));
}

// A part is loaded when it comes near.
const watcher = new IntersectionObserver(
  (entries) => entries.forEach((entry) => entry.isIntersecting && show(entry.target)),
  { rootMargin: "30% 0px" }
);
sections.forEach((section) => watcher.observe(section));
