// SPDX-License-Identifier: Apache-2.0
/** Matrices that a person types or has made: text in several notations, and fillings of any size. */

/** @typedef {import('../wasm/js/client.mjs').DenseMatrix} DenseMatrix
 * @typedef {DenseMatrix['dtype']} DType
 * @typedef {'integers' | 'uniform' | 'normal' | 'waves' | 'identity'} Filling */

/** Input that is no matrix; the message is for people. */
export class MatrixError extends Error {}

/** @param {DType} dtype
 * @param {number} count
 * @returns {DenseMatrix['data']} */
const elements = (dtype, count) => dtype === 'float64' ? new Float64Array(count) : new Float32Array(count);

/**
 * Rows in lines (or between ";" or in [brackets]), numbers between spaces,
 * tabs or commas: what people paste from MATLAB, NumPy, a spreadsheet.
 * Throws MatrixError.
 * @param {string} text
 * @param {DType} dtype
 * @returns {DenseMatrix}
 */
export function parseMatrix(text, dtype) {
  const lines = text
    .replace(/\]\s*,?\s*\[/g, '\n').replace(/[[\]]/g, ' ').replace(/[−–]/g, '-')
    .split(/[\n;]/).map((line) => line.trim().replace(/,$/, '').trim()).filter((line) => line !== '');
  if (lines.length === 0) throw new MatrixError('no numbers yet');
  const rows = lines.map((line) => line.split(/\s*,\s*|\s+/));
  const cols = rows[0].length;
  const data = elements(dtype, rows.length * cols);
  rows.forEach((row, i) => {
    if (row.length !== cols) throw new MatrixError(`row ${i + 1} has ${row.length} numbers, row 1 has ${cols}`);
    row.forEach((word, j) => {
      const number = /^[+-]?(inf|infinity)$/i.test(word) ? (word.startsWith('-') ? -Infinity : Infinity) : /^nan$/i.test(word) ? NaN : Number(word);
      if (word === '' || (Number.isNaN(number) && !/^nan$/i.test(word))) {
        throw new MatrixError(`row ${i + 1}, column ${j + 1}: “${word.length > 40 ? `${word.slice(0, 40)}…` : word}” is not a number`);
      }
      data[i * cols + j] = number;
    });
  });
  return { rows: rows.length, cols, dtype, data };
}

/** A repeatable generator of numbers in [0, 1) (mulberry32).
 * @param {number} seed
 * @returns {() => number} */
export function randomFrom(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Periods of the pattern along each side. */
const WAVES = 2;

/** Sines: element (i, k) of the left factor, and cosines: (k, j) of the right, so
 * that the product is a sum of harmonics, a pattern that an eye can check.
 * @param {DenseMatrix} matrix
 * @param {boolean} left */
function fillWaves({ rows, cols, data }, left) {
  const points = left ? rows : cols;
  const wave = Float64Array.from({ length: points }, (_, i) => (left ? Math.sin : Math.cos)((2 * Math.PI * WAVES * i) / points));
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const harmonic = (left ? j : i) + 1;
      data[i * cols + j] = wave[((left ? i : j) * harmonic) % points] / (left ? harmonic : 1);
    }
  }
}

/**
 * @param {{rows: number, cols: number, dtype: DType, filling: Filling, seed: number, left: boolean}} wish
 *   left: the first factor of the product
 * @returns {DenseMatrix}
 */
export function makeMatrix({ rows, cols, dtype, filling, seed, left }) {
  const matrix = { rows, cols, dtype, data: elements(dtype, rows * cols) };
  const { data } = matrix;
  const next = randomFrom(seed);
  switch (filling) {
    case 'integers':
      for (let i = 0; i < data.length; i++) data[i] = Math.floor(next() * 9) - 4;
      break;
    case 'uniform':
      for (let i = 0; i < data.length; i++) data[i] = next();
      break;
    case 'normal': // Box and Muller, two at a time
      for (let i = 0; i < data.length; i += 2) {
        const radius = Math.sqrt(-2 * Math.log(1 - next()));
        const angle = 2 * Math.PI * next();
        data[i] = radius * Math.cos(angle);
        if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
      }
      break;
    case 'identity':
      for (let i = 0; i < Math.min(rows, cols); i++) data[i * cols + i] = 1;
      break;
    default:
      fillWaves(matrix, left);
  }
  return matrix;
}
