/**
 * A small plot of one value over time.
 *
 * Its colours are the page's: `--plot-line` or else `--accent`, `--line` and `--muted`, as the
 * canvas inherits them. It is a picture to assistive technology, and its label says in words what
 * it shows. Nothing in it moves by itself, so there is nothing to hold still for who wants less
 * motion: each value is drawn once, where it belongs.
 */

const PADDING = 4;
const LINE_WIDTH = 2;
const FONT_PX = 11;

/** Axis maxima are one of these times a power of ten: they read well, halved too. */
const STEPS = [1, 2, 4, 5, 10];

/** A plot that new values enter from the right. */
export class Plot {
  #canvas;
  #label;
  #unit;
  #capacity;
  #least;
  #values = [];
  #size = { width: 0, height: 0, ratio: 1 };

  /**
   * @param {HTMLCanvasElement} canvas Where to draw; its CSS gives it its size.
   * @param {{label: string, unit: string, capacity?: number, least?: number}} options What is shown,
   *   how many values at once, and what the axis reaches at least: small changes shall look small.
   */
  constructor(canvas, { label, unit, capacity = 60, least = 0 }) {
    this.#canvas = canvas;
    this.#label = label;
    this.#unit = unit;
    this.#capacity = capacity;
    this.#least = least;
    canvas.setAttribute("role", "img");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", whileAlive(this, canvas));
    this.resize();
  }

  /**
   * @param {number | null} value The next value; null leaves a gap.
   */
  push(value) {
    this.#values.push(Number.isFinite(value) ? value : null);
    if (this.#values.length > this.#capacity) this.#values.shift();
    this.#draw();
  }

  /** Fit the canvas to its place and the screen, and draw anew. */
  resize() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    this.#size = { width, height, ratio: window.devicePixelRatio || 1 };
    this.#canvas.width = Math.round(width * this.#size.ratio);
    this.#canvas.height = Math.round(height * this.#size.ratio);
    this.#draw();
  }

  #draw() {
    this.#canvas.setAttribute("aria-label", this.#words());
    const { width, height, ratio } = this.#size;
    const context = this.#canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (width <= 2 * PADDING || height <= 2 * PADDING + FONT_PX) return;
    const colours = readColours(this.#canvas);
    const top = axisMaximum(Math.max(this.#least, ...this.#values));
    this.#drawGrid(context, colours, top);
    this.#drawLine(context, colours, top);
  }

  #drawGrid(context, { grid, text }, top) {
    const { width } = this.#size;
    context.strokeStyle = grid;
    context.lineWidth = 1;
    context.beginPath();
    for (const value of [0, top / 2, top]) {
      const y = Math.round(this.#y(value, top)) + 0.5; // in the middle of a pixel, so that the line is one pixel wide
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
    context.fillStyle = text;
    context.font = `${FONT_PX}px ${getComputedStyle(this.#canvas).fontFamily}`;
    context.textBaseline = "top";
    context.fillText(`${say(top)} ${this.#unit}`, 0, 0);
  }

  #drawLine(context, { line }, top) {
    context.strokeStyle = line;
    context.fillStyle = line;
    context.lineWidth = LINE_WIDTH;
    context.lineJoin = "round";
    context.lineCap = "round";
    context.beginPath();
    this.#values.forEach((value, index) => {
      if (value === null) return;
      const [x, y] = [this.#x(index), this.#y(value, top)];
      const alone = (this.#values[index - 1] ?? null) === null;
      if (alone) context.moveTo(x, y);
      context.lineTo(x, y); // to itself, where it begins: a value between two gaps is a dot
    });
    context.stroke();
  }

  /** The newest value is at the right edge, whether there are enough for the left one or not. */
  #x(index) {
    const step = (this.#size.width - 2 * PADDING) / Math.max(1, this.#capacity - 1);
    return this.#size.width - PADDING - (this.#values.length - 1 - index) * step;
  }

  #y(value, top) {
    const upper = PADDING + FONT_PX;
    const lower = this.#size.height - PADDING;
    return lower - (Math.max(value, 0) / top) * (lower - upper);
  }

  #words() {
    const known = this.#values.filter((value) => value !== null);
    if (!known.length) return `${this.#label}: no value yet`;
    const last = this.#values.at(-1);
    const now = last === null ? "not known now" : `${say(last)} ${this.#unit}`;
    return `${this.#label}: ${now}, between ${say(Math.min(...known))} and ${say(Math.max(...known))} ${this.#unit}`;
  }
}

/**
 * Where an axis ends.
 *
 * @param {number} largest The largest value; 0 or less if there is none.
 * @returns {number} The next round number that is not smaller.
 */
export function axisMaximum(largest) {
  if (!(largest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return STEPS.find((step) => step * power >= largest * (1 - Number.EPSILON)) * power;
}

/** Three digits are enough for a label. */
function say(value) {
  return String(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

function readColours(canvas) {
  const style = getComputedStyle(canvas);
  const read = (...names) => names.map((name) => style.getPropertyValue(name).trim()).find(Boolean) ?? style.color;
  return { line: read("--plot-line", "--accent"), grid: read("--line"), text: read("--muted") };
}

/** Redraw a plot as long as anybody else holds on to it: the page's media queries live for ever. */
function whileAlive(plot, canvas) {
  const plots = new WeakRef(plot);
  const canvases = new WeakRef(canvas);
  return () => canvases.deref()?.isConnected && plots.deref()?.resize();
}
