/**
 * How good the call is, in numbers and small plots.
 */

import { element } from "./element.js";
import { Plot } from "./plot.js";
import { QualityMeter } from "./quality.js";
import { bitrateWords, candidateWords } from "./words.js";

const $ = (id) => document.getElementById(id);

/** The plots: canvas, label, unit, what the axis reaches at least, and the value of a sample. */
const PLOTS = [
  ["plot-trip", "Round trip", "ms", 50, ({ roundTripMs }) => roundTripMs],
  // a file goes as fast as it can: beside it, sound and picture would be a flat line
  ["plot-down", "Media received", "Mbit/s", 1, ({ mediaDownBitsPerSecond }) => mediaDownBitsPerSecond / 1e6],
  ["plot-up", "Media sent", "Mbit/s", 1, ({ mediaUpBitsPerSecond }) => mediaUpBitsPerSecond / 1e6],
  ["plot-loss", "Packets lost", "%", 5, ({ lossPercent }) => lossPercent],
];

/** The list: term, and words of a sample; a dash stands for what is not known. */
const FACTS = [
  ["Round trip", ({ roundTripMs }) => measure(roundTripMs, "ms")],
  ["Received", ({ downBitsPerSecond }) => bitrateWords(downBitsPerSecond)],
  ["Sent", ({ upBitsPerSecond }) => bitrateWords(upBitsPerSecond)],
  ["Of it media", (sample) => `${bitrateWords(sample.mediaDownBitsPerSecond)} in, ${bitrateWords(sample.mediaUpBitsPerSecond)} out`],
  ["Packets lost", ({ lossPercent }) => measure(lossPercent, "%", 1)],
  ["Jitter", ({ jitterMs }) => measure(jitterMs, "ms")],
  ["Picture", ({ video }) => (video?.width ? `${video.width} × ${video.height}, ${Math.round(video.framesPerSecond ?? 0)}/s, ${video.codec}` : "–")],
  ["Sound", ({ audio }) => audio?.codec || "–"],
  ["Path", ({ relayed }) => (relayed === null ? "–" : relayed ? "relayed" : "direct")],
  ["This side", ({ pair }) => candidateWords(pair?.local)],
  ["Other side", ({ pair }) => candidateWords(pair?.remote, true)],
];

/** Measures from the moment a call is connected, so that the plots have a past when they are opened. */
export class QualityView {
  #meter = null;
  #connection = null;
  #plots = [];
  #cells = [];

  /**
   * Follow a call.
   *
   * @param {import("./call.js").Call | null} call Null, or not connected: nothing is measured.
   */
  follow(call) {
    const connection = call?.connectedAt && !call.over ? call.connection : null;
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.#meter?.stop();
    this.#meter = null;
    if (!connection) return;
    this.#prepare();
    this.#meter = new QualityMeter(connection);
    this.#meter.addEventListener("sample", ({ detail }) => this.#show(detail));
    this.#meter.start();
  }

  /** Fit the plots to their place, which may just have appeared. */
  resize() {
    for (const [plot] of this.#plots) plot.resize();
  }

  #prepare() {
    this.#plots = PLOTS.map(([id, label, unit, least, read]) => [new Plot($(id), { label, unit, least }), read]);
    this.#cells = FACTS.map(([term, read]) => [element("dd", "", "–"), read, term]);
    $("quality-facts").replaceChildren(...this.#cells.flatMap(([cell, , term]) => [element("dt", "", term), cell]));
  }

  #show(sample) {
    for (const [plot, read] of this.#plots) plot.push(read(sample));
    for (const [cell, read] of this.#cells) cell.textContent = read(sample);
  }
}

function measure(value, unit, digits = 0) {
  return Number.isFinite(value) ? `${value.toFixed(digits)} ${unit}` : "–";
}
