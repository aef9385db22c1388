// SPDX-License-Identifier: Apache-2.0
/**
 * The module's float32 kernel against tfjs-backend-wasm, in whatever runs this
 * file: the same operands, in turn, one thread each.
 */
import { MatmulClient, Tessera } from './js/tessera.mjs';

/** Rounds before the clock counts: engines compile hot code in the background. */
const WARM_UP = 8;

function operand(n, modulus, offset) {
  const data = new Float32Array(n * n);
  for (let i = 0; i < data.length; i++) data[i] = ((i * 7) % modulus) - offset;
  return data;
}

/**
 * @param {any} tf @tensorflow/tfjs-core with the backend wasm ready
 * @param {{module: unknown, n: number, rounds: number}} options
 * @returns {Promise<{n: number, tfjs: number[], kernel: number[], whole: number[]}>} milliseconds
 */
export async function contest(tf, { module, n, rounds }) {
  const tessera = await Tessera.create({ module, mode: 'serial' });
  const client = new MatmulClient(tessera);
  const a = operand(n, 11, 5);
  const b = operand(n, 9, 4);
  const ta = tf.tensor2d(a, [n, n]);
  const tb = tf.tensor2d(b, [n, n]);
  const matrix = (data) => ({ rows: n, cols: n, dtype: 'float32', data });
  const result = { n, tfjs: [], kernel: [], whole: [] };
  for (let round = -WARM_UP; round < rounds; round++) {
    let start = performance.now();
    const tc = tf.matMul(ta, tb);
    const tfjs = performance.now() - start;
    start = performance.now();
    const product = await client.multiply({ a: matrix(a), b: matrix(b) });
    const whole = performance.now() - start;
    if (round === -WARM_UP) {
      const theirs = tc.dataSync();
      if (product.c.data.some((value, index) => value !== theirs[index])) throw new Error('the products differ');
    }
    tc.dispose();
    if (round >= 0) {
      result.tfjs.push(tfjs);
      result.kernel.push(product.computeMs);
      result.whole.push(whole);
    }
  }
  tessera.close?.();
  return result;
}
