// How numbers become cells of a picture, which cell a pointer is on, and that one was chosen.

// Tell whoever listens, as a notebook does, that something was chosen in a picture.
const announce = () => document.dispatchEvent(new Event("choice"));

const maps = new Map();

// The 256 colours of a map of the page's data, three bytes each.
function colours(name) {
  if (!maps.has(name)) maps.set(name, Uint8Array.from(atob(data.maps[name]), (c) => c.charCodeAt(0)));
  return maps.get(name);
}

/**
 * How numbers become colours, as filmkit.core.norm has it; the width of its linear part is null if
 * all of it is linear.
 * @typedef {{ map: string, vmin: number, vmax: number, width: ?number }} Norm
 */

/**
 * Where a value lies in the 256 colours of a norm.
 * @param {number} value
 * @param {Norm} norm
 */
function level(value, { vmin, vmax, width }) {
  const stretch = (x) => (width === null ? x : Math.asinh(x / width));
  const place = (stretch(value) - stretch(vmin)) / (stretch(vmax) - stretch(vmin));
  return Math.round(255 * Math.min(1, Math.max(0, place)));
}

// A colour of the theme by its name, as red, green and blue.
function themeColour(name) {
  const written = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  return (written.match(/\w\w/g) ?? []).map((part) => parseInt(part, 16));
}

/**
 * Draw values, one pixel each.
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} shape rows and columns
 * @param {(row: number, column: number) => ?number} valueAt null is a cell that the causal mask removes
 * @param {Norm} norm
 */
function paint(canvas, [rows, columns], valueAt, norm, left = 0, top = 0) {
  const table = colours(norm.map);
  const masked = themeColour("masked");
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = valueAt(row, column);
      const start = value === null ? 0 : 3 * level(value, norm);
      const rgb = value === null ? masked : table.subarray(start, start + 3);
      image.data.set([...rgb, 255], 4 * (row * columns + column));
    }
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

/** @param {number[]} shape rows and columns */
function makeCanvas([rows, columns], kind, label) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.className = kind;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

/**
 * Lay a mark over a cell of a picture; its parent is as large as the picture.
 * @param {HTMLElement} mark
 * @param {number[]} shape rows and columns of the picture
 * @param {number} row
 * @param {number} column
 */
function placeMark(mark, [rows, columns], row, column) {
  mark.style.inset = `${(100 * row) / rows}% auto auto ${(100 * column) / columns}%`;
  mark.style.width = `${100 / columns}%`;
  mark.style.height = `${100 / rows}%`;
}

// Where a pointer is on an element, in shares of its width and height.
function pointerOn(event, element) {
  const box = element.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

// Which cell of a picture a pointer is on.
function cellOf(event, canvas) {
  const { x, y } = pointerOn(event, canvas);
  const limit = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
  return { row: limit(y, canvas.height), column: limit(x, canvas.width) };
}

// A share of attention, as the film writes it.
function percent(value) {
  const text = (100 * value).toFixed(100 * value >= 9.95 ? 0 : 1);
  const percents = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  return percents.format(0).replace("0", text.replace(".", POINT));
}
