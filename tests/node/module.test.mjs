// SPDX-License-Identifier: Apache-2.0
/**
 * The real module in Node: exact products in every mode over many shapes, with
 * workers that are well, faulty, silent, absent; GEMM semantics; refusals; a
 * thousand products in one instance.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { makeMatrix } from '../../web/matrix.mjs';
import { MatmulClient, Tessera, TesseraError } from '../../wasm/js/tessera.mjs';
import { fakeWorker, schoolbook } from './fake-worker.mjs';
import { bodyText, bytesOf, given, serve } from './helpers.mjs';

const module = await WebAssembly.compile(await readFile(given('TESSERA_MODULE')));

/** @typedef {import('../../wasm/js/client.mjs').DenseMatrix} DenseMatrix */

/** @param {import('node:test').TestContext} t
 * @param {Partial<import('../../wasm/js/tessera.mjs').TesseraOptions>} [options] */
async function here(t, options = {}) {
  /** @type {string[]} */
  const log = [];
  const tessera = await Tessera.create({ module, log: (level, text) => log.push(`${level}: ${text}`), ...options });
  t.after(() => tessera.close());
  return { tessera, client: new MatmulClient(tessera), log };
}

let seed = 1;
/** @param {number} rows
 * @param {number} cols
 * @param {DenseMatrix['dtype']} [dtype]
 * @param {import('../../web/matrix.mjs').Filling} [filling]
 * @returns {DenseMatrix} */
const make = (rows, cols, dtype = 'float32', filling = 'integers') => makeMatrix({ rows, cols, dtype, filling, seed: seed++, left: true });

/** The product by the schoolbook, in double, from typed matrices.
 * @param {import('../../wasm/js/client.mjs').Product} product */
function expected({ a, b, c, alpha = 1, beta = 0, transposeA = false, transposeB = false }) {
  const wire = (/** @type {DenseMatrix} */ m) => ({
    rows: m.rows, cols: m.cols, dtype: m.dtype === 'float64' ? 'DTYPE_FLOAT64' : 'DTYPE_FLOAT32',
    data: new Uint8Array(m.data.buffer, m.data.byteOffset, m.data.byteLength) });
  return schoolbook({ a: wire(a), b: wire(b), c: c && wire(c), scaling: { alpha, beta }, transposeA, transposeB }).data;
}

/** @param {Float32Array | Float64Array | undefined} got
 * @param {Float32Array | Float64Array} want
 * @param {string} what */
function same(got, want, what) {
  assert.ok(got !== undefined && got.length === want.length, what);
  for (let i = 0; i < want.length; i++) if (got[i] !== want[i]) assert.fail(`${what}: element ${i} is ${got[i]}, not ${want[i]}`);
}

/** The product as MultiplyTiles brings it: every element once.
 * @param {MatmulClient} client
 * @param {import('../../wasm/js/client.mjs').Product} product
 * @param {number} rows
 * @param {number} cols */
async function byTiles(client, product, rows, cols) {
  const data = product.a.dtype === 'float64' ? new Float64Array(rows * cols) : new Float32Array(rows * cols);
  const times = new Uint8Array(rows * cols);
  let stats;
  let tiles = 0;
  for await (const result of client.multiplyTiles(product)) {
    stats = result.stats ?? stats;
    if (result.c === undefined) continue;
    tiles++;
    const { row, col } = result.tile;
    for (let i = 0; i < result.c.rows; i++) {
      data.set(result.c.data.subarray(i * result.c.cols, (i + 1) * result.c.cols), (row + i) * cols + col);
      for (let j = 0; j < result.c.cols; j++) times[(row + i) * cols + col + j]++;
    }
  }
  assert.ok(times.every((count) => count === 1), 'a tile is missing or came twice');
  return { data, stats, tiles };
}

const SHAPES = [[1, 1, 1], [1, 1, 257], [1, 193, 1], [193, 1, 7], [7, 5, 3], [61, 67, 71], [128, 128, 128], [300, 37, 513], [257, 263, 269]];

/** Two well workers.
 * @param {import('node:test').TestContext} t */
async function twoWorkers(t) {
  const fakes = [fakeWorker({ name: 'w1' }), fakeWorker({ name: 'w2' })];
  const urls = await Promise.all(fakes.map(async ({ listener }) => (await serve(t, listener)).url));
  return { fakes, urls };
}

