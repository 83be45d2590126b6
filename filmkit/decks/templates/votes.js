// What was chosen, as bars: each choice, and below it its share.

/**
 * What is known of the votes on a question.
 * @typedef {{ choices: string[], counts: number[], count: number, right: ?number }} Vote
 * @property {string[]} choices
 * @property {number[]} counts votes for each choice
 * @property {number} count all votes
 * @property {?number} right the choice that is right, once that is said
 */

/**
 * A bar for each choice; the right one is marked.
 * @param {Vote} vote
 */
function voteBars({ choices, counts, count, right }) {
  const percents = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  return choices.map((choice, i) => {
    const share = count ? counts[i] / count : 0;
    const line = makeElement("li", "");
    const name = makeElement("span", choice);
    if (i === right) {
      const mark = makeElement("b", "✓ ");
      mark.role = "img";
      mark.ariaLabel = say("right");
      name.prepend(mark);
      line.className = "right";
    }
    const bar = document.createElement("i");
    bar.style.setProperty("--share", share);
    line.append(name, bar, makeElement("output", percents.format(share)));
    return line;
  });
}
