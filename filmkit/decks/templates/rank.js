// The rank as a dial. All pictures of one kind stand beside each other: the model's own, then one
// for each kind of latent, and a mark shows the same cell in all of them.

// "picture" is what LivePictures.rank in filmkit/decks/live.py returns; "values" gives the numbers of
// one of its arrays.
const rank = { picture: null, values: null, size: null, mark: null };

const rankSides = () => [
  { name: say("the model itself"), ...rank.picture.model },
  ...rank.picture.latents.map(({ name, rungs }) => ({ name, ...rungs[rank.size] })),
];

function rankShape(kind) {
  const count = rank.picture.words.length;
  return [count, kind === "pattern" ? count : rank.picture.width[kind]];
}

function rankValue(side, kind, row, column) {
  if (kind === "pattern" && column > row) return null;
  return rank.values(side[kind])[row * rankShape(kind)[1] + column];
}

function buildRank(picture, values) {
  Object.assign(rank, { picture, values });
  const { sizes, start, words } = rank.picture;
  const dial = byId("rank-dial");
  dial.max = sizes.length - 1;
  dial.value = rank.size = start;
  byId("rank-ticks").replaceChildren(...sizes.map((size) => makeElement("span", size)));
  byId("rank-sides").replaceChildren(
    ...rankSides().map((side) => {
      const figure = document.createElement("figure");
      const text = document.createElement("figcaption");
      text.append(makeElement("b", side.name), makeElement("span", ""));
      const names = makeElement("ol", "");
      names.append(...words.map((word) => makeElement("li", word)));
      names.setAttribute("aria-hidden", "true");
      const pictures = ["pattern", "k", "v"].map((kind) => {
        const what = { pattern: say("layer {layer}, head {head}", rank.picture), k: say("keys"), v: say("values") }[kind];
        const box = document.createElement("div");
        box.className = `picture ${kind}`;
        const canvas = makeCanvas(rankShape(kind), "cells", `${side.name}: ${what}`);
        box.append(canvas, makeElement("i", ""));
        if (kind !== "pattern") box.append(makeElement("small", what));
        const mark = (event) => markRank(kind, cellOf(event, canvas));
        canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && mark(event));
        canvas.addEventListener("click", mark);
        return box;
      });
      figure.append(text, names, ...pictures, makeElement("p", ""));
      return figure;
    })
  );
  dial.addEventListener("input", () => turnRank(Number(dial.value)));
  turnRank(start);
  markRank("pattern", strongestCell());
}

// The cell where a word gives most to another one, the first drawn one left out, which often
// collects attention that is needed nowhere else.
function strongestCell() {
  let best = { row: 0, column: 0 };
  let most = -1;
  for (let row = 2; row < rank.picture.words.length; row++) {
    for (let column = 1; column < row; column++) {
      const value = rankValue(rank.picture.model, "pattern", row, column);
      if (value > most) [best, most] = [{ row, column }, value];
    }
  }
  return best;
}

const sizeWords = (side) =>
  side.parts.length === 2
    ? say("{first} + {second} numbers", { first: side.parts[0], second: side.parts[1] })
    : say("{count} numbers", side);

function turnRank(size) {
  rank.size = size;
  const { sizes, model, shared } = rank.picture;
  const count = say("{count} of {cached}", { count: sizes[size], cached: model.count });
  byId("rank-count").textContent = count;
  byId("rank-dial").setAttribute("aria-valuetext", say("{count} numbers", { count: sizes[size] }));
  const sides = rankSides();
  [...byId("rank-sides").children].forEach((figure, i) => {
    const side = sides[i];
    figure.querySelector("span").textContent = sizeWords(side);
    for (const kind of ["pattern", "k", "v"]) {
      const draw = (row, column) => rankValue(side, kind, row, column);
      paint(figure.querySelector(`.${kind} canvas`), rankShape(kind), draw, rank.picture.norms[kind]);
    }
    figure.querySelector("p").textContent = side.k_error
      ? say("keys are off by {k}, values by {v}", { k: side.k_error, v: side.v_error })
      : say("its own keys and values");
  });
  const heads = byId("rank").querySelector("thead tr").cells;
  byId("rank-rows").replaceChildren(
    ...[...sides, ...shared].map((side) => {
      const row = document.createElement("tr");
      const name = makeElement("th", side.name);
      name.scope = "row";
      const fixed = side.k_error === null && side !== sides[0];
      name.append(makeElement("small", fixed ? say("always {count} numbers", side) : sizeWords(side)));
      const bar = document.createElement("td");
      for (const [colour, count] of side.pieces) {
        const piece = makeElement("span", "");
        piece.style.background = colour;
        piece.style.width = `${(100 * count) / model.numbers}%`;
        bar.append(piece);
      }
      row.append(name, bar, ...[side.moved, side.next, side.says].map((text) => makeElement("td", text)));
      [...row.cells].forEach((cell, i) => (cell.dataset.label = heads[i].textContent));
      row.classList.toggle("same", side.numbers === sizes[size]);
      return row;
    })
  );
  if (rank.mark) markRank(rank.mark.kind, rank.mark);
  announce();
}

function markRank(kind, { row, column }) {
  if (kind === "pattern" && column > row) return;
  rank.mark = { kind, row, column };
  byId("rank-sides").querySelectorAll(".picture").forEach((box) => {
    const mark = box.querySelector("i");
    mark.hidden = !box.classList.contains(kind);
    placeMark(mark, rankShape(kind), row, column);
  });
  const words = rank.picture.words;
  const shown = rankSides().map((side) => {
    const value = rankValue(side, kind, row, column);
    return say("{name} {value}", { value: kind === "pattern" ? percent(value) : digits(value), name: side.name });
  });
  const values = shown.reduce((some, more) => say("{some}; {more}", { some, more }));
  const what = kind === "k" ? say("keys") : say("values");
  byId("rank-read").textContent =
    kind === "pattern"
      ? say("“{query}” gives “{key}”: {values}", { query: words[row], key: words[column], values })
      : say("{what} of “{word}”, channel {channel}: {values}", { what, word: words[row], channel: column, values });
}

