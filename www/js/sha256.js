/**
 * SHA-256 of data that comes piece by piece (FIPS 180-4).
 *
 * `crypto.subtle.digest` wants everything at once, which a file of gigabytes does not allow, and
 * exists on pages that came over HTTPS or from localhost only.
 */

const BLOCK_BYTES = 64;
const ROUNDS = 64;

const PRIMES = firstPrimes(ROUNDS);

/** Section 4.2.2: "the first thirty-two bits of the fractional parts of the cube roots of the first sixty-four prime numbers". */
const K = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));

/** Section 5.3.3: the same of "the square roots of the first eight prime numbers". */
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/** One hash in the making. */
export class Sha256 {
  #state = INITIAL.slice();
  #block = new Uint8Array(BLOCK_BYTES);
  #view = new DataView(this.#block.buffer);
  #filled = 0;
  #length = 0;
  #schedule = new Int32Array(ROUNDS);

  /**
   * @param {Uint8Array | ArrayBuffer} data The next bytes, any number of them.
   * @returns {Sha256} This hash, for more.
   */
  update(data) {
    const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
    this.#length += bytes.length;
    let at = this.#fill(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (; bytes.length - at >= BLOCK_BYTES && this.#filled === 0; at += BLOCK_BYTES) this.#compress(view, at);
    this.#block.set(bytes.subarray(at), this.#filled);
    this.#filled += bytes.length - at;
    return this;
  }

  /**
   * Finish. The hash cannot be used any more after that.
   *
   * @returns {string} 64 hexadecimal digits.
   */
  hex() {
    this.#pad();
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** Complete a block that was begun before; returns how many bytes that took. */
  #fill(bytes) {
    if (this.#filled === 0 || this.#filled + bytes.length < BLOCK_BYTES) return 0;
    const taken = BLOCK_BYTES - this.#filled;
    this.#block.set(bytes.subarray(0, taken), this.#filled);
    this.#compress(this.#view, 0);
    this.#filled = 0;
    return taken;
  }

  /** Section 5.1.1: a bit 1, zeros, and the length in bits as 64 bits. */
  #pad() {
    const bits = this.#length * 8;
    this.#block.fill(0, this.#filled);
    this.#block[this.#filled] = 0x80;
    if (this.#filled >= BLOCK_BYTES - 8) {
      this.#compress(this.#view, 0);
      this.#block.fill(0);
    }
    this.#view.setUint32(BLOCK_BYTES - 8, Math.floor(bits / 2 ** 32));
    this.#view.setUint32(BLOCK_BYTES - 4, bits >>> 0);
    this.#compress(this.#view, 0);
  }

  /** Section 6.2.2, for the block that begins at `at`. */
  #compress(view, at) {
    const w = this.#expand(view, at);
    const state = this.#state;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let t = 0; t < ROUNDS; t += 1) {
      const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const first = (h + sum1 + ((e & f) ^ (~e & g)) + K[t] + w[t]) | 0;
      const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }

  /** Step 1 of section 6.2.2: the message schedule. */
  #expand(view, at) {
    const w = this.#schedule;
    for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + 4 * t);
    for (let t = 16; t < ROUNDS; t += 1) {
      const x = w[t - 15];
      const y = w[t - 2];
      const sigma0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const sigma1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = (sigma1 + w[t - 7] + sigma0 + w[t - 16]) | 0;
    }
    return w;
  }
}

function firstPrimes(count) {
  const primes = [];
  for (let number = 2; primes.length < count; number += 1) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return primes;
}

function fraction(root) {
  return Math.floor((root % 1) * 2 ** 32);
}
