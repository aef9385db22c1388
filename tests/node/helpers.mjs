// SPDX-License-Identifier: Apache-2.0
/** What several tests of the JavaScript host need. Paths come from the environment that CMake sets. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { Tessera } from '../../wasm/js/tessera.mjs';

/** A path that the test run was given.
 * @param {string} name */
export function given(name) {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`set ${name} (ctest does)`);
  return value;
}

const text = new TextDecoder();
export const bytesOf = (/** @type {string} */ s) => new TextEncoder().encode(s);

/** A Tessera over the probe module (probe.c), ended with the test.
 * @param {import('node:test').TestContext} t
 * @param {Partial<import('../../wasm/js/tessera.mjs').TesseraOptions>} [options] */
export async function probe(t, options = {}) {
  const tessera = await Tessera.create({ module: await readFile(given('TESSERA_PROBE')), ...options });
  t.after(() => tessera.close());
  return tessera;
}

/** The whole body as text, streamed or not.
 * @param {{body: Uint8Array | AsyncIterable<Uint8Array>}} reply */
export async function bodyText({ body }) {
  if (body instanceof Uint8Array) return text.decode(body);
  let all = '';
  for await (const chunk of body) all += text.decode(chunk);
  return all;
}

/** One figure of the probe's or the module's stats.
 * @param {import('../../wasm/js/tessera.mjs').Tessera} tessera
 * @param {string} name */
export function figure(tessera, name) {
  const line = tessera.stats().split('\n').find((one) => one.startsWith(`${name} `));
  assert.ok(line, `no ${name} in the stats`);
  return Number(line.split(' ')[1]);
}

export const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** An HTTP server on a free port, ended with the test.
 * @param {import('node:test').TestContext} t
 * @param {http.RequestListener} listener
 * @returns {Promise<{url: string, server: http.Server}>} */
export async function serve(t, listener) {
  const server = http.createServer(listener);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, server };
}

/** @param {http.IncomingMessage} incoming
 * @returns {Promise<Buffer>} */
export async function readAll(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}
