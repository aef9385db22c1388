// SPDX-License-Identifier: Apache-2.0
/** The typed client over fetch against a fake worker: products, streams, and every way a reply can be wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FetchCaller, MatmulClient, TesseraError } from '../../wasm/js/tessera.mjs';
import { fakeWorker } from './fake-worker.mjs';
import { bytesOf, probe, serve } from './helpers.mjs';

const f64 = (/** @type {number} */ rows, /** @type {number} */ cols, /** @type {number[]} */ values) =>
  ({ rows, cols, dtype: /** @type {const} */ ('float64'), data: Float64Array.from(values) });
const A = f64(2, 3, [1, 2, 3, 4, 5, 6]);
const B = f64(3, 2, [7, 8, 9, 10, 11, 12]);
const AB = [58, 64, 139, 154];

/** A client of an HTTP listener.
 * @param {import('node:test').TestContext} t
 * @param {import('node:http').RequestListener} listener */
async function clientOf(t, listener) {
  return new MatmulClient(new FetchCaller(`${(await serve(t, listener)).url}/`));
}

/** @param {Promise<unknown>} promise
 * @param {string} code
 * @param {RegExp} [message] */
const fails = (promise, code, message = /(?:)/) => assert.rejects(promise, (error) => {
  assert.ok(error instanceof TesseraError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
});

test('multiply: plain, transposed, scaled, both types', async (t) => {
  const client = await clientOf(t, fakeWorker({ name: 'w' }).listener);
  const plain = await client.multiply({ a: A, b: B, productId: 'p' });
  assert.deepEqual([...(plain.c?.data ?? [])], AB);
  assert.deepEqual(plain.tile, { row: 0, col: 0, rows: 2, cols: 2, k: 0, depth: 0 });
  assert.equal(plain.worker, 'w');
  assert.equal(plain.productId, 'p');
  const at = f64(3, 2, [1, 4, 2, 5, 3, 6]);
  const bt = f64(2, 3, [7, 9, 11, 8, 10, 12]);
  assert.deepEqual([...((await client.multiply({ a: at, b: bt, transposeA: true, transposeB: true })).c?.data ?? [])], AB);
  const scaled = await client.multiply({ a: A, b: B, c: f64(2, 2, [1, 2, 3, 4]), alpha: 2, beta: -1 });
  assert.deepEqual([...(scaled.c?.data ?? [])], [115, 126, 275, 304]);
  const f32 = (/** @type {typeof A} */ m) => ({ ...m, dtype: /** @type {const} */ ('float32'), data: Float32Array.from(m.data) });
  const single = await client.multiply({ a: f32(A), b: f32(B) });
  assert.ok(single.c?.data instanceof Float32Array);
  assert.deepEqual([...single.c.data], AB);
});

test('multiplyTiles: tiles, then stats; leaving early ends the call', async (t) => {
  const { listener, calls } = fakeWorker({ streamTile: 1, streamNames: ['x', 'y'], delayMs: 5 });
  const client = await clientOf(t, listener);
  const c = new Array(4);
  let stats;
  for await (const result of client.multiplyTiles({ a: A, b: B })) {
    if (result.c !== undefined) c[result.tile.row * 2 + result.tile.col] = result.c.data[0];
    stats = result.stats ?? stats;
  }
  assert.deepEqual(c, AB);
  assert.deepEqual(stats?.workers.map(({ worker, tiles }) => [worker, tiles]), [['x', 2], ['y', 2]]);
  for await (const result of client.multiplyTiles({ a: A, b: B })) {
    assert.equal(result.worker, 'x');
    break;
  }
  for (let i = 0; i < 100 && calls.aborted === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(calls.aborted, 1);
});

test('describe; methods that are not there; nobody there', async (t) => {
  const client = await clientOf(t, fakeWorker({ name: 'w' }).listener);
  const told = await client.describe();
  assert.equal(told.engine, 'fake');
  assert.equal(told.maxMessageBytes, 2 ** 30);
  assert.deepEqual(told.kernels, [{ name: 'schoolbook', dtypes: ['DTYPE_FLOAT32', 'DTYPE_FLOAT64'] }]);
  await fails(client.getMode(), 'unimplemented');
  await fails(client.setMode('proxy'), 'unimplemented');
  await fails((async () => { for await (const _ of client.multiplyTiles({ a: A, b: B })) assert.fail('a tile'); })(), 'unimplemented');
  await fails(new MatmulClient(new FetchCaller('http://127.0.0.1:9')).describe(), 'unavailable', /ECONNREFUSED|bad port/);
});

test('matrices that cannot be sent', async (t) => {
  const client = await clientOf(t, () => assert.fail('nothing must be sent'));
  await fails(client.multiply({ a: { ...A, rows: 3 }, b: B }), 'invalid_argument', /A has 6 elements instead of 3 × 3/);
  await fails(client.multiply({ a: A, b: { ...B, dtype: 'float32' } }), 'invalid_argument', /B is float32, but its data are not a Float32Array/);
});

test('wrong arguments are invalid_argument, for every call, before anything is sent', async (t) => {
  const client = /** @type {any} */ (await clientOf(t, () => assert.fail('nothing must be sent')));
  const bad = f64(2, 2, [1, 2, 3, 4]);
  const matrices = [undefined, null, 5, 'A', [], {}, { ...bad, dtype: undefined }, { ...bad, dtype: 'int8' }, { ...bad, rows: NaN }, { ...bad, rows: -2, cols: -2 },
    { ...bad, rows: '2' }, { ...bad, rows: 1.5 }, { ...bad, data: [1, 2, 3, 4] }, { ...bad, data: undefined }];
  const named = { rows: 2, cols: 2, dtype: 'float64', block: new Uint8Array(32) };
  const operands = [...matrices, { ...named, block: 'x' }, { ...named, block: new Uint8Array(31) }, { ...named, block: null }, { ...named, rows: 2.5 }];
  const products = [undefined, null, 5, {}, ...operands.flatMap((one) => [{ a: one, b: B }, { a: A, b: one }]),
    ...['x', null, {}].flatMap((one) => [{ a: A, b: B, alpha: one }, { a: A, b: B, beta: one, c: bad }, { a: A, b: B, transposeA: one }]),
    { a: A, b: B, productId: 5 }, ...matrices.slice(1).map((one) => ({ a: A, b: B, beta: 1, c: one }))];
  const drain = async (/** @type {AsyncIterable<any>} */ tiles) => { for await (const _ of tiles) assert.fail('a tile'); };
  for (const product of products) {
    await fails(client.multiply(product), 'invalid_argument', /./);
    await fails(drain(client.multiplyTiles(product)), 'invalid_argument', /./);
  }
  for (const matrix of matrices) await fails(client.putBlock(matrix), 'invalid_argument', /./);
  for (const name of [undefined, 'x', new Uint8Array(5)]) await fails(client.dropBlock(name), 'invalid_argument', /the name of the block/);
  for (const mode of [undefined, 'fast', 5, 'unspecified', 'SERIAL']) await fails(client.setMode(mode), 'invalid_argument', /serial, proxy or adaptive/);
  for (const options of [null, 5, 'x', { timeoutMs: NaN }, { timeoutMs: -1 }, { timeoutMs: '5' }, { signal: {} }, { headers: { 'a b': 'x' } }, { headers: { a: 'x\ny' } }, { headers: { a: '€' } }]) {
    for (const call of ['describe', 'listBlocks', 'getMode']) await fails(client[call](options), 'invalid_argument', /./);
    await fails(client.setMode('proxy', options), 'invalid_argument', /./);
    await fails(drain(client.multiplyTiles({ a: A, b: B }, options)), 'invalid_argument', /./);
  }
  for (const caller of [undefined, 'http://127.0.0.1:8080', {}]) assert.throws(() => new MatmulClient(/** @type {any} */ (caller)), TypeError);
  for (const base of ['', 'nonsense', '/relative', 'ftp://x', 'http://u:p@x', 'http://x/?a=1', undefined]) {
    assert.throws(() => new FetchCaller(/** @type {any} */ (base)), (error) => error instanceof TesseraError && error.code === 'invalid_argument');
  }
});

test('an abort at any moment is canceled, and no other error; a host that is closed is unavailable', async (t) => {
  const { listener } = fakeWorker({ streamTile: 1, delayMs: 2 });
  const { url } = await serve(t, listener);
  const tessera = await probe(t);
  const client = new MatmulClient(new FetchCaller(url));
  const all = async (/** @type {AbortSignal} */ signal) => { for await (const _ of client.multiplyTiles({ a: A, b: B }, { signal })); };
  for (const call of [(/** @type {AbortSignal} */ signal) => client.multiply({ a: A, b: B }, { signal }), all]) {
    for (let ms = -2; ms < 14; ms++) {
      const abort = new AbortController();
      if (ms === -2) abort.abort(new Error('enough'));
      const called = call(abort.signal).then(() => 'done', (error) => error instanceof TesseraError ? error.code : `${error}`);
      if (ms === -1) abort.abort();
      else if (ms >= 0) setTimeout(() => abort.abort(), ms);
      const end = await called;
      assert.ok(end === 'canceled' || (end === 'done' && ms >= 0), `${ms} ms: ${end}`);
    }
  }
  // Between two tiles, and then the iteration is left.
  const abort = new AbortController();
  for await (const _ of client.multiplyTiles({ a: A, b: B }, { signal: abort.signal })) {
    abort.abort();
    await new Promise((resolve) => setTimeout(resolve, 10));
    break;
  }
  tessera.close();
  const closed = new MatmulClient(tessera);
  await fails(closed.describe(), 'unavailable', /closed/);
  await fails((async () => { for await (const _ of closed.multiplyTiles({ a: A, b: B })) assert.fail('a tile'); })(), 'unavailable', /closed/);
});

test('timeouts of less than one millisecond and of more than a timer takes; headers in every form', async (t) => {
  /** @type {(string | undefined)[]} */
  const told = [];
  const { listener } = fakeWorker({});
  const client = await clientOf(t, (incoming, outgoing) => {
    told.push(`${incoming.headers['connect-timeout-ms']} ${incoming.headers['x-own']} ${incoming.headers['content-type']}`);
    listener(incoming, outgoing);
  });
  await fails((await clientOf(t, () => {})).describe({ timeoutMs: 0.5 }), 'deadline_exceeded');
  for (const [timeoutMs, headers] of /** @type {[number | undefined, any][]} */ ([[2 ** 31, new Headers({ 'x-own': 'b' })], [2 ** 40, [['x-own', 'c']]],
    [Infinity, { 'x-own': 'd', 'Content-Type': 'text/plain' }], [0, { 'x-own': ['e', 'f'] }], [undefined, { 'x-own': 'g', 'x-none': null }], [null, null]])) {
    await client.describe({ timeoutMs, headers });
  }
  assert.deepEqual(told, ['2147483648 b', 'undefined c', 'undefined d', 'undefined e, f', 'undefined g', 'undefined undefined'].map((one) => `${one} application/proto`));
});

test('headers that cannot be sent are refused by their name', async (t) => {
  const { url } = await serve(t, () => assert.fail('nothing must be sent'));
  const caller = new FetchCaller(url);
  const cases = /** @type {[any, RegExp][]} */ ([[{ 'x-n': 5 }, /header x-n is text, not 5/], [[['x-n', 5]], /x-n/], [{ 'x-n': ['a', null] }, /x-n/], [{ 'x-n': {} }, /x-n/],
    [{ 'x-n': 'a\nb' }, /x-n/], [{ 'a b': 'x' }, /"a b"/], ['x: y', /headers are/], [['x: y'], /a pair of name and value/]]);
  for (const [headers, message] of cases) {
    await fails(caller.request({ path: '/x', headers }), 'invalid_argument', message);
    await fails(new MatmulClient(caller).describe({ headers }), 'invalid_argument', message);
  }
  for (const name of ['connect-timeout-ms', 'Connect-Timeout-Ms']) {
    await fails(new MatmulClient(caller).describe({ headers: { [name]: '5' } }), 'invalid_argument', /connect-timeout-ms is made from the option timeoutMs/);
  }
  for (const wrong of [{ path: 'x' }, { path: undefined }, { path: '@evil.example/' }, { path: '/x', method: 5 }, { path: '/x', body: 'text' }, { path: '/x', timeoutMs: '5' }, { path: '/x', signal: {} }]) {
    await fails(caller.request(/** @type {any} */ (wrong)), 'invalid_argument');
  }
});

test('signals of any making end a call, and keep no listener of it', async (t) => {
  const { listener } = fakeWorker({ streamTile: 1 });
  const client = new MatmulClient(new FetchCaller((await serve(t, listener)).url));
  const wrong = await clientOf(t, (_, outgoing) => outgoing.writeHead(200, { 'content-type': 'text/html' }).end('x'));
  const silent = new MatmulClient(new FetchCaller((await serve(t, () => {})).url));
  const one = new AbortController();
  const kept = new Set();
  const add = one.signal.addEventListener.bind(one.signal);
  const remove = one.signal.removeEventListener.bind(one.signal);
  Object.assign(one.signal, {
    addEventListener: (/** @type {any[]} */ ...args) => { kept.add(args[1]); return Reflect.apply(add, undefined, args); },
    removeEventListener: (/** @type {any[]} */ ...args) => { kept.delete(args[1]); return Reflect.apply(remove, undefined, args); },
  });
  const call = { signal: one.signal, timeoutMs: 5000 };
  await client.describe(call);
  for await (const _ of client.multiplyTiles({ a: A, b: B }, call));
  for await (const _ of client.multiplyTiles({ a: A, b: B }, call)) break;
  await fails(client.getMode(call), 'unimplemented');
  await fails(wrong.describe(call), 'unknown');
  await fails((async () => { for await (const _ of wrong.multiplyTiles({ a: A, b: B }, call)); })(), 'unknown');
  await fails(new MatmulClient(new FetchCaller('http://127.0.0.1:1')).describe(call), 'unavailable');
  await fails(silent.describe({ ...call, timeoutMs: 20 }), 'deadline_exceeded');
  assert.equal(kept.size, 0);

  // No reason, no throwIfAborted, no AbortSignal at all.
  const old = Object.assign(new EventTarget(), { aborted: false });
  const pending = silent.describe(/** @type {any} */ ({ signal: old }));
  setTimeout(() => { old.aborted = true; old.dispatchEvent(new Event('abort')); }, 20);
  await fails(pending, 'canceled');
  await fails(client.describe(/** @type {any} */ ({ signal: old })), 'canceled');
  await fails(new MatmulClient(await probe(t)).describe(/** @type {any} */ ({ signal: old })), 'canceled');
});

test('replies of a broken peer', async (t) => {
  const cases = /** @type {[any, string, RegExp][]} */ ([
    ['garbage', 'internal', /no tessera.matmul.v1.TileResult/], ['short', 'internal', /24 bytes for 2 × 2/],
    ['wrong-shape', 'internal', /./], ['error', 'internal', /asked to fail/], ['cut', 'unavailable', /./]]);
  for (const [manner, code, message] of cases) {
    const client = await clientOf(t, fakeWorker({ behave: () => manner }).listener);
    await fails(client.multiply({ a: A, b: B }), code, message);
  }
});

test('the timeout is told to the peer and kept here; an abort is canceled', async (t) => {
  let told;
  const client = await clientOf(t, (incoming) => { told = incoming.headers['connect-timeout-ms']; });
  await fails(client.describe({ timeoutMs: 60 }), 'deadline_exceeded', /60 ms/);
  assert.equal(told, '60');
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 20);
  await fails(client.multiply({ a: A, b: B }, { signal: abort.signal, timeoutMs: 5000 }), 'canceled');
});

/** @param {number} flags
 * @param {string} text
 * @param {number} [claims] */
function envelope(flags, text, claims) {
  const data = Buffer.from(text);
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(claims ?? data.length, 1);
  return Buffer.concat([head, data]);
}

test('streams that end badly, and in odd pieces', async (t) => {
  const stream = (/** @type {Buffer[]} */ pieces, type = 'application/connect+proto') => clientOf(t, async (_, outgoing) => {
    outgoing.writeHead(200, { 'content-type': type });
    for (const piece of pieces) {
      outgoing.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    outgoing.end();
  });
  const drain = async (/** @type {MatmulClient} */ client) => {
    let count = 0;
    for await (const _ of client.multiplyTiles({ a: A, b: B })) count++;
    return count;
  };
  const end = envelope(2, '{}');
  const empty = envelope(0, '');
  const bytes = Buffer.concat([empty, empty, end]);
  assert.equal(await drain(await stream([...bytes].map((byte) => Buffer.from([byte])))), 2, 'byte by byte');
  assert.equal(await drain(await stream([bytes])), 2);
  await fails(drain(await stream([empty])), 'data_loss', /broke off/);
  await fails(drain(await stream([envelope(0, 'abc', 10)])), 'data_loss', /inside a message/);
  await fails(drain(await stream([envelope(2, '{"error":{"code":"resource_exhausted","message":"too much"}}')])), 'resource_exhausted', /too much/);
  await fails(drain(await stream([envelope(2, '{"error":{"code":"nonsense"}}')])), 'unknown');
  await fails(drain(await stream([envelope(1, 'zip')])), 'internal', /compressed/);
  await fails(drain(await stream([envelope(0, '', 0xffffffff)])), 'resource_exhausted', /4294967295/);
  await fails(drain(await stream([envelope(2, 'no json')])), 'internal', /not JSON/);
  await fails(drain(await stream([end], 'text/html')), 'unknown', /text\/html/);
});

test('errors by HTTP status alone, and with details', async (t) => {
  for (const [status, code] of /** @type {[number, string][]} */ ([[400, 'internal'], [401, 'unauthenticated'], [403, 'permission_denied'], [404, 'unimplemented'], [429, 'unavailable'], [502, 'unavailable'], [500, 'unknown']])) {
    await fails((await clientOf(t, (_, outgoing) => outgoing.writeHead(status).end('<html>'))).describe(), code, new RegExp(`HTTP ${status}`));
  }
  const client = await clientOf(t, (_, outgoing) => outgoing.writeHead(429, { 'content-type': 'application/json; charset=utf-8' })
    .end('{"code":"resource_exhausted","message":"full","details":[{"type":"x.Y","value":"AA"}]}'));
  await assert.rejects(client.describe(), (error) => {
    assert.ok(error instanceof TesseraError);
    assert.deepEqual([error.code, error.message, error.details], ['resource_exhausted', 'full', [{ type: 'x.Y', value: 'AA' }]]);
    return true;
  });
  await fails((await clientOf(t, (_, outgoing) => outgoing.writeHead(200, { 'content-type': 'text/html' }).end(bytesOf('hello')))).describe(), 'unknown', /text\/html/);
});
