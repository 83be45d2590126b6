// The heads on an arc, in space: a card with the pattern of each, its keys and values before it.

const RADIUS = 6; // of the arc, in widths of a card
const APART = 0.28; // from head to head, in radians
const EYE = [0, 1.25, 2.6], TARGET = [0, 0.72, -4], FIELD = 0.66; // the camera; its field in radians
const FORWARD = 2.9; // by which the chosen head comes nearer
const MIRROR = 0.16; // how much of the light the floor gives back
// What stands at each place of the arc: sizes, the middle's height, and how far before the card.
const QUADS = {
  pattern: { width: 1.45, height: 1.45, y: 1.2, before: 0 },
  name: { width: 0.9, height: 0.16, y: 0.39, before: 0.02 },
  keys: { width: 0.62, height: 0.3, x: -0.34, y: 0.2, before: 0.5 },
  values: { width: 0.62, height: 0.3, x: 0.34, y: 0.2, before: 0.5 },
};

const VERTEX = `
attribute vec2 position;
uniform mat4 matrix;
varying vec2 at;
void main() { at = position; gl_Position = matrix * vec4(position - 0.5, 0.0, 1.0); }`;

const FRAGMENT = `
precision mediump float;
varying vec2 at;
uniform sampler2D cells;
uniform vec3 rim;
uniform vec2 line;
uniform float light;
void main() {
  vec2 edge = min(at, 1.0 - at);
  bool border = edge.x < line.x || edge.y < line.y;
  gl_FragColor = light * (border ? vec4(rim, 1.0) : texture2D(cells, vec2(at.x, 1.0 - at.y)));
}`;

