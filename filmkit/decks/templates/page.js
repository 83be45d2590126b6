// What the scripts of every page need: its data, its words, its elements.

/** @type {PageData} which each page describes in a script of its own */
const data = JSON.parse(document.getElementById("data").textContent);

const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");

const byId = (id) => document.getElementById(id);

function makeElement(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