for (const mode of /** @type {const} */ (['serial', 'proxy', 'adaptive'])) {
  test(`exact integer products, ${mode}, both types, all shapes`, async (t) => {
    const { urls, fakes } = await twoWorkers(t);
    const { client } = await here(t, { mode, workers: urls });
    for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
      for (const [m, n, k] of SHAPES) {
        const product = { a: make(m, k, dtype), b: make(k, n, dtype) };
        const { c, stats } = await client.multiply(product);
        same(c?.data, expected(product), `${mode} ${dtype} ${m}×${n}×${k}`);
        assert.ok(stats, 'a controller tells how');
        if (mode === 'proxy') assert.equal(stats.localTiles, 0, `${m}×${n}×${k} went to workers: ${JSON.stringify(stats)}`);
        if (mode === 'serial') assert.equal(stats.proxiedTiles, 0);
      }
    }
    if (mode === 'proxy') {
      const { stats } = await client.multiply({ a: make(512, 256), b: make(256, 512) });
      assert.ok((stats?.tiles ?? 0) >= 2, JSON.stringify(stats));
      assert.ok(fakes.every(({ calls }) => calls.multiply > 0), `both workers had work: ${JSON.stringify(stats)}`);
    }
    if (mode === 'serial') assert.ok(fakes.every(({ calls }) => calls.multiply === 0));
  });

  test(`tiles as a stream, ${mode}`, async (t) => {
    const { urls } = await twoWorkers(t);
    const { client } = await here(t, { mode, workers: urls });
    const product = { a: make(300, 200), b: make(200, 310) };
    const { data, stats, tiles } = await byTiles(client, product, 300, 310);
    same(data, expected(product), mode);
    assert.equal(stats?.tiles, tiles);
  });
}

test('GEMM: transposes, alpha, beta and C, in serial and proxy', async (t) => {
  const { urls } = await twoWorkers(t);
  for (const mode of /** @type {const} */ (['serial', 'proxy'])) {
    const { client } = await here(t, { mode, workers: urls });
    for (const [transposeA, transposeB] of [[false, true], [true, false], [true, true]]) {
      const [m, n, k] = [45, 52, 39];
      const product = {
        a: transposeA ? make(k, m) : make(m, k), b: transposeB ? make(n, k) : make(k, n), c: make(m, n), alpha: -2, beta: 3, transposeA, transposeB };
      same((await client.multiply(product)).c?.data, expected(product), `${mode} ${transposeA} ${transposeB}`);
    }
  }
});

test('random elements stay inside the bound of a k-term sum', async (t) => {
  const { client } = await here(t);
  for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
    const [m, n, k] = [150, 160, 700];
    const product = { a: make(m, k, dtype, 'normal'), b: make(k, n, dtype, 'normal') };
    const got = (await client.multiply(product)).c?.data ?? [];
    const want = expected(product);
    const abs = (/** @type {DenseMatrix} */ x) => ({ ...x, data: x.data.map(Math.abs) });
    const scale = expected({ a: abs(product.a), b: abs(product.b) });
    const unit = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
    for (let i = 0; i < want.length; i++) assert.ok(Math.abs(got[i] - want[i]) <= (k + 2) * unit * scale[i], `${dtype}: element ${i}`);
  }
});

for (const manner of /** @type {const} */ (['garbage', 'wrong-shape', 'short', 'error', 'cut', 'silent'])) {
  test(`a worker that answers with ${manner}: the product is right all the same`, async (t) => {
    const bad = fakeWorker({ name: 'bad', behave: () => manner });
    const good = fakeWorker({ name: 'good' });
    const urls = [(await serve(t, bad.listener)).url, (await serve(t, good.listener)).url];
    const { client, log } = await here(t, { mode: 'proxy', workers: urls, tileTimeoutMs: 300 });
    const product = { a: make(200, 100), b: make(100, 210) };
    const { c, stats } = await client.multiply(product);
    same(c?.data, expected(product), manner);
    assert.ok(bad.calls.multiply > 0, 'the bad worker was asked');
    // One that is only silent may be beaten before its time is over.
    if (manner === 'silent' && (stats?.backups ?? 0) > 0) return;
    assert.ok((stats?.workers.find((one) => one.worker === urls[0])?.failures ?? 0) > 0, JSON.stringify(stats));
    assert.ok(log.some((line) => line.includes(urls[0])), `the log names it:\n${log.join('\n')}`);
  });
}

test('no worker at all: computed here, with a note', async (t) => {
  const { client } = await here(t, { mode: 'proxy', workers: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] });
  const product = { a: make(120, 80), b: make(80, 130) };
  const { c, stats } = await client.multiply(product);
  same(c?.data, expected(product), 'local');
  assert.equal(stats?.localTiles, stats?.tiles);
  assert.ok((stats?.notes.length ?? 0) > 0, 'a note');
});

