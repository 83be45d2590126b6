"use strict";
for (const button of document.querySelectorAll("button[data-film]")) {
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
// What a film says stands beside it, where it covers nothing; in a film that fills the screen, the
// browser shows it.
for (const said of document.querySelectorAll(".said")) {
  const film = document.getElementById(said.dataset.film);
  const { track } = film.querySelector("track");
  const place = () => (track.mode = document.fullscreenElement === film ? "showing" : "hidden");
  place();
  film.addEventListener("fullscreenchange", place);
  track.addEventListener("cuechange", () => {
    const words = [...track.activeCues].map((cue) => cue.text).join(" ");
    // Between two captions the first one stays.
    if (words) said.textContent = words;
  });
}
// One film at a time.
document.addEventListener("play", (event) => {
  for (const film of document.querySelectorAll("video")) if (film !== event.target) film.pause();
}, true);
