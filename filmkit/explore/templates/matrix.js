// A matrix whose cells can be chosen, with words at both sides; and rows of channels.

/**
 * A matrix in a figure: pointer and arrow keys choose a cell.
 * @param {HTMLElement} figure
 * @param {{ positions: number[], label: string, onChoose: (query: number, key: number) => void, read: HTMLElement }} given
 *   "read" says what is chosen, or why a cell cannot be
 */
function makeMatrix(figure, { positions, label, onChoose, read }) {
  const count = positions.length;
  const canvas = makeCanvas([count, count], "cells", label);
  const columns = makeElement("ol", "");
  const rows = makeElement("ol", "");
  for (const [list, kind] of [[columns, "columns"], [rows, "rows"]]) {
    list.className = kind;
    list.setAttribute("aria-hidden", "true");
    list.append(...positions.map((position) => makeElement("li", wordAt(position))));
  }
  const box = makeElement("div", "");
  box.className = "box";
  const mark = makeElement("i", "");
  box.append(canvas, mark);
  figure.style.setProperty("--count", count);
  figure.replaceChildren(columns, rows, box);
  const at = { row: count - 1, column: 0 };
  const pick = (row, column) => {
    if (column <= row) return onChoose(positions[row], positions[column]);
    read.querySelector("small")?.remove();
    const words = { query: wordAt(positions[row]), key: wordAt(positions[column]) };
    read.append(makeElement("small", say("This cell is masked: “{key}” comes after “{query}”, and no word looks ahead.", words)));
  };
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  const pointed = (event) => {
    const cell = cellOf(event, canvas);
    pick(cell.row, cell.column);
  };
  // A finger chooses by a tap: when it moves, it scrolls the page.
  canvas.addEventListener("click", pointed);
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && event.buttons & 1 && pointed(event));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const limited = (place) => Math.min(count - 1, Math.max(0, place));
    const row = limited(at.row + step[0]);
    pick(row, Math.min(row, limited(at.column + step[1])));
  });
  return {
    // Draw values by query and key, and mark one of them.
    draw(valueAt, norm, query, key) {
      paint(canvas, [count, count], (row, column) => (column > row ? null : valueAt(positions[row], positions[column])), norm);
      at.row = positions.indexOf(query);
      at.column = positions.indexOf(key);
      placeMark(mark, [count, count], at.row, at.column);
      [...rows.children].forEach((item, i) => item.classList.toggle("at", i === at.row));
      [...columns.children].forEach((item, i) => item.classList.toggle("at", i === at.column));
    },
  };
}

/** Draw the pattern of a head, of the drawn words; or what is "moved" in it. */
function paintPattern(canvas, pattern, norm = "pattern") {
  const size = [drawn.length, drawn.length];
  paint(canvas, size, (row, column) => (column > row ? null : pattern[drawn[row]][drawn[column]]), normOf(norm));
}

/**
 * Draw the keys or values of one set, a row for each drawn word.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name "k" or "v"
 * @param {Tensor} tensor (position, set, channel)
 * @param {number} set
 */
function paintPlate(canvas, name, tensor, set) {
  const shape = [drawn.length, tensor.shape[2]];
  paint(canvas, shape, (row, channel) => channels(tensor, drawn[row], set)[channel], normOf(name));
}

// A row of cells, one for each channel.
function makeStrip(kind, label) {
  const canvas = makeCanvas([1, 1], `strip ${kind}`, label);
  return {
    canvas,
    draw(values, norm) {
      canvas.width = values.length;
      paint(canvas, [1, values.length], (_, channel) => values[channel], norm);
    },
  };
}
