/**
 * QR codes (ISO/IEC 18004): byte mode, error correction level M, versions 1 to 20.
 *
 * Text is written as UTF-8. Readers take bytes for ISO 8859-1 unless told otherwise, so text
 * beyond ASCII is announced by an ECI header (section 7.4.2).
 */

import { errorCorrection } from "./reedsolomon.js";

const MAX_VERSION = 20;

/** Level M, versions 1 to 20 (table 9): error correction codewords of each block, and how many blocks. */
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

const ECI_UTF8 = [[0b0111, 4], [26, 8]];
const BYTE_MODE = 0b0100;
const PAD = [0xec, 0x11];
const QUIET_ZONE = 4;
const SVG = "http://www.w3.org/2000/svg";

/** Table 10: where a mask turns a module over. */
const MASKS = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (row, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

/**
 * Make a QR code.
 *
 * @param {string} text What it says; 666 bytes of ASCII at most, 665 of UTF-8 otherwise.
 * @returns {boolean[][]} Rows of modules without quiet zone; true is dark.
 * @throws {RangeError} If the text is too long.
 */
export function qrMatrix(text) {
  const bytes = new TextEncoder().encode(text);
  const header = bytes.length > text.length ? ECI_UTF8 : [];
  const version = chooseVersion(bytes.length, header.length ? 12 : 0);
  const codewords = interleave(encode(bytes, header, version), version);
  const symbol = new QrSymbol(version);
  symbol.place(codewords);
  return symbol.mask();
}

/**
 * Draw a QR code.
 *
 * @param {string} text What it says.
 * @param {{title: string}} options What it is, for who cannot see it.
 * @returns {SVGElement} A picture with its quiet zone, one unit per module, dark on white in dark
 *   mode, too: readers want it so.
 * @throws {RangeError} If the text is too long.
 */
export function qrSvg(text, { title }) {
  const matrix = qrMatrix(text);
  const size = matrix.length + 2 * QUIET_ZONE;
  const svg = element("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "shape-rendering": "crispEdges" });
  svg.setAttribute("aria-label", title);
  const label = element("title", {});
  label.textContent = title;
  svg.append(label, element("rect", { width: size, height: size, fill: "#fff" }), element("path", { d: outline(matrix), fill: "#000" }));
  return svg;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** One path for all: each run of dark modules in a row is a rectangle. */
function outline(matrix) {
  const runs = [];
  matrix.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x += 1;
      const width = x - start + 1;
      runs.push(`M${start + QUIET_ZONE} ${y + QUIET_ZONE}h${width}v1h-${width}z`);
    }
  });
  return runs.join("");
}

/** The smallest version that holds so many bytes after a header of so many bits. */
function chooseVersion(length, headerBits) {
  for (let version = 1; version <= MAX_VERSION; version += 1) {
    if (headerBits + 4 + countBits(version) + 8 * length <= 8 * dataCodewords(version)) return version;
  }
  const most = Math.floor((8 * dataCodewords(MAX_VERSION) - headerBits - 4 - countBits(MAX_VERSION)) / 8);
  throw new RangeError(`This text has ${length} bytes, and a QR code of this page holds ${most} at most: shorten it.`);
}

/** Table 3: how many bits the number of bytes has. */
function countBits(version) {
  return version < 10 ? 8 : 16;
}

function sizeOf(version) {
  return 17 + 4 * version;
}

/** Table 1: modules that are left for data, in whole codewords. */
function allCodewords(version) {
  const centres = alignmentCentres(version).length;
  const alignment = centres ? 25 * (centres * centres - 3) - 10 * (centres - 2) : 0;
  const versionInformation = version < 7 ? 0 : 36;
  const finders = 3 * 64;
  const format = 31;
  const timing = 2 * (sizeOf(version) - 16);
  return Math.floor((sizeOf(version) ** 2 - finders - format - timing - alignment - versionInformation) / 8);
}

function dataCodewords(version) {
  return allCodewords(version) - CORRECTION[version - 1] * BLOCKS[version - 1];
}

