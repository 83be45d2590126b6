"use strict";
// Every word that the script puts on the page; what never changes stands in the template.
const WORDS = {
  plays: "Pause",
  paused: "Resume",
  holds: "Play again",
  pressForVoice: "Press M to hear the voice: the browser wants a key or a click first.",
  masked: "masked: the word comes later",
  cell: "row {row}, column {column}",
  channel: "channel",
  end: "The end",
  speaker: "Speaker: {title}",
  noWindow: "The browser blocked the speaker’s window: allow pop-ups for this page, or press N.",
  left: "{time} left",
  over: "{time} over",
  noBeat: "No beat has this number or name.",
  enter: "Enter",
  loopOn: "This beat plays over and over; press E to end it.",
  loopOff: "Each beat plays once.",
  loopStill: "There is no film to repeat here.",
  autoOn: "The deck goes on by itself; any key pauses it.",
  autoOff: "The deck waits for you.",
  autoPaused: "Paused. It goes on by itself after a minute without a key, or with A.",
  laserOn: "The pointer is on; press L to switch it off.",
  laserOff: "The pointer is off.",
  noLive: "This beat has no live picture.",
  live: { rank: "Turn the rank", patterns: "Open a pattern", rows: "Follow a token" },
  follow: "“{word}” ({position}): its numbers in every panel, in pink.",
  followColumns:
    "“{word}” ({position}): its numbers in every panel, in pink; in yellow, how the words look at it.",
  model: "the model itself",
  together: "{first} + {second} numbers",
  numbers: "{count} numbers",
  ofCached: "{count} of {cached}",
  fixed: "always {count} numbers",
  lost: "keys are off by {k}, values by {v}",
  nothingLost: "its own keys and values",
  looks: "“{query}” gives “{key}”: {values}",
  channelOf: "{what} of “{word}”, channel {channel}: {values}",
  keys: "keys",
  values: "values",
  valueOf: "{name} {value}",
  place: "layer {layer}, head {head}",
  previous: "{share} of its attention goes to the token right before",
  first: "{share} goes to the first token",
  firstHidden: "{share} goes to the first token, which is not drawn",
  oneLook: "“{query}” gives “{key}” {value}",
  pointAtCell: "Point at a cell to see its value.",
};

// A text of WORDS with its {names} filled in.
function say(name, values) {
  return WORDS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
