"use strict";
// A text with its {names} filled in.
function filled(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** @type {Object<string, string>} the words of the page's scripts, by the English ones that stand there */
const TRANSLATED = JSON.parse(document.getElementById("translated").textContent);

// What a script puts on the page, in the page's language, with its {names} filled in.
function say(english, values) {
  return filled(TRANSLATED[english] ?? english, values);
}
