// The time of a talk, as its speaker reads it; and what the button for a film is called.

/** @type {Object<string, string>} by what the film does */
const PLAY_WORDS = { plays: say("Pause"), paused: say("Resume"), holds: say("Play again") };

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
  const time = clock(Math.abs(left));
  rest.textContent = left < 0 ? say("{time} over", { time }) : say("{time} left", { time });
  rest.dataset.state = left < 0 ? "over" : left < 6 * minutes ? "soon" : "";
}
