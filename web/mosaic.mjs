// SPDX-License-Identifier: Apache-2.0
/**
 * The picture of C: every tile where it lies, in the colour of who computed it,
 * brighter where its elements are larger. Redraws itself when its box changes.
 */

/**
 * @typedef {object} Stone a tile of the picture
 * @property {number} row
 * @property {number} col
 * @property {number} rows
 * @property {number} cols
 * @property {string} worker
 * @property {string} kernel
 * @property {number} computeMs
 * @property {import('./engine.mjs').Picture} picture
 */

/** Smalti: lapis (for this tab), terracotta, ochre, verdigris, porphyry, teal, rose, slate. */
const COLOURS = ['#2b5c9e', '#c2613d', '#d9a441', '#4f8a6b', '#7a4a86', '#2f8f9d', '#c0587e', '#6f7886'];
const WHITE = [255, 252, 244];
const BLACK = [12, 14, 24];
const APPEAR_MS = 220;
/** Very long matrices are drawn less long. */
const MAX_ASPECT = 3;

/** @param {string} hex
 * @returns {number[]} */
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

export class Mosaic {
  #canvas;
  #context;
  #rows = 0;
  #cols = 0;
  /** @type {{stone: Stone, image: HTMLCanvasElement, born: number}[]} */
  #stones = [];
  /** Worker → colour, in the order of their appearance. @type {Map<string, string>} */
  #colours = new Map();
  #frame = 0;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('this browser gives no canvas');
    this.#context = context;
    const box = /** @type {HTMLElement} */ (canvas.parentElement);
    // In the frame after: the canvas changes its box, which an observer may not do.
    new ResizeObserver(() => requestAnimationFrame(() => this.#fit())).observe(box);
  }

  /** A new, empty picture.
   * @param {number} rows
   * @param {number} cols */
  clear(rows, cols) {
    this.#rows = rows;
    this.#cols = cols;
    this.#stones = [];
    this.#colours.clear();
    this.#fit();
  }

  /** @param {Stone} stone */
  lay(stone) {
    this.#stones.push({ stone, image: this.#render(stone), born: this.#still.matches ? -Infinity : performance.now() });
    this.#schedule();
  }

  /** The colour of a worker; the same for as long as the picture stands.
   * @param {string} worker
   * @returns {string} */
  colourOf(worker) {
    let colour = this.#colours.get(worker);
    if (colour === undefined) {
      const taken = this.#colours.size - (this.#colours.has('local') ? 1 : 0);
      colour = worker === 'local' ? COLOURS[0] : COLOURS[1 + (taken % (COLOURS.length - 1))];
      this.#colours.set(worker, colour);
    }
    return colour;
  }

  /** The tile under a point of the canvas, in CSS pixels.
   * @param {number} x
   * @param {number} y
   * @returns {Stone | undefined} */
  at(x, y) {
    const col = (x / this.#canvas.clientWidth) * this.#cols;
    const row = (y / this.#canvas.clientHeight) * this.#rows;
    return this.#stones.find(({ stone }) => row >= stone.row && row < stone.row + stone.rows && col >= stone.col && col < stone.col + stone.cols)?.stone;
  }

  /** @param {Stone} stone
   * @returns {HTMLCanvasElement} */
  #render({ worker, picture: { width, height, shades } }) {
    const image = document.createElement('canvas');
    image.width = width;
    image.height = height;
    const base = rgb(this.colourOf(worker));
    const palette = Array.from({ length: 256 }, (_, shade) => {
      const t = (shade - 128) / 127;
      const to = t > 0 ? WHITE : BLACK;
      return base.map((channel, i) => channel + (to[i] - channel) * Math.abs(t) * 0.62);
    });
    const pixels = new ImageData(width, height);
    for (let i = 0; i < shades.length; i++) {
      const [r, g, b] = palette[shades[i]];
      pixels.data.set([r, g, b, 255], i * 4);
    }
    image.getContext('2d')?.putImageData(pixels, 0, 0);
    return image;
  }

  /** Gives the canvas the shape of C within its box. */
  #fit() {
    const box = /** @type {HTMLElement} */ (this.#canvas.parentElement);
    const width = box.clientWidth - 20;
    const most = Math.min(620, Math.max(260, window.innerHeight * 0.62));
    const aspect = Math.min(MAX_ASPECT, Math.max(1 / MAX_ASPECT, (this.#cols || 1) / (this.#rows || 1)));
    const cssWidth = Math.floor(Math.min(width, most * aspect));
    const cssHeight = Math.floor(cssWidth / aspect);
    const scale = window.devicePixelRatio || 1;
    this.#canvas.style.width = `${cssWidth}px`;
    this.#canvas.style.height = `${cssHeight}px`;
    const [points, lines] = [Math.round(cssWidth * scale), Math.round(cssHeight * scale)];
    if (this.#canvas.width !== points || this.#canvas.height !== lines) Object.assign(this.#canvas, { width: points, height: lines });
    this.#schedule();
  }

  #schedule() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = 0;
    const { width, height } = this.#canvas;
    const context = this.#context;
    const now = performance.now();
    context.clearRect(0, 0, width, height);
    let moving = false;
    for (const { stone, image, born } of this.#stones) {
      const age = Math.min(1, (now - born) / APPEAR_MS);
      moving ||= age < 1;
      this.#drawStone(stone, image, 1 - (1 - age) ** 3);
    }
    context.globalAlpha = 1;
    if (moving) this.#schedule();
  }

  /** @param {Stone} stone
   * @param {HTMLCanvasElement} image
   * @param {number} age 0 to 1 */
  #drawStone(stone, image, age) {
    const context = this.#context;
    const { width, height } = this.#canvas;
    const left = (stone.col / this.#cols) * width;
    const top = (stone.row / this.#rows) * height;
    const w = (stone.cols / this.#cols) * width;
    const h = (stone.rows / this.#rows) * height;
    const shorter = Math.min(w, h);
    const joint = Math.min(1.25 * (window.devicePixelRatio || 1), shorter * 0.08) + ((1 - age) * shorter) / 8;
    context.globalAlpha = age;
    context.save();
    context.beginPath();
    context.roundRect(left + joint, top + joint, Math.max(0, w - 2 * joint), Math.max(0, h - 2 * joint), shorter * 0.035);
    context.clip();
    context.drawImage(image, left, top, w, h);
    context.restore();
  }
}
