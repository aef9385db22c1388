// SPDX-License-Identifier: Apache-2.0
/** The host itself, over the probe module: memory, turns, streams, posts, bounds, traps. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { nodeHandler } from '../../wasm/js/node-handler.mjs';
import { Tessera, TesseraError } from '../../wasm/js/tessera.mjs';
import { nodeTransport } from '../../wasm/js/transport-node.mjs';
import { bodyText, bytesOf, figure, given, probe, readAll, serve, sleep } from './helpers.mjs';

test('a body of several pieces goes in and comes back whole', async (t) => {
  const tessera = await probe(t);
  const big = new Uint8Array(3_000_001).map((_, i) => i % 251);
  for (const body of [[], [bytesOf('x')], [bytesOf('ab'), new Uint8Array(0), bytesOf('cde')], [big.subarray(0, 7), big.subarray(7)]]) {
    const reply = await tessera.request({ path: '/echo', body });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('x-probe'), 'yes');
    assert.deepEqual(Buffer.from(/** @type {Uint8Array} */ (reply.body)), Buffer.concat(body));
  }
  assert.equal(figure(tessera, 'probe_live_blocks'), 1); // that of the stats themselves
});

test('memory.grow between alloc and reply moves nothing', async (t) => {
  const tessera = await probe(t);
  const before = tessera.memoryBytes;
  for (let i = 0; i < 5; i++) {
    const body = new Uint8Array(100_000).fill(i + 1);
    assert.deepEqual((await tessera.request({ path: '/grow', body })).body, body);
  }
  assert.ok(tessera.memoryBytes >= before + 5 * 16 * 65536);
});

test('headers reach the module in lower case and come back', async (t) => {
  const tessera = await probe(t);
  const reply = await tessera.request({ path: '/headers', headers: { 'X-One': '1', 'Content-Type': 'text/plain', List: ['a', 'b'] } });
  assert.equal(await bodyText(reply), 'x-one: 1\r\ncontent-type: text/plain\r\nlist: a\r\nlist: b\r\n');
  await assert.rejects(tessera.request({ path: '/headers', headers: { bad: 'a\r\nsmuggled: 1' } }), TypeError);
  await assert.rejects(tessera.request({ path: '/headers', headers: { 'b d': 'a' } }), TypeError);
});

test('the configuration is what create() was given', async (t) => {
  const tessera = await probe(t, { workers: ['http://127.0.0.1:9/', 'http://127.0.0.1:10/x'], mode: 'proxy', maxMessageBytes: 1024, thresholdMs: 5 });
  assert.equal(await bodyText(await tessera.request({ path: '/configuration' })),
    'engine=node\nmode=proxy\nworker=http://127.0.0.1:9/\nworker=http://127.0.0.1:10/x\nmax_message_bytes=1024\nthreshold_ms=5\n');
  const alone = await probe(t);
  assert.match(await bodyText(await alone.request({ path: '/configuration' })), /^engine=node\nmode=serial\nmax_message_bytes=268435456\n$/);
});

test('a module can be bytes, a path, a URL, a Response or compiled', async (t) => {
  const file = given('TESSERA_PROBE');
  const bytes = await readFile(file);
  const response = () => new Response(bytes, { headers: { 'content-type': 'application/wasm' } });
  const url = pathToFileURL(file);
  for (const module of [bytes, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), file, url, url.href, url.href.replace('file', 'FILE'),
    `data:application/wasm;base64,${bytes.toString('base64')}`, response(), Promise.resolve(response()), readFile(file), await WebAssembly.compile(bytes)]) {
    const tessera = await Tessera.create({ module });
    t.after(() => tessera.close());
    assert.equal(await bodyText(await tessera.request({ path: '/echo', body: bytesOf('hello') })), 'hello');
  }
});