/** Annex E: rows and columns of the centres of alignment patterns. */
function alignmentCentres(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = sizeOf(version) - 7;
  const step = 2 * Math.ceil((last - 6) / (count - 1) / 2);
  return [6, ...Array.from({ length: count - 1 }, (_, index) => last - step * (count - 2 - index))];
}

/** Section 7.4: the data codewords, filled up with pad codewords. */
function encode(bytes, header, version) {
  const capacity = 8 * dataCodewords(version);
  const bits = [];
  const append = (value, length) => {
    for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >> bit) & 1);
  };
  for (const [value, length] of header) append(value, length);
  append(BYTE_MODE, 4);
  append(bytes.length, countBits(version));
  for (const byte of bytes) append(byte, 8);
  append(0, Math.min(4, capacity - bits.length)); // the terminator
  append(0, -bits.length & 7);
  for (let pad = 0; bits.length < capacity; pad ^= 1) append(PAD[pad], 8);
  const codewords = new Uint8Array(capacity / 8);
  bits.forEach((bit, index) => (codewords[index >> 3] |= bit << (7 - (index & 7))));
  return codewords;
}

/** Section 7.6: blocks of data, longer ones last, and their error correction, codeword by codeword in turn. */
function interleave(data, version) {
  const count = BLOCKS[version - 1];
  const short = Math.floor(data.length / count);
  const firstLong = count - (data.length % count);
  const blocks = Array.from({ length: count }, (_, index) => {
    const start = index * short + Math.max(0, index - firstLong);
    return data.subarray(start, start + short + (index < firstLong ? 0 : 1));
  });
  const corrections = blocks.map((block) => errorCorrection(block, CORRECTION[version - 1]));
  return [...inTurn(blocks, short + 1), ...inTurn(corrections, CORRECTION[version - 1])];
}

function inTurn(blocks, length) {
  return Array.from({ length }, (_, index) => blocks.filter((block) => index < block.length).map((block) => block[index])).flat();
}

/** The modules of a symbol: function patterns first, then data, then the best mask. */
class QrSymbol {
  #size;
  #version;

  /** True is dark. */
  #dark;

  /** Modules that no mask may turn over. */
  #fixed;

  constructor(version) {
    this.#version = version;
    this.#size = sizeOf(version);
    this.#dark = square(this.#size);
    this.#fixed = square(this.#size);
    this.#drawTiming();
    const far = this.#size - 4;
    for (const [row, column] of [[3, 3], [3, far], [far, 3]]) this.#drawRings(row, column, 4, [0, 1, 3]);
    this.#drawAlignment();
    this.#drawFormat(this.#dark, 0);
    this.#drawVersion();
  }

  /** Section 7.7.3: two columns at a time, from the right, upwards and downwards in turn. */
  place(codewords) {
    let bit = 0;
    for (let right = this.#size - 1, up = true; right > 0; right -= 2, up = !up) {
      if (right === 6) right = 5; // the column of the timing pattern
      for (let step = 0; step < this.#size; step += 1) {
        const row = up ? this.#size - 1 - step : step;
        for (const column of [right, right - 1]) {
          if (this.#fixed[row][column]) continue;
          this.#dark[row][column] = Boolean((codewords[bit >> 3] >> (7 - (bit & 7))) & 1);
          bit += 1;
        }
      }
    }
  }

  /** Section 7.8: the mask with the lowest penalty. */
  mask() {
    const candidates = MASKS.map((turns, number) => {
      const modules = this.#dark.map((row, y) => row.map((dark, x) => dark !== (!this.#fixed[y][x] && turns(y, x))));
      this.#drawFormat(modules, number);
      return modules;
    });
    const penalties = candidates.map(penalty);
    return candidates[penalties.indexOf(Math.min(...penalties))];
  }

  #set(row, column, dark) {
    if (row < 0 || column < 0 || row >= this.#size || column >= this.#size) return;
    this.#dark[row][column] = dark;
    this.#fixed[row][column] = true;
  }

  #drawTiming() {
    for (let at = 0; at < this.#size; at += 1) {
      this.#set(6, at, at % 2 === 0);
      this.#set(at, 6, at % 2 === 0);
    }
  }

