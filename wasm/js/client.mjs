// SPDX-License-Identifier: Apache-2.0
/**
 * The typed client of tessera.matmul.v1: it speaks to a module in this process
 * (a Tessera) or to a server or worker elsewhere (a FetchCaller).
 *
 *   const client = new MatmulClient(new FetchCaller('http://127.0.0.1:8080'));
 *   const { c } = await client.multiply({ a: { rows: 2, cols: 2, dtype: 'float64', data: new Float64Array([1, 2, 3, 4]) }, b: ... });
 */
import { serverStream, unary } from './connect.mjs';
import { pairs } from './headers.mjs';
import { abortReason, checkSignal, checkTimeout, peerUrl, shown } from './options.mjs';
import { join } from './protobuf.mjs';
import * as messages from './messages.mjs';
import { TesseraError } from './status.mjs';

const SERVICE = '/tessera.matmul.v1.MatmulService';
const BLOCKS = '/tessera.matmul.v1.BlockService';
const CONTROLLER = '/tessera.matmul.v1.ControllerService';
const MULTIPLY = { path: `${SERVICE}/Multiply`, input: messages.MatmulRequest, output: messages.TileResult };
const MULTIPLY_TILES = { path: `${SERVICE}/MultiplyTiles`, input: messages.MatmulRequest, output: messages.TileResult };
const DESCRIBE = { path: `${SERVICE}/Describe`, input: messages.DescribeRequest, output: messages.DescribeResponse };
const PUT_BLOCK = { path: `${BLOCKS}/PutBlock`, input: messages.PutBlockRequest, output: messages.PutBlockResponse };
const LIST_BLOCKS = { path: `${BLOCKS}/ListBlocks`, input: messages.ListBlocksRequest, output: messages.ListBlocksResponse };
const DROP_BLOCK = { path: `${BLOCKS}/DropBlock`, input: messages.DropBlockRequest, output: messages.DropBlockResponse };
const GET_MODE = { path: `${CONTROLLER}/GetMode`, input: messages.GetModeRequest, output: messages.GetModeResponse };
const SET_MODE = { path: `${CONTROLLER}/SetMode`, input: messages.SetModeRequest, output: messages.SetModeResponse };

/**
 * @typedef {Float32Array | Float64Array} Elements
 *
 * @typedef {object} DenseMatrix row-major
 * @property {number} rows
 * @property {number} cols
 * @property {'float32' | 'float64'} dtype
 * @property {Elements} data rows * cols elements
 *
 * @typedef {object} NamedMatrix one that was put, by its name; of the same shape and type
 * @property {number} rows
 * @property {number} cols
 * @property {'float32' | 'float64'} dtype
 * @property {Uint8Array} block SHA-256 of its elements, as putBlock says
 *
 * @typedef {object} Product C := alpha * op(A) * op(B) + beta * C
 * @property {DenseMatrix | NamedMatrix} a
 * @property {DenseMatrix | NamedMatrix} b
 * @property {DenseMatrix} [c] needed when beta is not 0
 * @property {number} [alpha] default 1
 * @property {number} [beta] default 0
 * @property {boolean} [transposeA]
 * @property {boolean} [transposeB]
 * @property {string} [productId]
 *
 * @typedef {{worker: string, tiles: number, failures: number, computeMs: number, bytesSent: number, bytesReceived: number, backups: number,
 *   cacheHits: number, cacheBytes: number, checked: number, rejected: number, waitMs: number, gflops: number}} WorkerStats
 * @typedef {{mode: string, tiles: number, localTiles: number, proxiedTiles: number, retries: number, elapsedMs: number, workers: WorkerStats[],
 *   notes: string[], backups: number, checked: number, rejected: number, bytesSent: number, bytesReceived: number, cacheBytes: number,
 *   peakBytes: number, gflops: number}} ProductStats
 *
 * @typedef {{url: string, available: boolean, tiles: number, failures: number, inFlight: number, quarantined: boolean, gflops: number,
 *   megabytesPerSecond: number, bytesSent: number, bytesReceived: number, backups: number, rejected: number, cacheBytes: number,
 *   computeMs: number, waitMs: number}} WorkerInfo
 * @typedef {{productId: string, m: number, n: number, k: number, tilesDone: number, tiles: number, elapsedMs: number}} ProductInfo
 * @typedef {{name: string, version: string, kernels: {name: string, dtypes: string[]}[], cores: number, maxConcurrentProducts: number,
 *   maxMessageBytes: number, memoryLimitBytes: number, mode: string, workers: WorkerInfo[], engine: string, gflops: number,
 *   blockBytes: number, blockCapacityBytes: number, products: ProductInfo[], notes: string[]}} Description
 *
 * @typedef {{sha256: Uint8Array, rows: number, cols: number, dtype: string, bytes: number}} BlockInfo
 * @typedef {{blocks: BlockInfo[], usedBytes: number, capacityBytes: number, awaitsPuts: boolean}} BlockList
 *
 * @typedef {object} TileResult
 * @property {{row: number, col: number, rows: number, cols: number, k: number, depth: number}} tile where it lies in C
 * @property {DenseMatrix | undefined} c absent in a last message that carries only stats
 * @property {string} worker
 * @property {string} kernel
 * @property {number} computeMs
 * @property {string} productId
 * @property {ProductStats} [stats]
 *
 * @typedef {import('./connect.mjs').CallOptions} CallOptions
 */

