// SPDX-License-Identifier: Apache-2.0
/**
 * Freivalds' check of a product in O(n²): C·x against op(A)·(op(B)·x) for a
 * random vector x of ±1. Each row's difference is held against the rounding
 * that a k-term dot product and the two vectors may honestly show:
 * |C·x - A·(B·x)| <= (k + n + 2)·u·|A|·|B|·|x|, with u the unit roundoff of the
 * element type (Higham, Accuracy and Stability of Numerical Algorithms, 3.5).
 * With integer elements whose sums are exact the difference must be zero.
 */

/** @typedef {import('../wasm/js/client.mjs').DenseMatrix} DenseMatrix */

/** y[i] = sum over j of op(M)[i][j] * x[j], in double; absolute: of |op(M)|.
 * @param {DenseMatrix} matrix
 * @param {boolean} transpose
 * @param {Float64Array} x
 * @param {boolean} absolute */
function apply({ rows, cols, data }, transpose, x, absolute) {
  const y = new Float64Array(transpose ? cols : rows);
  for (let i = 0; i < rows; i++) {
    const at = i * cols;
    if (transpose) {
      const scale = x[i];
      for (let j = 0; j < cols; j++) y[j] += (absolute ? Math.abs(data[at + j]) : data[at + j]) * scale;
    } else {
      let sum = 0;
      for (let j = 0; j < cols; j++) sum += (absolute ? Math.abs(data[at + j]) : data[at + j]) * x[j];
      y[i] = sum;
    }
  }
  return y;
}

/**
 * @param {{a: DenseMatrix, b: DenseMatrix, transposeA: boolean, transposeB: boolean}} factors
 * @param {DenseMatrix} c
 * @param {() => number} random in [0, 1)
 * @returns {{ok: boolean, exact: boolean, error: number}} error: the largest difference, relative to |A|·|B|·|x|;
 *   NaN when nothing is wrong and there are rows of which nothing can be compared: those of operands with NaN or infinities,
 *   and those that overflow the type of C
 */
export function checkProduct({ a, b, transposeA, transposeB }, c, random) {
  const k = transposeA ? a.rows : a.cols;
  const x = Float64Array.from({ length: c.cols }, () => (random() < 0.5 ? -1 : 1));
  const ones = new Float64Array(c.cols).fill(1);
  const expected = apply(a, transposeA, apply(b, transposeB, x, false), false);
  const scale = apply(a, transposeA, apply(b, transposeB, ones, true), true);
  const got = apply(c, false, x, false);
  const unit = c.dtype === 'float32' ? 2 ** -24 : 2 ** -53;
  const bound = (k + c.cols + 2) * unit;
  // No sum of a row is larger than its scale; up to half of what the type can hold, rounding overflows nothing.
  const safe = (c.dtype === 'float32' ? (2 - 2 ** -23) * 2 ** 127 : Number.MAX_VALUE) / 2;
  let error = 0;
  let blind = false;
  for (let i = 0; i < c.rows; i++) {
    const difference = Math.abs(got[i] - expected[i]);
    if (!Number.isFinite(difference) && !(scale[i] <= safe)) blind = true;
    else if (!Number.isFinite(difference)) return { ok: false, exact: false, error: Infinity };
    else if (difference > 0) error = Math.max(error, scale[i] > 0 ? difference / scale[i] : Infinity);
  }
  if (error > bound) return { ok: false, exact: false, error };
  return { ok: true, exact: error === 0 && !blind, error: blind ? NaN : error };
}