  /** A square around a centre; `darkRings` are the distances from it that are dark. */
  #drawRings(centreRow, centreColumn, reach, darkRings) {
    for (let y = -reach; y <= reach; y += 1) {
      for (let x = -reach; x <= reach; x += 1) {
        this.#set(centreRow + y, centreColumn + x, darkRings.includes(Math.max(Math.abs(y), Math.abs(x))));
      }
    }
  }

  #drawAlignment() {
    const centres = alignmentCentres(this.#version);
    const last = this.#size - 7;
    for (const row of centres) {
      for (const column of centres) {
        const inFinder = (row === 6 && column === 6) || (row === 6 && column === last) || (row === last && column === 6);
        if (!inFinder) this.#drawRings(row, column, 2, [0, 2]);
      }
    }
  }

  /** Section 7.9: level M and the mask, twice. */
  #drawFormat(modules, mask) {
    const level = 0b00;
    const bits = withRemainder((level << 3) | mask, 10, 0x537) ^ 0x5412;
    const last = this.#size - 1;
    const put = (row, column, bit) => {
      modules[row][column] = Boolean((bits >> bit) & 1);
      this.#fixed[row][column] = true;
    };
    for (let bit = 0; bit < 15; bit += 1) {
      if (bit < 8) put(8, last - bit, bit);
      else put(last - 14 + bit, 8, bit);
      const beside = bit < 6 ? bit : bit + 1; // the timing pattern stands in between
      if (bit < 8) put(beside, 8, bit);
      else put(8, bit === 8 ? 7 : 14 - bit, bit);
    }
    modules[last - 7][8] = true;
    this.#fixed[last - 7][8] = true;
  }

  /** Section 7.10: larger symbols say how large they are, twice. */
  #drawVersion() {
    if (this.#version < 7) return;
    const bits = withRemainder(this.#version, 12, 0x1f25);
    for (let bit = 0; bit < 18; bit += 1) {
      const far = this.#size - 11 + (bit % 3);
      const near = Math.floor(bit / 3);
      this.#set(near, far, Boolean((bits >> bit) & 1));
      this.#set(far, near, Boolean((bits >> bit) & 1));
    }
  }
}

function square(size) {
  return Array.from({ length: size }, () => new Array(size).fill(false));
}

/** Annexes C and D: a value, followed by the remainder of its division by a polynomial. */
function withRemainder(value, degree, polynomial) {
  let rest = value << degree;
  for (let bit = 31 - Math.clz32(rest); bit >= degree; bit = 31 - Math.clz32(rest)) rest ^= polynomial << (bit - degree);
  return (value << degree) | rest;
}

/**
 * How hard a symbol is to read (section 7.8.3.1 and table 11).
 *
 * @param {boolean[][]} modules Rows of modules.
 * @returns {number} The sum of what the four rules cost.
 */
export function penalty(modules) {
  const columns = modules.map((_, x) => modules.map((row) => row[x]));
  const lines = [...modules, ...columns].map((line) => line.map(Number).join(""));
  return sum(lines.map(runPenalty)) + 3 * countBlocks(modules) + 40 * sum(lines.map(countFinderLike)) + balancePenalty(modules);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Rule 1: runs of five modules of one colour and more. */
function runPenalty(line) {
  return sum((line.match(/0{5,}|1{5,}/g) ?? []).map((run) => run.length - 2));
}

/** Rule 2: blocks of two by two modules of one colour. */
function countBlocks(modules) {
  let count = 0;
  for (let y = 1; y < modules.length; y += 1) {
    for (let x = 1; x < modules.length; x += 1) {
      const dark = modules[y][x];
      if (modules[y - 1][x] === dark && modules[y][x - 1] === dark && modules[y - 1][x - 1] === dark) count += 1;
    }
  }
  return count;
}

/** Rule 3: what looks like a finder pattern, "preceded or followed by light area 4 modules wide"; around the symbol all is light. */
function countFinderLike(line) {
  return (`0000${line}0000`.match(/(?<=0000)1011101|1011101(?=0000)/g) ?? []).length;
}

/** Rule 4: for each 5 % that the share of dark modules is away from one half. */
function balancePenalty(modules) {
  const share = sum(modules.flat().map(Number)) / modules.length ** 2;
  return 10 * Math.floor(Math.abs(share * 100 - 50) / 5);
}