test('a worker that dies in mid-product', async (t) => {
  const dying = fakeWorker({ name: 'dying', delayMs: 50 });
  const { url, server } = await serve(t, dying.listener);
  const other = await serve(t, fakeWorker({ name: 'other', delayMs: 10 }).listener);
  const { client } = await here(t, { mode: 'proxy', workers: [url, other.url] });
  const product = { a: make(400, 60), b: make(60, 400) };
  const working = client.multiply(product);
  setTimeout(() => { server.closeAllConnections(); server.close(); }, 25);
  same((await working).c?.data, expected(product), 'after a loss');
});

test('the mode is read and switched while products run, and none is lost', async (t) => {
  const { urls } = await twoWorkers(t);
  const { client } = await here(t, { mode: 'serial', workers: urls });
  assert.deepEqual(await client.getMode(), { mode: 'serial', effective: 'serial' });
  const products = Array.from({ length: 12 }, () => ({ a: make(90, 70), b: make(70, 80) }));
  const running = products.map((product) => client.multiply(product));
  const modes = /** @type {const} */ (['proxy', 'adaptive', 'serial', 'proxy']);
  let before = 'serial';
  for (const mode of modes) {
    assert.equal(await client.setMode(mode), before);
    before = mode;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  (await Promise.all(running)).forEach(({ c }, i) => same(c?.data, expected(products[i]), `product ${i}`));
  assert.equal((await client.getMode()).mode, 'proxy');
  await assert.rejects(client.setMode('unspecified'), (error) => error instanceof TesseraError && error.code === 'invalid_argument');
});

test('describe', async (t) => {
  const { client } = await here(t, { mode: 'adaptive', workers: ['http://127.0.0.1:1'] });
  const told = await client.describe();
  assert.equal(told.name, 'tessera-server');
  assert.equal(told.engine, 'node');
  assert.equal(told.mode, 'MODE_ADAPTIVE');
  assert.deepEqual(told.workers.map(({ url }) => url.replace(/\/$/, '')), ['http://127.0.0.1:1']);
  assert.ok(told.kernels.some(({ dtypes }) => dtypes.includes('DTYPE_FLOAT32')));
});

test('bad requests get the right code at once, and the next good one is answered', async (t) => {
  const { tessera, client } = await here(t);
  const MULTIPLY = '/tessera.matmul.v1.MatmulService/Multiply';
  const proto = { 'content-type': 'application/proto', 'connect-protocol-version': '1' };
  const post = async (/** @type {string} */ path, /** @type {Record<string, string>} */ headers, /** @type {Uint8Array} */ body, method = 'POST') => {
    const reply = await tessera.request({ method, path, headers, body });
    const text = await bodyText(reply);
    return [reply.status, text.startsWith('{') ? JSON.parse(text).code : text];
  };
  assert.deepEqual(await post(MULTIPLY, proto, bytesOf('\xff\xff\xff')), [400, 'invalid_argument']);
  assert.deepEqual(await post(MULTIPLY, proto, Uint8Array.from([0x0a, 0x80, 0x80, 0x80, 0x80, 0x04])), [400, 'invalid_argument'], 'a 1 GB claim');
  assert.equal((await post('/tessera.matmul.v1.MatmulService/Nothing', proto, new Uint8Array(0)))[0], 404);
  assert.equal((await post('/nowhere', proto, new Uint8Array(0)))[0], 404);
  assert.equal((await post(MULTIPLY, { 'content-type': 'text/plain' }, new Uint8Array(0)))[0], 415);
  assert.equal((await post(MULTIPLY, proto, new Uint8Array(0), 'PUT'))[0], 405);
  const a = make(3, 4);
  await assert.rejects(client.multiply({ a, b: make(5, 3) }), (error) => error instanceof TesseraError && error.code === 'invalid_argument');
  await assert.rejects(client.multiply({ a, b: make(4, 3, 'float64') }), (error) => error instanceof TesseraError && error.code === 'invalid_argument');
  const product = { a, b: make(4, 3) };
  same((await client.multiply(product)).c?.data, expected(product), 'afterwards');
  assert.equal(tessera.restarts, 0);
});

test('an abandoned product stops, and its memory comes back', async (t) => {
  const slow = fakeWorker({ delayMs: 200 });
  const { client, tessera } = await here(t, { mode: 'proxy', workers: [(await serve(t, slow.listener)).url] });
  const abort = new AbortController();
  const product = { a: make(200, 100), b: make(100, 200) };
  const working = client.multiply(product, { signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(working, (error) => error instanceof TesseraError && error.code === 'canceled');
  assert.equal(tessera.pending, 0);
  for (let i = 0; i < 100 && slow.calls.aborted === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(slow.calls.aborted > 0, 'the posts to the worker were cancelled');
  let before = 0;
  for (let i = 0; i < 30; i++) {
    if (i === 5) before = tessera.memoryBytes;
    const stop = new AbortController();
    const one = client.multiply(product, { signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    await assert.rejects(one);
  }
  assert.ok(tessera.memoryBytes <= before, `${before} → ${tessera.memoryBytes}`);
});

/** Bytes of the heap and of buffers. Dead buffers may still be counted after one collection. */
async function leastMemory() {
  let least = Infinity;
  for (let same = 0, i = 0; same < 3 && i < 100; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    same = heapUsed + arrayBuffers < least - 65536 ? 0 : same + 1;
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

test('1,000 products in one instance: no growth beyond the first few', async (t) => {
  const { urls } = await twoWorkers(t);
  const { client, tessera } = await here(t, { mode: 'adaptive', workers: urls });
  const products = [[64, 64, 64], [100, 30, 50], [1, 200, 90]].map(([m, n, k]) => ({ a: make(m, k), b: make(k, n) }));
  const answers = products.map(expected);
  let early = 0;
  let heapEarly = 0;
  for (let i = 0; i < 1000; i++) {
    if (i % 100 === 50) await client.setMode(/** @type {const} */ (['serial', 'proxy', 'adaptive'])[(i / 50) % 3 | 0]);
    same((await client.multiply(products[i % 3])).c?.data, answers[i % 3], `product ${i}`);
    if (i === 20) early = tessera.memoryBytes;
    if (i === 200) heapEarly = await leastMemory();
  }
  const heap = await leastMemory();
  assert.equal(tessera.memoryBytes, early);
  assert.ok(heap < heapEarly + 8 * 2 ** 20, `${heapEarly} → ${heap}`);
});

test('a large product leaves the event loop free', async (t) => {
  const { client } = await here(t);
  const product = { a: make(2048, 2048), b: make(2048, 2048) };
  let longest = 0;
  let last = performance.now();
  const start = last;
  const ticking = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  const { c } = await client.multiply(product);
  clearInterval(ticking);
  const took = performance.now() - start;
  assert.equal(c?.rows, 2048);
  // A module that computed without turns would hold the loop for all of it. A share, for busy machines.
  assert.ok(longest < took / 3, `the event loop stood still for ${longest} of ${took} ms`);
});

test('blocks: put once, named in products, dropped, bounded', async (t) => {
  const { urls } = await twoWorkers(t);
  const { client } = await here(t, { workers: urls, mode: 'serial', cacheBytes: 500_000 });
  for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
    const a = make(90, 110, dtype);
    const b = make(110, 70, dtype);
    const named = await client.putBlock(b);
    const { data } = b;
    assert.deepEqual(Buffer.from(named.block), createHash('sha256').update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).digest());
    assert.equal(named.known, false);
    assert.equal((await client.putBlock(b)).known, true);
    for (const mode of /** @type {const} */ (['serial', 'proxy'])) {
      await client.setMode(mode);
      const { c } = await client.multiply({ a, b: named });
      same(c?.data, expected({ a, b }), `${mode} ${dtype}`);
      same((await byTiles(client, { a, b: named }, 90, 70)).data, expected({ a, b }), `${mode} ${dtype} by tiles`);
    }
    assert.equal(await client.dropBlock(named.block), true);
    assert.equal(await client.dropBlock(named.block), false);
    await assert.rejects(client.multiply({ a, b: named }), (error) => error instanceof TesseraError && error.code === 'not_found');
  }
  await assert.rejects(client.putBlock(make(400, 400)), (error) => error instanceof TesseraError && error.code === 'resource_exhausted');
  const large = [make(200, 200), make(200, 200), make(200, 200), make(200, 200)];
  for (const one of large) await client.putBlock(one);
  const { blocks, usedBytes, capacityBytes } = await client.listBlocks();
  assert.equal(blocks.length, 3); // 160,256 bytes each
  assert.equal(usedBytes, 480_768);
  assert.equal(capacityBytes, 500_000);
  const a = make(10, 200);
  same((await client.multiply({ a, b: await client.putBlock(large[3]) })).c?.data, expected({ a, b: large[3] }), 'the last one put');
});
