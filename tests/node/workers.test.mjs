// SPDX-License-Identifier: Apache-2.0
/** The module in Node with native workers: exact products, and workers that are killed, frozen and started again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkProduct } from '../../web/check.mjs';
import { makeMatrix, randomFrom } from '../../web/matrix.mjs';
import { MatmulClient, Tessera } from '../../wasm/js/tessera.mjs';
import { given } from './helpers.mjs';

const module = await WebAssembly.compile(await readFile(given('TESSERA_MODULE')));

/** A native worker, killed with the test.
 * @param {import('node:test').TestContext} t
 * @param {number} [port] 0 picks a free one */
async function worker(t, port = 0) {
  const child = spawn(join(given('TESSERA_BIN'), 'tessera-worker'), ['--listen', `127.0.0.1:${port}`, '--threads', '1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const line = await new Promise((resolve) => child.stdout.once('data', (text) => resolve(String(text))));
  const url = /^listening on (http:\/\/\S+)/.exec(line)?.[1];
  assert.ok(url, line);
  return { child, url };
}

/** @param {import('node:test').TestContext} t
 * @param {string[]} workers
 * @param {Partial<import('../../wasm/js/tessera.mjs').TesseraOptions>} [options] */
async function clientOf(t, workers, options = {}) {
  const tessera = await Tessera.create({ module, workers, mode: 'proxy', ...options });
  t.after(() => tessera.close());
  return new MatmulClient(tessera);
}

let seed = 1;
/** @param {number} m
 * @param {number} n
 * @param {number} k
 * @param {'float32' | 'float64'} [dtype] */
const product = (m, n, k, dtype = 'float32') => ({
  a: makeMatrix({ rows: m, cols: k, dtype, filling: 'integers', seed: seed++, left: true }),
  b: makeMatrix({ rows: k, cols: n, dtype, filling: 'integers', seed: seed++, left: false }),
});

/** Integer products are exact: three random vectors must give differences of zero.
 * @param {ReturnType<typeof product>} factors
 * @param {import('../../wasm/js/client.mjs').DenseMatrix | undefined} c
 * @param {string} what */
function exact(factors, c, what) {
  assert.ok(c, what);
  for (let i = 0; i < 3; i++) {
    const { exact: same, error } = checkProduct({ ...factors, transposeA: false, transposeB: false }, c, randomFrom(seed++));
    assert.ok(same, `${what}: off by ${error}`);
  }
}

test('exact products over native workers', async (t) => {
  const workers = [await worker(t), await worker(t)];
  const client = await clientOf(t, workers.map(({ url }) => url));
  for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
    for (const [m, n, k] of [[1, 1, 1], [1, 511, 3], [509, 1, 7], [61, 67, 71], [1000, 37, 513], [1024, 1024, 512]]) {
      const factors = product(m, n, k, dtype);
      const { c, stats } = await client.multiply(factors);
      exact(factors, c, `${dtype} ${m}×${n}×${k}`);
      assert.equal(stats?.localTiles, 0, JSON.stringify(stats));
      assert.equal(stats?.retries, 0, JSON.stringify(stats));
    }
  }
});

for (const signal of /** @type {const} */ (['SIGKILL', 'SIGSTOP'])) {
  test(`a worker gets ${signal} in mid-product`, async (t) => {
    const workers = [await worker(t), await worker(t)];
    const client = await clientOf(t, workers.map(({ url }) => url), { tileTimeoutMs: 1500 });
    const factors = product(1536, 1536, 1024);
    await client.multiply(product(64, 64, 64)); // connections stand
    const tiles = client.multiplyTiles(factors);
    const c = { rows: 1536, cols: 1536, dtype: /** @type {const} */ ('float32'), data: new Float32Array(1536 * 1536).fill(NaN) };
    let count = 0;
    let stats;
    for await (const { tile, c: part, stats: told } of tiles) {
      if (count++ === 0) workers[0].child.kill(signal);
      stats = told ?? stats;
      for (let i = 0; part !== undefined && i < part.rows; i++) {
        c.data.set(part.data.subarray(i * part.cols, (i + 1) * part.cols), (tile.row + i) * 1536 + tile.col);
      }
    }
    exact(factors, c, signal);
    const after = product(300, 300, 300);
    exact(after, (await client.multiply(after)).c, 'the next product');
    assert.ok(stats, 'stats came');
  });
}

test('a worker that comes back takes tiles again', async (t) => {
  const first = await worker(t);
  const client = await clientOf(t, [first.url]);
  const { port } = new URL(first.url);
  const before = product(100, 100, 100);
  exact(before, (await client.multiply(before)).c, 'at first');
  first.child.kill('SIGKILL');
  await new Promise((resolve) => first.child.once('exit', resolve));
  const lonely = product(100, 100, 100);
  const alone = await client.multiply(lonely);
  exact(lonely, alone.c, 'alone');
  assert.ok((alone.stats?.localTiles ?? 0) > 0, JSON.stringify(alone.stats));
  await worker(t, Number(port));
  const until = Date.now() + 20_000;
  let proxied = 0;
  while (proxied === 0 && Date.now() < until) {
    const factors = product(100, 100, 100);
    const { c, stats } = await client.multiply(factors);
    exact(factors, c, 'while it comes back');
    proxied = stats?.proxiedTiles ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(proxied > 0, 'the worker was asked again within 20 s');
});