drawers.heads = {
  key: null, // the word that is compared with the one that looks
  widest: Infinity, // a picture that is wider leaves out what is above and below
  near: Array(data.heads).fill(0), // how far each head has come forward, from 0 to 1

  // The keys and values that heads read, and their patterns.
  get shown() {
    return { k: layer.k, v: layer.v, patterns: ownPatterns() };
  },

  // What is said of them beside what a head does.
  about: () => "",

  async build() {
    const matrix = makeMatrix(byId("head-matrix"), {
      positions: drawn,
      label: NAMES.pattern,
      onChoose: (query, key) => {
        this.key = key;
        choose({ query });
      },
      read: byId("head-read"),
    });
    this.matrix = matrix;
    this.plates = {};
    for (const [name, words] of [["k", say("keys")], ["v", say("values")]]) {
      this.plates[name] = makeCanvas([drawn.length, layer[name].shape[2]], "plate", words);
      const figure = makeElement("figure", "");
      figure.append(this.plates[name], makeElement("figcaption", words));
      byId("head-plates").append(figure);
    }
    this.turn = this.goal = this.placeOf(chosen.head);
    await Promise.all([data.library && loadScript(data.library), document.fonts.ready]);
    const canvas = byId("arc");
    this.gl = canvas.getContext("webgl", { antialias: true, alpha: true, premultipliedAlpha: true });
    if (this.gl) this.prepare(canvas);
    else this.standInARow();
  },

  // How far the arc is turned when a head is in front.
  placeOf: (head) => (head - (data.heads - 1) / 2) * APART,

  prepare(canvas) {
    const { gl } = this;
    canvas.setAttribute("aria-valuemax", data.heads - 1);
    this.program = twgl.createProgramInfo(gl, [VERTEX, FRAGMENT]);
    this.quad = twgl.createBufferInfoFromArrays(gl, {
      position: { numComponents: 2, data: [0, 0, 1, 0, 0, 1, 1, 1] },
      indices: [0, 1, 2, 2, 1, 3],
    });
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      drag = { x: event.clientX, goal: this.goal, far: 0 };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) return;
      drag.far = Math.max(drag.far, Math.abs(event.clientX - drag.x));
      this.turnTo(drag.goal - ((event.clientX - drag.x) / canvas.clientWidth) * 1.4);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (drag && drag.far < 6) this.pick(event, canvas);
      drag = null;
    });
    canvas.addEventListener("pointercancel", () => (drag = null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) this.turnTo(this.placeOf(this.inFront + step));
      else if (event.key === "Enter" || event.key === " ") choose({ head: this.inFront });
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => this.wake()).observe(canvas);
  },

  // Where there is no space: the same cards side by side.
  standInARow() {
    byId("arc").hidden = true;
    byId("no-space").hidden = byId("row-of-heads").hidden = false;
    byId("row-of-heads").replaceChildren(
      ...this.near.map((_, head) => {
        const button = makeElement("button", "");
        button.append(makeCanvas([drawn.length, drawn.length], "cells", ""), makeElement("span", say("head {head}", { head })));
        button.addEventListener("click", () => choose({ head }));
        return button;
      })
    );
  },

  // The head that is in front when the arc has turned.
  get inFront() {
    return Math.round(this.goal / APART + (data.heads - 1) / 2);
  },

  turnTo(goal) {
    const limit = this.placeOf(data.heads - 1);
    this.goal = Math.min(limit, Math.max(-limit, goal));
    const arc = byId("arc");
    arc.setAttribute("aria-valuenow", this.inFront);
    arc.setAttribute("aria-valuetext", say("head {head}", { head: this.inFront }));
    if (lessMotion.matches) this.turn = this.goal;
    this.wake();
  },

  wake() {
    this.frame ??= requestAnimationFrame(() => this.step());
  },

  step() {
    this.frame = null;
    this.turn += (this.goal - this.turn) * 0.16;
    if (Math.abs(this.goal - this.turn) < 1e-4) this.turn = this.goal;
    let moves = this.turn !== this.goal;
    this.near.forEach((near, head) => {
      const goal = head === chosen.head ? 1 : 0;
      const next = lessMotion.matches ? goal : near + (goal - near) * 0.16;
      this.near[head] = Math.abs(goal - next) < 1e-3 ? goal : next;
      moves ||= this.near[head] !== goal;
    });
    this.render();
    if (moves) this.wake();
  },

  // The matrix that brings the unit square to the place of a quad of a head.
  placed(head, { width, height, x = 0, y, before }) {
    const { m4 } = twgl;
    const away = RADIUS - before - FORWARD * (this.near[head]);
    let matrix = m4.rotationY(-(this.placeOf(head) - this.turn));
    matrix = m4.translate(matrix, [x, y, -away]);
    return m4.scale(matrix, [width, height, 1]);
  },

  get camera() {
    const { m4 } = twgl;
    const { width, height } = this.gl.canvas;
    // A narrow picture sees as far to the sides as a square one, and less of the floor.
    const narrow = Math.max(1, Math.min(1.5, 1.25 / (width / height)));
    const field = FIELD * narrow * Math.min(1, this.widest / (width / height));
    const projection = m4.perspective(field, width / height, 0.5, 40);
    return m4.multiply(projection, m4.inverse(m4.lookAt(EYE, TARGET, [0, 1, 0])));
  },

  render() {
    const { gl, program } = this;
    const { m4 } = twgl;
    twgl.resizeCanvasToDisplaySize(gl.canvas, Math.min(2, devicePixelRatio));
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(program.program);
    twgl.setBuffersAndAttributes(gl, program, this.quad);
    const camera = this.camera;
    const mirrored = m4.multiply(camera, m4.scaling([1, -1, 1]));
    // From the sides to the middle, so that what is nearer covers what is farther.
    const far = (head) => Math.abs(this.placeOf(head) - this.turn) - 10 * this.near[head];
    const order = this.near.map((_, head) => head).sort((a, b) => far(b) - far(a));
    const colours = Object.fromEntries(["ink", "faint", "key", "value"].map((name) => [name, themeColour(name).map((part) => part / 255)]));
    for (const [view, light] of [[mirrored, MIRROR], [camera, 1]]) {
      if (light < 1 && themeName() === "light") continue;
      for (const head of order) {
        for (const [name, quad] of Object.entries(QUADS)) {
          const rims = { pattern: head === chosen.head ? "ink" : "faint", keys: "key", values: "value" };
          const thick = name === "name" ? 0 : head === chosen.head ? 0.022 : 0.012;
          twgl.setUniforms(program, {
            matrix: m4.multiply(view, this.placed(head, quad)),
            cells: this.textures[head][name],
            rim: colours[rims[name] ?? "ink"],
            line: [thick / quad.width, thick / quad.height],
            light,
          });
          twgl.drawBufferInfo(gl, this.quad);
        }
      }
    }
  },

  pick(event, canvas) {
    const { m4 } = twgl;
    const { x, y } = pointerOn(event, canvas);
    const camera = this.camera;
    const hit = this.near.map((_, head) => head).filter((head) => {
      const matrix = m4.multiply(camera, this.placed(head, { ...QUADS.pattern, y: 0.75, height: 2.1 }));
      const [left, right] = [-0.5, 0.5].map((side) => m4.transformPoint(matrix, [side, 0, 0]));
      const [top, bottom] = [0.5, -0.5].map((side) => m4.transformPoint(matrix, [0, side, 0]));
      const [across, up] = [2 * x - 1, 1 - 2 * y];
      return left[2] < 1 && across >= left[0] && across <= right[0] && up <= top[1] && up >= bottom[1];
    });
    const nearest = hit.sort((a, b) => Math.abs(this.placeOf(a) - this.turn) - Math.abs(this.placeOf(b) - this.turn))[0];
    if (nearest !== undefined) choose({ head: nearest });
  },

  texture(shape, paintOn) {
    const canvas = makeCanvas(shape, "", "");
    paintOn(canvas);
    return this.textureOf(canvas, this.gl.NEAREST);
  },

  textureOf(canvas, mag) {
    const { gl } = this;
    const wrap = gl.CLAMP_TO_EDGE;
    return twgl.createTexture(gl, { src: canvas, min: gl.LINEAR, mag, wrap, auto: false, premultiplyAlpha: true });
  },

  nameTexture(head) {
    const canvas = makeCanvas([64, 360], "", "");
    const context = canvas.getContext("2d");
    context.font = '44px "Film", sans-serif';
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = getComputedStyle(root).getPropertyValue("--muted");
    context.fillText(say("head {head}", { head }), 180, 32);
    return this.textureOf(canvas, this.gl.LINEAR);
  },

  // Textures for the theme in use.
  paintCards({ patterns, ...tensors }) {
    const { theme, of } = this.painted ?? {};
    if (theme === themeName() && of === patterns) return;
    this.painted = { theme: themeName(), of: patterns };
    const { gl } = this;
    (this.textures ?? []).forEach((quads) => Object.values(quads).forEach((texture) => gl.deleteTexture(texture)));
    const count = drawn.length;
    this.textures = patterns.map((pattern, head) => {
      const plate = (name) =>
        this.texture([count, layer[name].shape[2]], (canvas) => paintPlate(canvas, name, tensors[name], setOf(head, tensors.k)));
      return {
        pattern: this.texture([count, count], (canvas) => paintPattern(canvas, pattern)),
        name: this.nameTexture(head),
        keys: plate("k"),
        values: plate("v"),
      };
    });
  },

  draw() {
    const { head, query } = chosen;
    const { shown } = this;
    const pattern = shown.patterns[head];
    if (this.key === null || this.key > query) this.key = strongestOf(pattern[query].slice(0, query + 1));
    this.matrix.draw((asking, key) => pattern[asking][key], normOf("pattern"), query, this.key);
    for (const [name, canvas] of Object.entries(this.plates)) {
      paintPlate(canvas, name, shown[name], setOf(head, shown.k));
    }
    const value = percent(pattern[query][this.key]);
    const looks = say("Head {head}: “{query}” gives “{key}” {value}.", { head, query: wordAt(query), key: wordAt(this.key), value });
    byId("head-read").textContent = sentences(looks, this.about());
    if (this.gl) {
      this.paintCards(shown);
      this.turnTo(this.placeOf(head));
    } else {
      [...byId("row-of-heads").children].forEach((button, each) => {
        paintPattern(button.firstChild, shown.patterns[each]);
        button.setAttribute("aria-pressed", each === head);
      });
    }
    announce();
  },
};
