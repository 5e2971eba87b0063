/**
 * Reed–Solomon error correction codewords for QR codes (ISO/IEC 18004 section 7.5 and annex A).
 *
 * Codewords are elements of GF(2⁸), "using … the prime modulus polynomial x⁸ + x⁴ + x³ + x² + 1".
 */

const MODULUS = 0b1_0001_1101;

/** Powers of 2, twice over so that the sum of two logarithms is an index; and the logarithms. */
const POWERS = new Uint8Array(510);
const LOGARITHMS = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < 255; exponent += 1) {
  POWERS[exponent] = value;
  POWERS[exponent + 255] = value;
  LOGARITHMS[value] = exponent;
  value = (value << 1) ^ (value & 0x80 ? MODULUS : 0);
}

/**
 * @param {Uint8Array} data The data codewords of a block.
 * @param {number} count How many error correction codewords it gets.
 * @returns {Uint8Array} Those: the remainder of its division by the generator polynomial.
 */
export function errorCorrection(data, count) {
  const polynomial = generator(count);
  const rest = new Uint8Array(count);
  for (const codeword of data) {
    const factor = codeword ^ rest[0];
    rest.copyWithin(0, 1);
    rest[count - 1] = 0;
    polynomial.forEach((coefficient, index) => (rest[index] ^= multiply(coefficient, factor)));
  }
  return rest;
}

/** The product of (x − 2⁰) … (x − 2ⁿ⁻¹), highest power first, without its leading 1. */
function generator(degree) {
  const polynomial = new Uint8Array(degree);
  polynomial[degree - 1] = 1;
  for (let root = 0; root < degree; root += 1) {
    for (let index = 0; index < degree; index += 1) {
      polynomial[index] = multiply(polynomial[index], POWERS[root]) ^ (polynomial[index + 1] ?? 0);
    }
  }
  return polynomial;
}

function multiply(a, b) {
  return a === 0 || b === 0 ? 0 : POWERS[LOGARITHMS[a] + LOGARITHMS[b]];
}