test('what is no module, and what the module refuses, is said in words', async () => {
  const module = await readFile(given('TESSERA_PROBE'));
  const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const rejected = Promise.reject(new Error('no such thing'));
  rejected.catch(() => {});
  const cases = /** @type {[any, string, RegExp][]} */ ([
    [{ module: bytesOf('not wasm') }, 'failed_precondition', /cannot be loaded/],
    [{ module: '/nowhere.wasm' }, 'failed_precondition', /cannot be loaded.*ENOENT/],
    [{ module: 'file:///nowhere.wasm' }, 'failed_precondition', /cannot be loaded.*ENOENT.*'\/nowhere.wasm'/],
    [{ module: 'http://127.0.0.1:1/x.wasm' }, 'failed_precondition', /cannot be loaded/],
    [{ module: Promise.resolve(undefined) }, 'failed_precondition', /cannot be loaded: neither bytes/],
    [{ module: rejected }, 'failed_precondition', /cannot be loaded: no such thing/],
    [{ module: empty }, 'failed_precondition', /lacks the export abi_version/],
    [{ module, thresholdMs: 666 }, 'invalid_argument', /refuses its configuration: threshold_ms=666 is not to my taste/],
    [{ module, thresholdMs: 667 }, 'internal', /trapped in configure/],
    [{ module, workers: ['nonsense'] }, 'invalid_argument', /not the URL of a worker/],
    [{ module, workers: ['ftp://x/'] }, 'invalid_argument', /starts with http/],
    [{ module, workers: ['http://u:secret@x/'] }, 'invalid_argument', /no user name and no password: "http:\/\/…@x"$/],
    [{ module, workers: ['http://u:secret@h:99999'] }, 'invalid_argument', /^(?!.*secret)/],
    [{ module, workers: [new URL('http://u@x/')] }, 'invalid_argument', /no user name/],
    [{ module, workers: ['http:127.0.0.1:1'] }, 'invalid_argument', /starts with http:\/\/ or https:\/\/: "http:127.0.0.1:1"$/],
    [{ module, workers: ['http://bücher.de/'] }, 'invalid_argument', /ASCII letters without blanks/], [{ module, workers: [' http://x/'] }, 'invalid_argument', /http:\/\/ or/],
    [{ module, workers: [`http://x/${'a'.repeat(247)}`] }, 'invalid_argument', /at most 255 characters, not 256/],
    [{ module, workers: ['http://x', 'http://y', 'http://x/'] }, 'invalid_argument', /given twice: "http:\/\/x"/],
    [{ module, workers: Array.from({ length: 1025 }, (_, i) => `http://x:${i + 1}`) }, 'invalid_argument', /at most 1024 workers, not 1025/],
    [{ module, workers: ['http://x/?a=1'] }, 'invalid_argument', /no "\?"/], [{ module, workers: ['http://x/#a'] }, 'invalid_argument', /no "\?" and no "#"/],
    [{ module, engine: 'a\nmode=proxy' }, 'invalid_argument', /line end/],
  ]);
  for (const [options, code, message] of cases) {
    await assert.rejects(Tessera.create(options), (error) => {
      assert.ok(error instanceof TesseraError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
});

/** Options of numbers, and the words for what each may be. */
const RANGES = {
  maxMessageBytes: 'from 1024 to 4294967295', maxInflightBytes: 'from 1024 on', cacheBytes: 'from 0 on', thresholdMs: 'from 1 to 86400000',
  tileTimeoutMs: 'from 1 to 86400000', maxRequests: 'from 1 on, or Infinity', maxPosts: 'from 1 on, or Infinity', highWaterBytes: 'from 0 on, or Infinity',
};
const UNBOUNDED = ['maxRequests', 'maxPosts', 'highWaterBytes'];

test('an option that is not of its kind is refused by its name, with what it may be', async () => {
  const module = await readFile(given('TESSERA_PROBE'));
  const numbers = Object.keys(RANGES);
  const cases = /** @type {[string, any, Function][]} */ ([
    ...numbers.flatMap((name) => [NaN, -Infinity, -1, 1.5, 2 ** 53].map((value) => [name, value, RangeError])),
    ...numbers.filter((name) => !UNBOUNDED.includes(name)).map((name) => [name, Infinity, RangeError]),
    ...numbers.flatMap((name) => ['5', 5n, {}, true].map((value) => [name, value, TypeError])),
    ['maxRequests', 0, RangeError], ['maxPosts', 0, RangeError], ['maxMessageBytes', 1023, RangeError], ['maxMessageBytes', 2 ** 32, RangeError],
    ['maxInflightBytes', 1023, RangeError], ['thresholdMs', 0, RangeError], ['tileTimeoutMs', 86_400_001, RangeError],
    ['workers', 'http://127.0.0.1:9', TypeError], ['workers', [5], TypeError], ['workers', {}, TypeError], ['workers', [null], TypeError],
    ['mode', 5, TypeError], ['engine', {}, TypeError], ['log', 'console', TypeError],
    ['transport', {}, TypeError], ['transport', () => {}, TypeError],
    ['module', 5, TypeError], ['module', null, TypeError], ['module', undefined, TypeError], ['module', {}, TypeError],
  ]);
  for (const [name, value, kind] of cases) {
    await assert.rejects(Tessera.create(/** @type {any} */ ({ module, [name]: value })), (error) => {
      assert.ok(error instanceof kind, `${name}: ${String(value)}: ${error}`);
      assert.match(/** @type {Error} */ (error).message, new RegExp(`\\b${name}\\b.*${RANGES[/** @type {keyof typeof RANGES} */ (name)] ?? ''}`));
      return true;
    });
  }
  for (const options of [undefined, null, 'module.wasm']) await assert.rejects(Tessera.create(/** @type {any} */ (options)), TypeError);
  for (const value of [NaN, 0, '5']) assert.throws(() => nodeTransport(/** @type {any} */ ({ maxSocketsPerHost: value })), /maxSocketsPerHost is a whole number from 1 on, or Infinity/);
  for (const options of [null, 5]) assert.throws(() => nodeTransport(/** @type {any} */ (options)), /takes an object of options/);
  assert.throws(() => nodeTransport(/** @type {any} */ ({ tls: 'pem' })), /tls/);
  assert.throws(() => nodeTransport({ tls: { ca: 'x', cert: 'no certificate' } }), (error) => error instanceof TypeError && /the option tls/.test(error.message));
  const tessera = await Tessera.create({ module });
  for (const [name, value] of Object.entries({ maxBodyBytes: NaN, corsOrigin: '*\n', ready: true })) {
    assert.throws(() => nodeHandler(tessera, /** @type {any} */ ({ [name]: value })), new RegExp(name));
  }
  assert.throws(() => nodeHandler(/** @type {any} */ ({})), /takes a Tessera/);
  assert.throws(() => nodeHandler(tessera, /** @type {any} */ (null)), /takes an object of options/);
  tessera.close();
});

test('null is an option that was not given, and Infinity a limit that is none', async (t) => {
  const nothing = Object.fromEntries([...Object.keys(RANGES), 'workers', 'mode', 'engine', 'log', 'transport'].map((name) => [name, null]));
  const plain = await probe(t, /** @type {any} */ (nothing));
  assert.equal(await bodyText(await plain.request({ path: '/configuration' })), 'engine=node\nmode=serial\nmax_message_bytes=268435456\n');
  assert.equal((await plain.request(/** @type {any} */ ({ path: '/echo', method: null, headers: null, body: null, signal: null, timeoutMs: null }))).status, 200);
  const wide = await probe(t, { ...Object.fromEntries(UNBOUNDED.map((name) => [name, Infinity])), transport: nodeTransport({ maxSocketsPerHost: Infinity }) });
  for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ ((await wide.request({ path: '/stream' })).body)) assert.ok(chunk.length > 0);
  nodeTransport(/** @type {any} */ ({ maxSocketsPerHost: null, tls: null })).close();
  for (const maxBodyBytes of [null, Infinity]) {
    const { url } = await serve(t, nodeHandler(plain, /** @type {any} */ ({ maxBodyBytes, corsOrigin: null, ready: null })));
    assert.equal(await (await fetch(`${url}/echo`, { method: 'POST', body: 'hello' })).text(), 'hello');
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
  }
});

/** A signal as libraries made it for old engines: no reason, no throwIfAborted.
 * @returns {{signal: any, abort: () => void, listeners: Set<() => void>}} */
function oldSignal() {
  /** @type {Set<() => void>} */
  const listeners = new Set();
  const signal = {
    aborted: false,
    addEventListener: (/** @type {string} */ _, /** @type {() => void} */ listener) => listeners.add(listener),
    removeEventListener: (/** @type {string} */ _, /** @type {() => void} */ listener) => listeners.delete(listener),
  };
  const abort = () => {
    signal.aborted = true;
    for (const listener of [...listeners]) listener();
  };
  return { signal, abort, listeners };
}

test('a signal of old engines is as good as any', async (t) => {
  const tessera = await probe(t);
  const { signal, abort, listeners } = oldSignal();
  assert.equal((await tessera.request({ path: '/echo', signal })).status, 200);
  assert.equal(listeners.size, 0);
  const pending = tessera.request({ path: '/never', signal });
  abort();
  await assert.rejects(pending, { name: 'AbortError' });
  await assert.rejects(tessera.request({ path: '/echo', signal }), { name: 'AbortError' });
});

test('loop() is called when due, and not in between', async (t) => {
  const tessera = await probe(t);
  await sleep(20);
  const before = figure(tessera, 'probe_loops');
  await sleep(150);
  assert.equal(figure(tessera, 'probe_loops'), before, 'an idle module is left alone');
  const start = performance.now();
  assert.equal(await bodyText(await tessera.request({ path: '/sleep' })), 'awake');
  const took = performance.now() - start;
  assert.ok(took >= 55 && took < 1000, `${took} ms`);
  assert.ok(figure(tessera, 'probe_loops') <= before + 8, 'it waits by timer');
});

test('a streamed reply keeps its order, and a slow reader holds the module back', async (t) => {
  const tessera = await probe(t, { highWaterBytes: 1 << 20 });
  const { status, body } = await tessera.request({ path: '/stream' });
  assert.equal(status, 200);
  assert.ok(!(body instanceof Uint8Array));
  await sleep(100); // the module fills the queue and stops
  assert.ok(figure(tessera, 'probe_most_unread_chunks') <= 17, 'back-pressure');
  let expected = 200;
  let bytes = 0;
  for await (const chunk of body) {
    if (bytes === 0) {
      assert.equal(new TextDecoder().decode(chunk), 'begin');
    } else {
      assert.equal(chunk.length, 65536);
      assert.equal(chunk[0], expected & 255);
      expected--;
    }
    bytes += chunk.length;
    if (expected % 50 === 0) await sleep(5);
  }
  assert.equal(bytes, 5 + 200 * 65536);
  assert.equal(tessera.pending, 0);
});

test('leaving a streamed reply early cancels it', async (t) => {
  const tessera = await probe(t);
  const { body } = await tessera.request({ path: '/stream' });
  for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (body)) {
    assert.equal(chunk.length, 5);
    break;
  }
  await sleep(10);
  assert.equal(figure(tessera, 'probe_cancels'), 1);
  assert.equal(tessera.pending, 0);
});

test('abort and timeout tell the module and end the request', async (t) => {
  const tessera = await probe(t);
  const abort = new AbortController();
  const waiting = tessera.request({ path: '/never', signal: abort.signal });
  setTimeout(() => abort.abort(new Error('enough')), 20);
  await assert.rejects(waiting, /enough/);
  assert.equal(figure(tessera, 'probe_cancels'), 1);
  await assert.rejects(tessera.request({ path: '/echo', signal: abort.signal }), /enough/);

  const late = await tessera.request({ path: '/never', timeoutMs: 30, headers: { 'content-type': 'application/proto' } });
  assert.equal(late.status, 504);
  assert.equal(JSON.parse(await bodyText(late)).code, 'deadline_exceeded');
  assert.equal(figure(tessera, 'probe_cancels'), 2);

  const streamAbort = new AbortController();
  const { body } = await tessera.request({ path: '/stream', signal: streamAbort.signal });
  streamAbort.abort(new Error('no more'));
  await assert.rejects(bodyText({ body }), /no more/);
});

test('too many requests, too large ones, and a module without memory are refused, the next is answered', async (t) => {
  const tessera = await probe(t, { maxRequests: 3, maxMessageBytes: 1024 });
  const abort = new AbortController();
  const waiting = [1, 2, 3].map(() => tessera.request({ path: '/never', signal: abort.signal }).catch(() => {}));
  const fourth = await tessera.request({ path: '/echo', body: bytesOf('x') });
  assert.equal(fourth.status, 429);
  assert.equal(JSON.parse(await bodyText(fourth)).code, 'resource_exhausted');
  abort.abort();
  await Promise.all(waiting);
  assert.equal((await tessera.request({ path: '/echo', body: new Uint8Array(1025) })).status, 429);
  const full = await tessera.request({ path: '/full' });
  assert.equal(full.status, 503);
  assert.equal((await tessera.request({ path: '/no-memory-next' })).status, 200);
  assert.equal((await tessera.request({ path: '/echo' })).status, 503);
  assert.equal(await bodyText(await tessera.request({ path: '/echo', body: bytesOf('well') })), 'well');
  assert.equal(tessera.restarts, 0);
});

test('a second reply to the same request is refused', async (t) => {
  const tessera = await probe(t);
  assert.equal(await bodyText(await tessera.request({ path: '/twice' })), 'once');
  assert.equal(figure(tessera, 'probe_refused_replies'), 1);
});

test('random bytes are random', async (t) => {
  const tessera = await probe(t);
  const { body } = await tessera.request({ path: '/random' });
  const counts = new Array(256).fill(0);
  for (const byte of /** @type {Uint8Array} */ (body)) counts[byte]++;
  for (const count of counts) assert.ok(count > 250 && count < 550, `${count} of 100000`); // 390 ± 8 sigma
});

test('a trap answers all that was in flight with internal, and a fresh instance goes on', async (t) => {
  /** @type {string[]} */
  const lines = [];
  const tessera = await probe(t, { log: (level, text) => lines.push(`${level}: ${text}`) });
  for (const path of ['/trap', '/trap-later', '/bad-pointer', '/huge-pieces', '/bad-headers']) {
    const before = tessera.restarts;
    const unary = tessera.request({ path: '/never', headers: { 'content-type': 'application/proto' } });
    const stream = tessera.request({ path: '/never', headers: { 'content-type': 'application/connect+proto' } });
    const web = tessera.request({ path: '/never', headers: { 'content-type': 'application/grpc-web+proto' } });
    const culprit = await tessera.request({ path });
    assert.equal(culprit.status, 500, path);
    assert.equal((await unary).status, 500);
    assert.equal(JSON.parse(await bodyText(await unary)).code, 'internal');
    const end = await bodyText(await stream);
    assert.equal((await stream).status, 200);
    assert.equal(end.charCodeAt(0), 2);
    assert.equal(JSON.parse(end.slice(5)).error.code, 'internal');
    assert.equal((await web).headers.get('grpc-status'), '13');
    assert.equal(await bodyText(await tessera.request({ path: '/echo', body: bytesOf('alive') })), 'alive');
    assert.equal(tessera.restarts, before + 1);
  }
  assert.equal(lines.filter((line) => line.startsWith('error: the module trapped')).length, 5);
});

test('timeoutMs and close() hold while a module that trapped waits for its next start', async (t) => {
  const tessera = await probe(t, { log: () => {} });
  for (let i = 0; i < 12; i++) await tessera.request({ path: '/trap' }); // the delay doubles: 2 s and more
  const began = performance.now();
  const late = await tessera.request({ path: '/echo', timeoutMs: 50, headers: { 'content-type': 'application/proto' } });
  assert.equal(JSON.parse(await bodyText(late)).code, 'deadline_exceeded');
  const pending = tessera.request({ path: '/echo', headers: { 'content-type': 'application/proto' } });
  await sleep(10);
  tessera.close();
  assert.equal(JSON.parse(await bodyText(await pending)).code, 'unavailable');
  assert.ok(performance.now() - began < 1000, `${performance.now() - began} ms`);
});

test('wrong arguments are a TypeError for their caller alone', async (t) => {
  const tessera = await probe(t);
  const innocent = tessera.request({ path: '/sleep' });
  for (const wrong of [{ body: [new BigUint64Array(2)] }, { body: [Float32Array.of(1, 2)] }, { body: ['ab'] }, { body: 'ab' },
    { path: Symbol('x') }, { path: undefined }, { method: 5 }, { timeoutMs: '5' }, { signal: {} },
    { headers: 'x: y' }, { headers: { x: 5 } }, { headers: [['x', 5]] }, { headers: { x: ['a', null] } }]) {
    await assert.rejects(tessera.request(/** @type {any} */ ({ path: '/echo', ...wrong })), TypeError);
  }
  for (const timeoutMs of [NaN, -1]) await assert.rejects(tessera.request({ path: '/echo', timeoutMs }), RangeError);
  await assert.rejects(tessera.request(/** @type {any} */ (undefined)), TypeError);
  assert.equal((await innocent).status, 200);
  assert.equal(tessera.restarts, 0);
});

test('a trap in mid-stream breaks the stream, never shortens it', async (t) => {
  const tessera = await probe(t);
  const { body } = await tessera.request({ path: '/stream-trap' });
  await assert.rejects(bodyText({ body }), (error) => error instanceof TesseraError && error.code === 'internal');
  assert.equal(await bodyText(await tessera.request({ path: '/echo', body: bytesOf('alive') })), 'alive');
});

test('requests made while the instance is renewed are answered by the new one', async (t) => {
  const tessera = await probe(t);
  const all = await Promise.all([
    tessera.request({ path: '/trap' }),
    ...Array.from({ length: 20 }, (_, i) => tessera.request({ path: '/echo', body: bytesOf(`n${i}`) })),
  ]);
  assert.equal(all[0].status, 500);
  for (let i = 0; i < 20; i++) assert.equal(await bodyText(all[i + 1]), `n${i}`);
});

test('post: pieces, headers, status and body, there and back', async (t) => {
  /** @type {any[]} */
  const seen = [];
  const worker = await serve(t, async (incoming, outgoing) => {
    const body = await readAll(incoming);
    seen.push([incoming.url, incoming.headers['x-from'], incoming.headers['content-type'], incoming.headers['content-length'], body.toString()]);
    outgoing.writeHead(418, { 'content-type': 'text/plain' }).end(`got ${body}`);
  });
  const tessera = await probe(t, { workers: [`${worker.url}/base`] });
  const reply = await tessera.request({ path: '/post', body: bytesOf(`${worker.url}/base/x\nhello`) });
  assert.equal(reply.status, 418);
  assert.equal(await bodyText(reply), 'got hello');
  assert.deepEqual(seen, [['/base/x', 'probe', 'text/plain', '5', 'hello']]);
});

test('post: the module reaches its workers and nothing else', async (t) => {
  const other = await serve(t, () => assert.fail('this must not be reached'));
  const tessera = await probe(t, { workers: ['http://127.0.0.1:9/base'] });
  for (const url of [other.url, 'http://127.0.0.1:9/', 'http://127.0.0.1:9/base/../x', 'http://user@127.0.0.1:9/base/x', 'file:///etc/passwd', 'no url']) {
    assert.equal(await bodyText(await tessera.request({ path: '/post', body: bytesOf(`${url}\nx`) })), 'refused 1', url);
  }
});

test('post: unreachable, silent, cut and oversized replies are told apart', async (t) => {
  const worker = await serve(t, async (incoming, outgoing) => {
    await readAll(incoming);
    if (incoming.url === '/silent') return;
    if (incoming.url === '/cut') outgoing.writeHead(200, { 'content-length': '100' }).write('x', () => outgoing.destroy());
    if (incoming.url === '/large') outgoing.end(new Uint8Array(2001));
  });
  const tessera = await probe(t, { workers: [worker.url, 'http://127.0.0.1:1'], maxMessageBytes: 2000 });
  const post = async (/** @type {string} */ url) => tessera.request({ path: '/post', body: bytesOf(`${url}\nx`) });
  assert.equal((await post('http://127.0.0.1:1/x')).status, 599); // 599 + TESS_ABI_STATUS_UNREACHABLE
  assert.equal((await post(`${worker.url}/cut`)).status, 599);
  const large = await post(`${worker.url}/large`);
  assert.equal(large.status, 599);
  assert.match(await bodyText(large), /larger than 2000/);
  assert.equal((await post(`${worker.url}/silent`)).status, 598); // TESS_ABI_STATUS_TIMEOUT, after the probe's 500 ms
});

test('post: bounded in number, cancelled with its request, gone after a trap', async (t) => {
  let closed = 0;
  const worker = await serve(t, (incoming, outgoing) => {
    incoming.resume();
    outgoing.on('close', () => closed++);
  });
  const tessera = await probe(t, { workers: [worker.url], maxPosts: 2 });
  const abort = new AbortController();
  const post = (/** @type {AbortSignal} */ signal) => tessera.request({ path: '/post', body: bytesOf(`${worker.url}/\nx`), signal });
  const first = [post(abort.signal), post(abort.signal)].map((one) => one.catch(() => 'gone'));
  await sleep(50);
  assert.equal(await bodyText(await post(new AbortController().signal)), 'refused 2');
  abort.abort();
  assert.deepEqual(await Promise.all(first), ['gone', 'gone']);
  await sleep(50);
  assert.equal(closed, 2);
  const third = post(new AbortController().signal);
  await sleep(20);
  await tessera.request({ path: '/trap' });
  assert.equal((await third).status, 500);
  await sleep(50);
  assert.equal(closed, 3);
});

test('post: a connection that the worker closed while idle is replaced', async (t) => {
  const worker = await serve(t, async (incoming, outgoing) => {
    outgoing.end(await readAll(incoming));
  });
  worker.server.keepAliveTimeout = 1;
  const tessera = await probe(t, { workers: [worker.url] });
  for (let i = 0; i < 30; i++) {
    assert.equal(await bodyText(await tessera.request({ path: '/post', body: bytesOf(`${worker.url}/\nn${i}`) })), `n${i}`);
    await sleep(i % 3);
  }
});

test('close() answers what is in flight and refuses what comes', async (t) => {
  const tessera = await probe(t);
  const waiting = tessera.request({ path: '/never' });
  await sleep(5);
  tessera.close();
  assert.equal((await waiting).status, 503);
  await assert.rejects(tessera.request({ path: '/echo' }), /closed/);
  assert.equal(tessera.stats(), '');
});

test('the log function may make a request of its own', async (t) => {
  /** @type {Promise<unknown>[]} */
  const inner = [];
  const tessera = await probe(t, {
    workers: ['http://127.0.0.1:9'],
    log: (_, text) => {
      if (text.startsWith('refused')) inner.push(tessera.request({ path: '/echo', body: bytesOf('inner') }).then(bodyText));
    },
  });
  await tessera.request({ path: '/post', body: bytesOf('http://127.0.0.1:7/\nx') });
  assert.deepEqual(await Promise.all(inner), ['inner']);
});
