"use strict";
// A text with its {names} filled in.
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