/** Whether this machine stores numbers as the wire does. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** @param {string} why */
const wrong = (why) => new TesseraError('invalid_argument', why);

/** What dense and named matrices have in common. Throws TesseraError.
 * @param {DenseMatrix | NamedMatrix} matrix
 * @param {string} name
 * @returns {{rows: number, cols: number, dtype: string}} */
function headToWire(matrix, name) {
  if (typeof matrix !== 'object' || matrix === null) throw wrong(`${name} is ${matrix === undefined ? 'missing' : `no matrix, but ${shown(matrix)}`}`);
  const { rows, cols, dtype } = matrix;
  for (const [what, count] of Object.entries({ rows, cols })) {
    if (!Number.isInteger(count) || count < 0 || count > 0xffffffff) throw wrong(`the ${what} of ${name} are a whole number, not ${shown(count)}`);
  }
  if (dtype !== 'float32' && dtype !== 'float64') throw wrong(`the dtype of ${name} is float32 or float64, not ${shown(dtype)}`);
  return { rows, cols, dtype: dtype === 'float64' ? 'DTYPE_FLOAT64' : 'DTYPE_FLOAT32' };
}

/** @param {DenseMatrix} matrix
 * @param {string} name */
function toWire(matrix, name) {
  const head = headToWire(matrix, name);
  const { rows, cols, dtype, data } = matrix;
  const wanted = dtype === 'float64' ? Float64Array : Float32Array;
  if (!(data instanceof wanted)) throw wrong(`${name} is ${dtype}, but its data are not a ${wanted.name}`);
  if (data.length !== rows * cols) throw wrong(`${name} has ${data.length} elements instead of ${rows} × ${cols}`);
  if (!LITTLE_ENDIAN) throw new TesseraError('unimplemented', 'this machine is big-endian');
  return { ...head, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** The name of a block. Throws TesseraError.
 * @param {unknown} sha256
 * @param {string} whose
 * @returns {Uint8Array} */
function blockName(sha256, whose) {
  if (!(sha256 instanceof Uint8Array)) throw wrong(`the name of ${whose} is a Uint8Array, not ${shown(sha256)}`);
  if (sha256.length !== 32) throw wrong(`the name of ${whose} has ${sha256.length} bytes instead of 32`);
  return sha256;
}

/** @param {any} wire a decoded Matrix
 * @returns {DenseMatrix} its elements are a view of the message where they lie aligned, else a copy */
function fromWire({ rows, cols, dtype, data, values }) {
  const Elements = dtype === 'DTYPE_FLOAT64' ? Float64Array : Float32Array;
  if (dtype !== 'DTYPE_FLOAT32' && dtype !== 'DTYPE_FLOAT64') throw new TesseraError('internal', `the reply has the type ${dtype}`);
  const count = rows * cols;
  const ofNumbers = data.length === 0 && values.length === count;
  if (!ofNumbers && data.length !== count * Elements.BYTES_PER_ELEMENT) {
    throw new TesseraError('internal', `the reply has ${data.length} bytes for ${rows} × ${cols} elements`);
  }
  const aligned = data.byteOffset % Elements.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  const elements = ofNumbers ? Elements.from(values) : new Elements(aligned.buffer, aligned.byteOffset, count);
  return { rows, cols, dtype: dtype === 'DTYPE_FLOAT64' ? 'float64' : 'float32', data: elements };
}

/** @param {DenseMatrix | NamedMatrix} matrix
 * @param {string} name */
function operandToWire(matrix, name) {
  const block = /** @type {Partial<NamedMatrix>} */ (matrix ?? {}).block;
  if (block === undefined) return toWire(/** @type {DenseMatrix} */ (matrix), name);
  return { ...headToWire(matrix, name), block: { sha256: blockName(block, name) } };
}

/** Throws TesseraError.
 * @param {Product} product */
function requestOf(product) {
  if (typeof product !== 'object' || product === null) throw wrong(`a product is an object with a and b, not ${shown(product)}`);
  const { a, b, c, alpha = 1, beta = 0, transposeA = false, transposeB = false, productId = '' } = product;
  if (typeof productId !== 'string') throw wrong(`productId is text, not ${shown(productId)}`);
  for (const [name, flag] of Object.entries({ transposeA, transposeB })) {
    if (typeof flag !== 'boolean') throw wrong(`${name} is true or false, not ${shown(flag)}`);
  }
  return {
    a: operandToWire(a, 'A'),
    b: operandToWire(b, 'B'),
    ...(c !== undefined && beta !== 0 ? { c: toWire(c, 'C') } : {}),
    ...(alpha !== 1 || beta !== 0 ? { scaling: { alpha, beta } } : {}),
    transposeA,
    transposeB,
    productId,
  };
}

/** @param {any} wire a decoded TileResult
 * @returns {TileResult} */
function resultOf(wire) {
  const c = wire.c === undefined ? undefined : fromWire(wire.c);
  const tile = wire.tile ?? { row: 0, col: 0, rows: c?.rows ?? 0, cols: c?.cols ?? 0, k: 0, depth: 0 };
  if (c !== undefined && (tile.rows !== c.rows || tile.cols !== c.cols)) {
    throw new TesseraError('internal', `the reply calls a ${c.rows} × ${c.cols} matrix a tile of ${tile.rows} × ${tile.cols}`);
  }
  return { ...wire, tile, c };
}

/** A call that fails rejects with TesseraError, whatever the reason: wrong arguments are
 * invalid_argument, an abort is canceled, a host that was closed and a peer that is away are unavailable. */
export class MatmulClient {
  #caller;

  /** Throws TypeError on what carries no calls.
   * @param {import('./connect.mjs').Caller} caller borrowed */
  constructor(caller) {
    if (typeof caller?.request !== 'function') throw new TypeError(`a MatmulClient takes a Tessera or a FetchCaller, not ${shown(caller)}`);
    this.#caller = caller;
  }

  /** The product in one reply.
   * @param {Product} product
   * @param {CallOptions} [options]
   * @returns {Promise<TileResult>} */
  async multiply(product, options) {
    return resultOf(await unary(this.#caller, MULTIPLY, requestOf(product), options));
  }

  /** The product tile by tile, as tiles finish; the last message carries stats.
   * @param {Product} product
   * @param {CallOptions} [options]
   * @returns {AsyncGenerator<TileResult>} */
  async* multiplyTiles(product, options) {
    for await (const result of serverStream(this.#caller, MULTIPLY_TILES, requestOf(product), options)) yield resultOf(result);
  }

  /** What computes there: see DescribeResponse in matmul.proto.
   * @param {CallOptions} [options]
   * @returns {Promise<Description>} */
  describe(options) {
    return unary(this.#caller, DESCRIBE, {}, options);
  }

  /** Gives a matrix to whoever computes, to be named in products from then on. It is kept until
   * others need its room; then a product that names it fails with not_found.
   * @param {DenseMatrix} matrix
   * @param {CallOptions} [options]
   * @returns {Promise<NamedMatrix & {known: boolean}>} known: it was held already */
  async putBlock(matrix, options) {
    const { sha256, known } = await unary(this.#caller, PUT_BLOCK, { matrix: toWire(matrix, 'the matrix') }, options);
    return { rows: matrix.rows, cols: matrix.cols, dtype: matrix.dtype, block: sha256.slice(), known };
  }

  /** What is held, last used first.
   * @param {CallOptions} [options]
   * @returns {Promise<BlockList>} */
  listBlocks(options) {
    return unary(this.#caller, LIST_BLOCKS, {}, options);
  }

  /** @param {Uint8Array} sha256
   * @param {CallOptions} [options]
   * @returns {Promise<boolean>} whether it was held */
  async dropBlock(sha256, options) {
    return (await unary(this.#caller, DROP_BLOCK, { sha256: blockName(sha256, 'the block') }, options)).dropped;
  }

  /** @param {CallOptions} [options]
   * @returns {Promise<{mode: Mode, effective: Mode}>} */
  async getMode(options) {
    const { mode, effective } = await unary(this.#caller, GET_MODE, {}, options);
    return { mode: modeName(mode), effective: modeName(effective) };
  }

  /** Products in flight go on and lose nothing.
   * @param {SettableMode} mode
   * @param {CallOptions} [options]
   * @returns {Promise<Mode>} the mode before */
  async setMode(mode, options) {
    if (!SETTABLE_MODES.includes(mode)) throw wrong(`the mode is serial, proxy or adaptive, not ${shown(mode)}`);
    const { previous } = await unary(this.#caller, SET_MODE, { mode: `MODE_${mode.toUpperCase()}` }, options);
    return modeName(previous);
  }
}

/** @typedef {'serial' | 'proxy' | 'adaptive'} SettableMode
 * @typedef {SettableMode | 'unspecified'} Mode as peers tell it; unspecified by one that does not say */

/** @type {readonly SettableMode[]} */
const SETTABLE_MODES = ['serial', 'proxy', 'adaptive'];

/** @param {string | number} wire a number: one that this client does not know
 * @returns {Mode} */
const modeName = (wire) => /** @type {Mode} */ (String(wire).replace('MODE_', '').toLowerCase());

/** Most that a timer takes; more would fire at once. */
const MAX_TIMER_MS = 0x7fffffff;

/** Carries exchanges to a server or worker with fetch. */
export class FetchCaller {
  #base;

  /** Throws TesseraError(invalid_argument) on what is no URL of a server.
   * @param {string | URL} base "http://127.0.0.1:8080"; in a browser also relative to the page */
  constructor(base) {
    const { origin, pathname } = peerUrl(base, 'a server', globalThis.location?.href);
    this.#base = origin + pathname.replace(/\/+$/, '');
  }

  /** Rejects with TesseraError(invalid_argument) on what cannot be sent, with deadline_exceeded after `timeoutMs`, with the
   * signal's reason when that fires, and with what fetch says. The body is to be read to its end, or left.
   * @param {import('./tessera.mjs').TesseraRequest} request
   * @returns {Promise<{status: number, headers: Headers, body: AsyncIterable<Uint8Array>}>} */
  async request(request) {
    const sent = toFetch(request);
    const { signal, timeoutMs } = request;
    const ends = new Ends(signal, timeoutMs ?? 0);
    try {
      const response = await fetch(this.#base + request.path, { ...sent, signal: ends.signal, credentials: 'omit', cache: 'no-store', redirect: 'error' });
      return { status: response.status, headers: response.headers, body: new ReplyBody(response, ends) };
    } catch (error) {
      ends.release();
      throw ends.reason ?? error;
    }
  }
}

/** What fetch is given. Throws TesseraError, and RangeError where a body is larger than an array can be.
 * @param {import('./tessera.mjs').TesseraRequest} request
 * @returns {{method: string, headers: Headers, body: BodyInit | undefined}} */
function toFetch({ method, path, headers, body, signal, timeoutMs }) {
  const list = new Headers();
  try {
    checkSignal(signal);
    checkTimeout(timeoutMs);
    if (typeof (method ?? 'POST') !== 'string') throw new TypeError(`a method is text, not ${shown(method)}`);
    if (typeof path !== 'string' || !path.startsWith('/')) throw new TypeError(`a path is text that starts with "/", not ${shown(path)}`);
    for (const [name, value] of pairs(headers)) list.append(name, value);
  } catch (error) {
    throw new TesseraError('invalid_argument', /** @type {Error} */ (error).message, { cause: error });
  }
  const pieces = body === undefined || body === null ? [] : body instanceof Uint8Array ? [body] : body;
  if (!Array.isArray(pieces) || !pieces.every((piece) => piece instanceof Uint8Array)) throw wrong('body is a Uint8Array, or an array of them');
  return { method: method ?? 'POST', headers: list, body: pieces.length === 0 ? undefined : /** @type {BodyInit} */ (join(pieces)) };
}

/** What ends an exchange early: its caller's signal and its time. fetch sees a signal of its own, so that
 * any kind of AbortSignal will do and that nothing stays with the caller's when the exchange is over. */
class Ends {
  /** Why it was ended. @type {unknown} */
  reason;
  #abort = new AbortController();
  #release = () => {};

  /** @param {AbortSignal | null | undefined} signal
   * @param {number} timeoutMs 0: none */
  constructor(signal, timeoutMs) {
    const end = (/** @type {unknown} */ reason) => {
      this.release();
      this.reason = reason;
      this.#abort.abort(reason);
    };
    if (signal?.aborted) {
      end(abortReason(signal));
      return;
    }
    const leave = () => end(abortReason(/** @type {AbortSignal} */ (signal)));
    signal?.addEventListener('abort', leave, { once: true });
    const late = () => end(new TesseraError('deadline_exceeded', `no reply within ${timeoutMs} ms`));
    const timer = timeoutMs > 0 ? setTimeout(late, Math.min(Math.ceil(timeoutMs), MAX_TIMER_MS)) : undefined;
    /** @type {any} */ (timer)?.unref?.(); // in Node, what waits is the connection
    this.#release = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
    };
  }

  get signal() {
    return this.#abort.signal;
  }

  release() {
    this.#release();
  }
}

/** The chunks of a reply; what ends the exchange early is let go of when they are over.
 * @implements {AsyncIterableIterator<Uint8Array>} */
class ReplyBody {
  #reader;
  #ends;

  /** @param {Response} response
   * @param {Ends} ends */
  constructor(response, ends) {
    this.#reader = response.body?.getReader();
    this.#ends = ends;
    if (this.#reader === undefined) ends.release();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Uint8Array>>} */
  async next() {
    try {
      const read = await this.#reader?.read();
      if (read !== undefined && !read.done) return { value: read.value, done: false };
    } catch (error) {
      this.#ends.release();
      throw this.#ends.reason ?? error;
    }
    this.#ends.release();
    return { value: undefined, done: true };
  }

  /** @returns {Promise<IteratorResult<Uint8Array>>} */
  async return() {
    this.#ends.release();
    await this.#reader?.cancel().catch(() => {}); // broken already: nothing is left to cancel
    return { value: undefined, done: true };
  }
}
