// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside a browser (run.mjs starts it): the host over the probe module,
 * the real module over fetch, and the page itself in a frame, driven as a
 * person would. Posts one line for each test, then the end.
 */
import { checkPage } from './page-tests.mjs';
import { MatmulClient, Tessera } from '../wasm/js/tessera.mjs';
import { makeMatrix } from '../web/matrix.mjs';

const query = new URLSearchParams(location.search);
const workers = query.getAll('worker');
const only = query.get('only');
const TEST_MS = 60_000;

/** @param {unknown} news */
const post = (news) => fetch('/result', { method: 'POST', body: JSON.stringify(news) });

/** @param {unknown} condition
 * @param {string} what */
export function ok(condition, what) {
  if (!condition) throw new Error(what);
}

/** @param {unknown} got
 * @param {unknown} want
 * @param {string} what */
export function equal(got, want, what) {
  ok(Object.is(got, want), `${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
}

/** @param {string} name
 * @param {() => Promise<void>} body */
export async function test(name, body) {
  if (only !== null && !name.includes(only)) return;
  const start = performance.now();
  let error;
  try {
    await Promise.race([body(), new Promise((_, reject) => setTimeout(() => reject(new Error(`no end within ${TEST_MS} ms`)), TEST_MS))]);
  } catch (thrown) {
    error = thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ''}` : String(thrown);
  }
  await post({ name, error, ms: Math.round(performance.now() - start) });
}

const text = (/** @type {any} */ body) => new TextDecoder().decode(body);
const bytes = (/** @type {string} */ s) => new TextEncoder().encode(s);

/** @param {Partial<import('../../wasm/js/tessera.mjs').TesseraOptions>} [options] */
const probe = (options) => Tessera.create({ module: fetch('/test/probe.wasm'), ...options });

async function hostTests() {
  await test('host: echo, timers, memory that moves', async () => {
    const tessera = await probe();
    const big = new Uint8Array(3_000_001).map((_, i) => i % 251);
    for (const path of ['/echo', '/grow']) {
      const { body } = await tessera.request({ path, body: [big.subarray(0, 5), big.subarray(5)] });
      ok(body instanceof Uint8Array && body.length === big.length && body.every((byte, i) => byte === big[i]), path);
    }
    equal(text((await tessera.request({ path: '/sleep' })).body), 'awake', '/sleep');
    tessera.close();
  });
  await test('host: a streamed reply with back-pressure', async () => {
    const tessera = await probe({ highWaterBytes: 1 << 20 });
    const { body } = await tessera.request({ path: '/stream' });
    let length = 0;
    for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (body)) length += chunk.length;
    equal(length, 5 + 200 * 65536, 'bytes');
    tessera.close();
  });
  await test('host: a trap, then a fresh instance', async () => {
    const tessera = await probe();
    const waiting = tessera.request({ path: '/never' });
    equal((await tessera.request({ path: '/trap' })).status, 500, 'the culprit');
    equal((await waiting).status, 500, 'who waited');
    equal(text((await tessera.request({ path: '/echo', body: bytes('alive') })).body), 'alive', 'afterwards');
    equal(tessera.restarts, 1, 'restarts');
    tessera.close();
  });
  await test('host: posts to another origin, refused elsewhere, unreachable told apart', async () => {
    const tessera = await probe({ workers: [workers[0], 'http://127.0.0.1:1'] });
    const posted = await tessera.request({ path: '/post', body: bytes(`${workers[0]}/tessera.matmul.v1.MatmulService/Nothing\nx`) });
    equal(posted.status, 404, 'the worker was reached');
    equal(JSON.parse(text(posted.body)).code, 'unimplemented', 'its reply came');
    equal((await tessera.request({ path: '/post', body: bytes('http://127.0.0.1:1/x\nx') })).status, 599, 'unreachable');
    equal(text((await tessera.request({ path: '/post', body: bytes(`${location.origin}/result\nx`) })).body), 'refused 1', 'elsewhere');
    tessera.close();
  });
}

async function moduleTests() {
  const module = await WebAssembly.compileStreaming(fetch('/wasm/tessera-module.wasm'));
  for (const mode of /** @type {const} */ (['serial', 'proxy', 'adaptive'])) {
    await test(`module: exact products, ${mode}`, async () => {
      const tessera = await Tessera.create({ module, mode, workers });
      const client = new MatmulClient(tessera);
      let seed = 1;
      for (const [m, n, k] of [[1, 1, 1], [1, 97, 1], [61, 67, 71], [200, 37, 113], [130, 128, 126]]) {
        for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
          const a = makeMatrix({ rows: m, cols: k, dtype, filling: 'integers', seed: seed++, left: true });
          const b = makeMatrix({ rows: k, cols: n, dtype, filling: 'integers', seed: seed++, left: false });
          const { c, stats } = await client.multiply({ a, b });
          ok(c !== undefined, 'a product');
          for (let i = 0; i < m; i++) {
            for (let j = 0; j < n; j++) {
              let sum = 0;
              for (let p = 0; p < k; p++) sum += a.data[i * k + p] * b.data[p * n + j];
              if (c?.data[i * n + j] !== sum) throw new Error(`${m}×${n}×${k} ${dtype}: (${i}, ${j}) is ${c?.data[i * n + j]}, not ${sum}`);
            }
          }
          if (mode === 'proxy') equal(stats?.localTiles, 0, `local tiles of ${m}×${n}×${k}: ${stats?.notes}`);
        }
      }
      equal(tessera.restarts, 0, 'restarts');
      tessera.close();
    });
  }
  await test('module: 1,000 products in one page without growth', async () => {
    const tessera = await Tessera.create({ module, mode: 'serial' });
    const client = new MatmulClient(tessera);
    const a = makeMatrix({ rows: 48, cols: 40, dtype: 'float32', filling: 'integers', seed: 5, left: true });
    const b = makeMatrix({ rows: 40, cols: 52, dtype: 'float32', filling: 'integers', seed: 6, left: false });
    let early = 0;
    let first = '';
    for (let i = 0; i < 1000; i++) {
      const { c } = await client.multiply({ a, b });
      if (i === 0) first = String(c?.data);
      if (i % 250 === 249) equal(String(c?.data), first, `product ${i}`);
      if (i === 10) early = tessera.memoryBytes;
    }
    equal(tessera.memoryBytes, early, 'memory of the module');
    tessera.close();
  });
}

try {
  await hostTests();
  if (query.get('module') !== null) {
    await moduleTests();
    await checkPage(workers);
  }
  await post({ end: true });
} catch (error) {
  await post({ end: true, error: String(error) });
}
