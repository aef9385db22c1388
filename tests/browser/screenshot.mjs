// SPDX-License-Identifier: Apache-2.0
/**
 * A picture of the page after a product, by Chromium started directly:
 *
 *   TESSERA_BIN=build/release/bin node tests/browser/screenshot.mjs docs/page.png \
 *       [--size 1280x1150] [--dark] [--query 'n=2048&where=proxy&run'] [--workers 4]
 *
 * Starts native workers, and the module in Node as the server behind the page.
 * The document loads an image that is answered only when the product is shown:
 * Chromium takes its picture when a document has loaded.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeHandler } from '../../wasm/js/node-handler.mjs';
import { Tessera } from '../../wasm/js/tessera.mjs';
import { startSite } from './site.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '1280x1150' },
    dark: { type: 'boolean', default: false },
    query: { type: 'string', default: 'n=2048&where=proxy&run' },
    workers: { type: 'string', default: '4' },
  },
});
const bin = process.env.TESSERA_BIN ?? 'build/release/bin';
const module = join(bin, 'tessera-module.wasm');

/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
const workers = await Promise.all(Array.from({ length: Number(values.workers) }, async (_, i) => {
  const child = spawn(join(bin, 'tessera-worker'), ['--listen', `127.0.0.1:${8081 + i}`, '--threads', '1', '--cors', '*'], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const line = await new Promise((said) => child.stdout.once('data', (text) => said(String(text))));
  return /http:\/\/\S+/.exec(line)?.[0] ?? '';
}));
const tessera = await Tessera.create({ module, workers, mode: 'proxy' });
const rpc = nodeHandler(tessera);

/** @type {import('node:http').ServerResponse | undefined} */
let held;
const pixel = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
const site = await startSite({
  module,
  other: (incoming, outgoing) => {
    if (incoming.url === '/hold') held = outgoing;
    else if (incoming.url === '/shown') {
      outgoing.end();
      held?.writeHead(200, { 'content-type': 'image/gif', 'cross-origin-resource-policy': 'same-origin' }).end(pixel);
    } else rpc(incoming, outgoing);
  },
});
const profile = await mkdtemp(join(tmpdir(), 'tessera-picture-'));
const [width, height] = values.size.split('x');
const query = `width=${width}&height=${height}&${values.query}${workers.map((url) => `&worker=${encodeURIComponent(url)}`).join('')}`;
const browser = spawn('/usr/bin/chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--hide-scrollbars',
  ...(values.dark ? ['--blink-settings=preferredColorScheme=0'] : ['--blink-settings=preferredColorScheme=1']),
  `--user-data-dir=${profile}`, `--window-size=${width},${height}`, `--screenshot=${resolve(positionals[0])}`,
  '--timeout=60000', `${site.url}/test/picture.html?${query}`], { stdio: ['ignore', 'inherit', 'pipe'] });
const timer = setTimeout(() => browser.kill('SIGKILL'), 90_000);
const code = await new Promise((ended) => browser.once('exit', ended));
clearTimeout(timer);
site.close();
tessera.close();
for (const child of children) child.kill();
await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
process.exit(code ?? 1);
