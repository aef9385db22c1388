// SPDX-License-Identifier: Apache-2.0
/**
 * The page's Web Worker: holds the operands, the module and the product, so
 * that the page itself only draws. One product at a time.
 *
 * From the page: Order. To the page: News. See the typedefs.
 */
import { FetchCaller, MatmulClient, Tessera, TesseraError } from '../wasm/js/tessera.mjs';
import { checkProduct } from './check.mjs';
import { makeMatrix, MatrixError, parseMatrix, randomFrom } from './matrix.mjs';
import { checkNpyFile, NpyError, readNpy, writeNpy } from './npy.mjs';
import { size } from './words.mjs';

/**
 * @typedef {import('../wasm/js/client.mjs').DenseMatrix} DenseMatrix
 *
 * @typedef {{from: 'made', rows: number, cols: number, dtype: DenseMatrix['dtype'], filling: import('./matrix.mjs').Filling, seed: number}
 *   | {from: 'text', text: string, dtype: DenseMatrix['dtype']}
 *   | {from: 'file', file: File}} OperandSpec
 *
 * @typedef {'serial' | 'proxy' | 'adaptive' | 'server'} Place
 *
 * @typedef {{do: 'multiply', place: Place, workers: string[], a: OperandSpec, b: OperandSpec, transposeA: boolean, transposeB: boolean}
 *   | {do: 'stop'} | {do: 'describe'} | {do: 'save'}} Order
 *
 * @typedef {{is: 'begun', rows: number, cols: number, depth: number, dtype: string}
 *   | {is: 'tile', row: number, col: number, rows: number, cols: number, worker: string, kernel: string, computeMs: number, picture: Picture}
 *   | {is: 'computed', elapsedMs: number, gflops: number, stats: import('../wasm/js/client.mjs').ProductStats | undefined,
 *      streamed: boolean, corner: number[][]}
 *   | {is: 'checked', ok: boolean, exact: boolean, error: number}
 *   | {is: 'failed', code: string, message: string, operand?: 'A' | 'B'}
 *   | {is: 'stopped'}
 *   | {is: 'described', server: Described | undefined}
 *   | {is: 'saved', file: Blob, name: string}} News
 *
 * @typedef {{name: string, version: string, engine: string, workers: string[], mode: string}} Described
 *
 * @typedef {object} Picture brightness of a tile's elements, sampled: 128 is zero
 * @property {number} width
 * @property {number} height
 * @property {Uint8ClampedArray} shades
 */

/** The picture of C has about this many points along its longer side. */
const PICTURE_POINTS = 720;
/** Numbers shown from each side of C. */
const CORNER = 8;
const DESCRIBE_TIMEOUT_MS = 5000;
/** Of a product's message to the module in this tab. */
const TAB_MESSAGE_BYTES = 256 * 1024 * 1024;

const BASE = new URL('..', import.meta.url);
const page = /** @type {{postMessage: (news: News, transfer?: Transferable[]) => void, onmessage: ((event: MessageEvent<Order>) => void) | null}} */ (
  /** @type {unknown} */ (globalThis));

/** The module, and what it was configured with. @type {{tessera: Tessera, workers: string} | undefined} */
let local;
/** The compiled module: one download for all instances. @type {Promise<WebAssembly.Module> | undefined} */
let compiled;
/** What ends the product in progress. @type {AbortController | undefined} */
let running;
/** Of any message of a product. */
const MOST_MESSAGE_BYTES = 2 ** 31 - 1;
/** What the server takes in one message, as it told. */
let serverMessageBytes = MOST_MESSAGE_BYTES;
/** The last product. @type {DenseMatrix | undefined} */
let product;

/** An operand that cannot be used, with its name. */
class OperandError extends Error {
  /** @param {'A' | 'B'} operand
   * @param {string} message */
  constructor(operand, message) {
    super(message);
    this.operand = operand;
  }
}

/** What goes wrong with an operand, as an OperandError.
 * @template T
 * @param {'A' | 'B'} name
 * @param {() => Promise<T>} action
 * @returns {Promise<T>} */
async function about(name, action) {
  try {
    return await action();
  } catch (error) {
    if (error instanceof MatrixError || error instanceof NpyError) throw new OperandError(name, error.message);
    if (error instanceof RangeError) throw new OperandError(name, 'this browser has no memory for a matrix of that size');
    if (error instanceof DOMException) throw new OperandError(name, `the file cannot be read: ${error.message}`);
    throw error;
  }
}

/** @param {OperandSpec} spec
 * @param {'A' | 'B'} name
 * @returns {Promise<DenseMatrix>} */
const operand = (spec, name) => about(name, async () => {
  if (spec.from === 'text') return parseMatrix(spec.text, spec.dtype);
  if (spec.from === 'file') return readNpy(await spec.file.arrayBuffer());
  return makeMatrix({ ...spec, left: name === 'A' });
});

/** What an operand will take, where that is known before it is there.
 * @param {OperandSpec} spec
 * @param {'A' | 'B'} name
 * @returns {Promise<number>} */
