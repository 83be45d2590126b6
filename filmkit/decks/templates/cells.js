"use strict";
// The cells of the heatmaps on a picture: which one is under the pointer, its value, and what it
// is. Web decks and the studio share this; what a panel holds is written down in
// filmkit/decks/cells.py.

// How numbers are written in the language of the page.
const POINT = new Intl.NumberFormat(document.documentElement.lang)
  .formatToParts(0.5)
  .find((part) => part.type === "decimal").value;

// The projective map from the unit square to four corners, as a 3 x 3 matrix in row order.
function toCorners([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]) {
  const [dx1, dx2, dx3] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, dy3] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const area = dx1 * dy2 - dx2 * dy1;
  if (!area) return null;
  const g = (dx3 * dy2 - dx2 * dy3) / area;
  const h = (dx1 * dy3 - dx3 * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

// The inverse of a 3 x 3 matrix, up to a factor, which does not matter to a projective map.
function inverse([a, b, c, d, e, f, g, h, i]) {
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ];
}

function project(m, x, y) {
  const w = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w];
}

// The index of a cell along each axis of its tensor.
function tensorIndex({ panel, row, column }) {
  const spans = panel.index.filter(Array.isArray).length;
  const steps = panel.transposed ? [column, row] : [row, column];
  if (spans === 1) steps.shift();
  return panel.index.map((axis) => (Array.isArray(axis) ? axis[0] + steps.shift() : axis));
}

// A number with four significant digits.
function digits(value) {
  const size = Math.abs(value);
  const text = size && (size < 1e-4 || size >= 1e6) ? value.toExponential(3) : value.toPrecision(4);
  return text.replaceAll("-", "−").replace(".", POINT);
}

/** Reads arrays, and cells of the panels that show them. */
class CellReader {
  #decoded = new Map();

  /**
   * @param {object} given
   * @param {string[]} given.arrays base64 of 32-bit floats
   * @param {string[]} [given.tokens] what describe() needs: the tokens,
   * @param {Object<string, string>} [given.axes] a word for one step along each axis by its name,
   * @param {Object<string, string>} [given.words] and the other words, as cells.py has them
   */
  constructor({ arrays, tokens = [], axes = {}, words = {} }) {
    this.arrays = arrays;
    this.tokens = tokens;
    this.axes = axes;
    this.words = words;
  }

  /** The numbers of an array, whose bytes stand in the order of every machine that has a browser. */
  values(number) {
    if (!this.#decoded.has(number)) {
      const bytes = Uint8Array.from(atob(this.arrays[number]), (c) => c.charCodeAt(0));
      this.#decoded.set(number, new Float32Array(bytes.buffer));
    }
    return this.#decoded.get(number);
  }

  // One cell of a panel; null where it is not drawn, or seen exactly from the side.
  cell(panel, row, column) {
    panel.toPicture ??= toCorners(panel.corners);
    if (!panel.toPicture) return null;
    const value = this.values(panel.values)[row * panel.shape[1] + column];
    return Number.isNaN(value) ? null : { panel, row, column, value, masked: value === Infinity };
  }

  // The cell at a place of the picture, in pixels. A panel is seen in perspective: a projective
  // map, found from its corners, leads from the picture to its cells. Where panels overlap, the one
  // drawn last is on top; where it is not drawn, the one below is visible.
  at(panels, x, y) {
    for (let n = panels.length - 1; n >= 0; n--) {
      const panel = panels[n];
      panel.toPicture ??= toCorners(panel.corners);
      if (!panel.toPicture) continue;
      const [across, down] = project((panel.toPanel ??= inverse(panel.toPicture)), x, y);
      if (!(across >= 0 && across < 1 && down >= 0 && down < 1)) continue;
      const [rows, columns] = panel.shape;
      const cell = this.cell(panel, Math.floor(down * rows), Math.floor(across * columns));
      if (cell) return cell;
    }
    return null;
  }

  // The corners of a cell on the picture, as the points of a polygon.
  outline({ panel, row, column }) {
    const [rows, columns] = panel.shape;
    return [[0, 0], [1, 0], [1, 1], [0, 1]]
      .map(([x, y]) => project(panel.toPicture, (column + x) / columns, (row + y) / rows).join(","))
      .join(" ");
  }

  // Three lines about a cell: its value, what its row and column stand for, its place in the trace.
  describe(cell) {
    const { panel, row, column, value, masked } = cell;
    const number = masked ? this.words.masked : digits(value);
    if (!panel.axes.length) return [number, filled(this.words.cell, { row, column }), panel.name];
    const index = tensorIndex(cell);
    const words = panel.axes.map((axis, i) => {
      const step = this.axes[axis] ?? this.words.channel;
      const at = index[i];
      if (axis === "before") return this.words.before; // several positions as one
      if (!axis.endsWith("pos")) return `${step} ${at}`;
      return filled(this.words.step, { axis: step, word: this.tokens[at], position: at });
    });
    const entry = panel.tensor ? `${panel.tensor}[${index.join(", ")}]` : `[${index.join(", ")}]`;
    return [number, words.join("  ·  "), `${panel.name}  ·  ${entry}`];
  }
}
