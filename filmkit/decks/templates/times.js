// The time of a talk, as its speaker reads it.

const twoDigits = (n) => String(n).padStart(2, "0");
const clock = (seconds) => `${Math.floor(seconds / 60)}:${twoDigits(Math.floor(seconds) % 60)}`;

/**
 * Show how long a talk has taken, and how long it may still take.
 * @param {HTMLElement} elapsed
 * @param {HTMLElement} rest hidden without minutes
 * @param {number} seconds since the first step
 * @param {?number} minutes that the talk may take
 */
function showTime(elapsed, rest, seconds, minutes) {
  elapsed.textContent = clock(seconds);
  rest.hidden = minutes === null;
  if (minutes === null) return;
  const left = Math.ceil(60 * minutes - Math.floor(seconds));
  rest.textContent = say(left < 0 ? "over" : "left", { time: clock(Math.abs(left)) });
  rest.dataset.state = left < 0 ? "over" : left < 6 * minutes ? "soon" : "";
}