async function bytesOf(spec, name) {
  if (spec.from === 'file') {
    await about(name, () => checkNpyFile(spec.file));
    return spec.file.size;
  }
  return spec.from === 'made' ? spec.rows * spec.cols * (spec.dtype === 'float64' ? 8 : 4) : 0;
}

/** Minutes may go by until matrices are made that are too large to be sent.
 * @param {Extract<Order, {do: 'multiply'}>} order */
async function checkRoom({ place, a, b }) {
  const bytes = await bytesOf(a, 'A') + await bytesOf(b, 'B');
  const most = place === 'server' ? serverMessageBytes : TAB_MESSAGE_BYTES;
  if (bytes > most) {
    throw new TesseraError('resource_exhausted', `A and B have ${size(bytes)} together; ${place === 'server' ? 'the server' : 'this tab'} takes ${size(most)}`);
  }
}

/** @returns {Promise<WebAssembly.Module>} */
async function compile() {
  const response = await fetch(new URL('wasm/tessera-module.wasm', BASE)).catch((error) => {
    throw new TesseraError('unavailable', `the module could not be loaded (${error.message})`);
  });
  if (!response.ok) throw new TesseraError('unavailable', `the module could not be loaded (HTTP ${response.status})`);
  return WebAssembly.compileStreaming(response);
}

/** The client of the module in this tab, in the mode that is asked for.
 * @param {'serial' | 'proxy' | 'adaptive'} mode
 * @param {string[]} workers
 * @returns {Promise<MatmulClient>} */
async function clientHere(mode, workers) {
  const wanted = workers.join('\n');
  if (local?.workers !== wanted) {
    local?.tessera.close();
    local = undefined;
    compiled ??= compile();
    compiled.catch(() => { compiled = undefined; }); // the next product tries again
    local = { tessera: await Tessera.create({ module: await compiled, workers, mode, engine: 'browser', maxMessageBytes: TAB_MESSAGE_BYTES }), workers: wanted };
  }
  const client = new MatmulClient(local.tessera);
  await client.setMode(mode); // also after a trap, which forgets it
  return client;
}

/** Brightness of a tile: a bounded, odd function of the value, of one scale for the whole product. */
class Painter {
  #step;
  #scale = 0;

  /** @param {number} rows
   * @param {number} cols of C */
  constructor(rows, cols) {
    this.#step = Math.max(1, Math.max(rows, cols) / PICTURE_POINTS);
  }

