"use strict";
for (const button of document.querySelectorAll("[data-film]")) {
  button.addEventListener("click", () => {
    const film = document.getElementById(button.dataset.film);
    const start = () => {
      film.currentTime = Number(button.dataset.start);
      film.play();
    };
    film.scrollIntoView({ block: "nearest" });
    if (film.readyState >= 1) start();
    else {
      film.addEventListener("loadedmetadata", start, { once: true });
      film.load();
    }
  });
}
// One film at a time.
document.addEventListener("play", (event) => {
  for (const film of document.querySelectorAll("video")) if (film !== event.target) film.pause();
}, true);
