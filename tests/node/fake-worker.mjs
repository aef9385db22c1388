// SPDX-License-Identifier: Apache-2.0
/**
 * A worker in JavaScript for tests: MatmulService over Connect, computed in
 * double by the schoolbook, with the faults a test asks for. It shares the
 * codec with the host under test, but not the module's arithmetic.
 */
import { matmulMessages as m, decode, encode, join } from './codec.mjs';

/**
 * @typedef {object} FakeOptions
 * @property {string} [name]
 * @property {(call: {path: string, index: number}) => 'well' | 'garbage' | 'wrong-shape' | 'short' | 'error' | 'silent' | 'cut'} [behave]
 * @property {number} [delayMs]
 * @property {number} [streamTile] MultiplyTiles in tiles of this size; default: unimplemented
 * @property {string[]} [streamNames] whom the streamed tiles name, in turn
 */

/** @param {any} matrix a decoded Matrix */
function elements({ rows, cols, dtype, data }) {
  const copy = data.slice();
  return { rows, cols, dtype, data: dtype === 'DTYPE_FLOAT64' ? new Float64Array(copy.buffer) : new Float32Array(copy.buffer) };
}

/** The product of a decoded MatmulRequest by the schoolbook: alpha op(A) op(B) + beta C.
 * @param {any} request */
export function schoolbook(request) {
  const a = elements(request.a);
  const b = elements(request.b);
  const [rows, depth] = request.transposeA ? [a.cols, a.rows] : [a.rows, a.cols];
  const cols = request.transposeB ? b.rows : b.cols;
  const { alpha, beta } = request.scaling ?? { alpha: 1, beta: 0 };
  const before = beta !== 0 ? elements(request.c).data : undefined;
  const data = a.dtype === 'DTYPE_FLOAT64' ? new Float64Array(rows * cols) : new Float32Array(rows * cols);
  const sums = new Float64Array(cols);
  for (let i = 0; i < rows; i++) {
    sums.fill(0);
    for (let p = 0; p < depth; p++) {
      const left = request.transposeA ? a.data[p * a.cols + i] : a.data[i * a.cols + p];
      for (let j = 0; j < cols; j++) sums[j] += left * (request.transposeB ? b.data[j * b.cols + p] : b.data[p * b.cols + j]);
    }
    for (let j = 0; j < cols; j++) data[i * cols + j] = alpha * sums[j] + (before === undefined ? 0 : beta * before[i * cols + j]);
  }
  return { rows, cols, dtype: a.dtype, data };
}

/** @param {ReturnType<typeof schoolbook>} matrix */
const wire = ({ rows, cols, dtype, data }) => ({ rows, cols, dtype, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) });

/** @param {any} body
 * @param {number} flags */
function envelope(body, flags = 0) {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** A listener for http.createServer. `calls` counts what came.
 * @param {FakeOptions} [options] */
export function fakeWorker({ name = 'fake', behave = () => 'well', delayMs = 0, streamTile = 0, streamNames = [name] } = {}) {
  const calls = { multiply: 0, describe: 0, stream: 0, aborted: 0 };
  /** @param {import('node:http').IncomingMessage} incoming
   * @param {import('node:http').ServerResponse} outgoing */
  const listener = async (incoming, outgoing) => {
    outgoing.setHeader('access-control-allow-origin', '*');
    if (incoming.method === 'OPTIONS') {
      outgoing.writeHead(204, { 'access-control-allow-headers': incoming.headers['access-control-request-headers'] ?? '', 'access-control-max-age': '600' }).end();
      return;
    }
    outgoing.once('close', () => { if (!outgoing.writableFinished) calls.aborted++; });
    const body = [];
    for await (const chunk of incoming) body.push(chunk);
    const bytes = new Uint8Array(Buffer.concat(body));
    const path = incoming.url ?? '';
    const reply = (/** @type {Uint8Array[]} */ pieces) => outgoing.writeHead(200, { 'content-type': 'application/proto' }).end(join(pieces));
    const fail = (/** @type {number} */ status, /** @type {string} */ code, /** @type {string} */ message) =>
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ code, message }));

    if (path.endsWith('/Describe')) {
      calls.describe++;
      reply(encode(m.DescribeResponse, {
        name, version: '0', cores: 1, maxMessageBytes: 2 ** 30, engine: 'fake',
        kernels: [{ name: 'schoolbook', dtypes: ['DTYPE_FLOAT32', 'DTYPE_FLOAT64'] }], maxConcurrentProducts: 8 }));
      return;
    }
    if (path.endsWith('/MultiplyTiles') && streamTile > 0) {
      calls.stream++;
      await stream(outgoing, decode(m.MatmulRequest, bytes.subarray(5)));
      return;
    }
    if (!path.endsWith('/Multiply')) {
      fail(404, 'unimplemented', `no ${path}`);
      return;
    }
    const manner = behave({ path, index: calls.multiply++ });
    if (manner === 'silent') return;
    if (manner === 'cut') {
      outgoing.writeHead(200, { 'content-type': 'application/proto', 'content-length': '100' });
      outgoing.write('cut', () => outgoing.destroy());
      return;
    }
    if (manner === 'error') return fail(500, 'internal', 'asked to fail');
    if (manner === 'garbage') return reply([Buffer.from('this is no TileResult')]);
    const request = decode(m.MatmulRequest, bytes);
    const c = schoolbook(request);
    if (manner === 'wrong-shape') c.rows += 1;
    if (manner === 'short') c.data = c.data.subarray(1);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    reply(encode(m.TileResult, {
      tile: request.tile ?? { row: 0, col: 0, rows: c.rows, cols: c.cols }, c: wire(c), worker: name, kernel: 'schoolbook', computeMs: 1, productId: request.productId }));
  };

  /** @param {import('node:http').ServerResponse} outgoing
   * @param {any} request */
  async function stream(outgoing, request) {
    const c = schoolbook(request);
    outgoing.writeHead(200, { 'content-type': 'application/connect+proto' });
    let index = 0;
    for (let row = 0; row < c.rows; row += streamTile) {
      for (let col = 0; col < c.cols; col += streamTile) {
        const tile = { row, col, rows: Math.min(streamTile, c.rows - row), cols: Math.min(streamTile, c.cols - col) };
        const data = new /** @type {any} */ (c.data.constructor)(tile.rows * tile.cols);
        for (let i = 0; i < tile.rows; i++) data.set(c.data.subarray((row + i) * c.cols + col, (row + i) * c.cols + col + tile.cols), i * tile.cols);
        const who = streamNames[index++ % streamNames.length];
        outgoing.write(envelope(join(encode(m.TileResult, {
          tile, c: wire({ rows: tile.rows, cols: tile.cols, dtype: c.dtype, data }), worker: who, kernel: 'schoolbook', computeMs: 1 }))));
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
    const workers = streamNames.map((worker, i) => ({ worker, tiles: Math.floor((index - i - 1) / streamNames.length) + 1, computeMs: 1 }));
    outgoing.write(envelope(join(encode(m.TileResult, { stats: { mode: 'MODE_PROXY', tiles: index, proxiedTiles: index, elapsedMs: 1, workers, notes: ['a note'] } }))));
    outgoing.end(envelope(Buffer.from('{}'), 2));
  }

  return { listener, calls };
}
