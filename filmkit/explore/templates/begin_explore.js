// The dial of ranks, which decks have too; and the beginning.

drawers.rank = {
  build({ numbers, values }) {
    buildRank(numbers(), values);
    this.numbers = numbers;
  },
  draw() {
    rank.picture = this.numbers();
    turnRank(rank.size);
  },
};

byId("query").append(
  ...drawn.map((position) =>
    makeRadio("query", wordAt(position), position, position === chosen.query, () => choose({ query: position }))
  )
);
showChosen();
const light = matchMedia("(prefers-color-scheme: light)");
useTheme(light.matches);
light.addEventListener("change", () => useTheme(light.matches));
byId("theme").addEventListener("click", () => useTheme(themeName() === "dark"));

document.querySelectorAll(".asked button").forEach((button) =>
  button.addEventListener("click", () => {
    const section = button.closest(".part");
    section.querySelector(".shown").hidden = false;
    section.querySelector(".asked").classList.add("answered");
    section.querySelector(".answer").hidden = false;
    button.remove();
    answered.add(section.dataset.part);
    if (ready.has(section.dataset.part)) answer(section.dataset.part);
  })
);

// A part is loaded when it comes near.
const watcher = new IntersectionObserver(
  (entries) => entries.forEach((entry) => entry.isIntersecting && show(entry.target)),
  { rootMargin: "30% 0px" }
);
document.querySelectorAll(".part").forEach((section) => watcher.observe(section));