  /** @param {DenseMatrix} tile
   * @returns {Picture} */
  paint({ rows, cols, data }) {
    const width = Math.max(1, Math.round(cols / this.#step));
    const height = Math.max(1, Math.round(rows / this.#step));
    const values = new Float64Array(width * height);
    let squares = 0;
    for (let y = 0; y < height; y++) {
      const i = Math.floor(((y + 0.5) * rows) / height);
      for (let x = 0; x < width; x++) {
        const value = data[i * cols + Math.floor(((x + 0.5) * cols) / width)];
        values[y * width + x] = value;
        if (Number.isFinite(value)) squares += value * value;
      }
    }
    if (this.#scale === 0) this.#scale = Math.sqrt(squares / values.length);
    const scale = this.#scale || 1;
    const shades = new Uint8ClampedArray(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      shades[i] = 128 + 127 * (Number.isFinite(value) ? value / (Math.abs(value) + scale) : Math.sign(value));
    }
    return { width, height, shades };
  }
}

/** Puts a tile where it lies in C.
 * @param {DenseMatrix} c
 * @param {{row: number, col: number}} tile
 * @param {DenseMatrix} part */
function place(c, { row, col }, part) {
  if (part.dtype !== c.dtype || row + part.rows > c.rows || col + part.cols > c.cols) {
    throw new TesseraError('internal', `a tile of ${part.rows} × ${part.cols} at (${row}, ${col}) does not lie in the product`);
  }
  for (let i = 0; i < part.rows; i++) {
    c.data.set(part.data.subarray(i * part.cols, (i + 1) * part.cols), (row + i) * c.cols + col);
  }
}

/** The tiles as they come; in one piece where the other side does not stream.
 * @param {MatmulClient} client
 * @param {import('../wasm/js/client.mjs').Product} factors
 * @param {AbortSignal} signal
 * @param {() => void} whole called when it comes in one piece
 * @returns {AsyncGenerator<import('../wasm/js/client.mjs').TileResult>} */
async function* tilesOf(client, factors, signal, whole) {
  let any = false;
  try {
    for await (const result of client.multiplyTiles(factors, { signal })) {
      any = true;
      yield result;
    }
    return;
  } catch (error) {
    if (any || !(error instanceof TesseraError) || error.code !== 'unimplemented') throw error;
  }
  whole();
  yield await client.multiply(factors, { signal });
}

/** Shapes that fit, or a word about it.
 * @param {DenseMatrix} a
 * @param {DenseMatrix} b
 * @param {boolean} transposeA
 * @param {boolean} transposeB */
function shapeOf(a, b, transposeA, transposeB) {
  const [rows, depth] = transposeA ? [a.cols, a.rows] : [a.rows, a.cols];
  const [depthB, cols] = transposeB ? [b.cols, b.rows] : [b.rows, b.cols];
  if (depth !== depthB) {
    throw new OperandError('B', `A${transposeA ? ' transposed' : ''} is ${rows} × ${depth}, so B${transposeB ? ' transposed' : ''} needs ${depth} rows; it has ${depthB}`);
  }
  if (a.dtype !== b.dtype) throw new OperandError('B', `A holds ${a.dtype} and B ${b.dtype}: both need the same type`);
  return { rows, cols, depth };
}

/** @param {Extract<Order, {do: 'multiply'}>} order
 * @param {AbortSignal} signal */
async function multiply(order, signal) {
  const { transposeA, transposeB } = order;
  await checkRoom(order);
  const [a, b] = await Promise.all([operand(order.a, 'A'), operand(order.b, 'B')]);
  const { rows, cols, depth } = shapeOf(a, b, transposeA, transposeB);
  /** @type {DenseMatrix} */
  const c = { rows, cols, dtype: a.dtype, data: a.dtype === 'float64' ? new Float64Array(rows * cols) : new Float32Array(rows * cols) };
  product = undefined;
  page.postMessage({ is: 'begun', rows, cols, depth, dtype: c.dtype });

  const client = order.place === 'server' ? new MatmulClient(new FetchCaller(BASE)) : await clientHere(order.place, order.workers);
  const painter = new Painter(rows, cols);
  let streamed = true;
  let placed = 0;
  /** @type {import('../wasm/js/client.mjs').ProductStats | undefined} */
  let stats;
  const start = performance.now();
  for await (const result of tilesOf(client, { a, b, transposeA, transposeB }, signal, () => { streamed = false; })) {
    stats = result.stats ?? stats;
    if (result.c === undefined) continue;
    place(c, result.tile, result.c);
    placed += result.c.rows * result.c.cols;
    const picture = painter.paint(result.c);
    const { worker, kernel, computeMs } = result;
    page.postMessage({ is: 'tile', ...result.tile, worker, kernel, computeMs, picture }, [picture.shades.buffer]);
  }
  const elapsedMs = performance.now() - start;
  if (placed !== rows * cols) throw new TesseraError('data_loss', `${placed} of ${rows * cols} elements of the product came`);

  product = c;
  const corner = Array.from({ length: Math.min(rows, CORNER) }, (_, i) => Array.from(c.data.subarray(i * cols, i * cols + Math.min(cols, CORNER))));
  page.postMessage({ is: 'computed', elapsedMs, gflops: (2 * rows * cols * depth) / elapsedMs / 1e6, stats, streamed, corner });
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  page.postMessage({ is: 'checked', ...checkProduct({ a, b, transposeA, transposeB }, c, randomFrom(seed)) });
}

/** @param {unknown} error
 * @param {AbortSignal} signal
 * @returns {News} */
function failure(error, signal) {
  if (signal.aborted) return { is: 'stopped' };
  if (error instanceof OperandError) return { is: 'failed', code: 'invalid_argument', message: error.message, operand: error.operand };
  if (error instanceof TesseraError) return { is: 'failed', code: error.code, message: error.message };
  if (error instanceof RangeError) return { is: 'failed', code: 'resource_exhausted', message: 'this browser has no memory for matrices of that size' };
  return { is: 'failed', code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

async function describe() {
  /** @type {Described | undefined} */
  let server;
  try {
    const told = await new MatmulClient(new FetchCaller(BASE)).describe({ timeoutMs: DESCRIBE_TIMEOUT_MS });
    serverMessageBytes = Math.min(told.maxMessageBytes || MOST_MESSAGE_BYTES, MOST_MESSAGE_BYTES);
    server = { name: told.name, version: told.version, engine: told.engine, mode: told.mode, workers: told.workers.map((worker) => worker.url) };
  } catch (error) {
    // A page without a server behind it still multiplies in this tab.
    if (!(error instanceof TesseraError)) throw error;
  }
  page.postMessage({ is: 'described', server });
}

page.onmessage = async (/** @type {MessageEvent<Order>} */ { data: order }) => {
  switch (order.do) {
    case 'multiply': {
      if (running !== undefined) return; // the page offers Stop meanwhile
      running = new AbortController();
      const { signal } = running;
      try {
        await multiply(order, signal);
      } catch (error) {
        page.postMessage(failure(error, signal));
      } finally {
        running = undefined;
      }
      return;
    }
    case 'stop':
      running?.abort();
      return;
    case 'describe':
      await describe();
      return;
    default: {
      if (product === undefined) return;
      const file = new Blob(/** @type {BlobPart[]} */ (writeNpy(product)), { type: 'application/octet-stream' });
      page.postMessage({ is: 'saved', file, name: `product-${product.rows}x${product.cols}.npy` });
    }
  }
};
