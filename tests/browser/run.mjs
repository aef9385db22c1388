// SPDX-License-Identifier: Apache-2.0
/**
 * Runs suite.mjs in a headless browser and prints its results:
 *
 *   node tests/browser/run.mjs chromium|firefox [ONLY]
 *
 * The browser is started directly and reports by POST, without a driver between.
 * Environment: TESSERA_MODULE, TESSERA_PROBE; TESSERA_BIN for real workers.
 * Exit codes: 0 all passed, 1 not, 77 the browser is not installed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeHandler } from '../../wasm/js/node-handler.mjs';
import { Tessera } from '../../wasm/js/tessera.mjs';
import { fakeWorker } from '../node/fake-worker.mjs';
import { startSite } from './site.mjs';

const TIMEOUT_MS = 170_000;
const BROWSERS = {
  chromium: {
    programs: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
    args: (/** @type {string} */ profile, /** @type {string} */ url) => ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--window-size=1300,1100', `--user-data-dir=${profile}`, url],
    prefs: '',
  },
  firefox: {
    programs: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
    args: (/** @type {string} */ profile, /** @type {string} */ url) => ['--headless', '--no-remote', '--profile', profile, url],
    // No first-run pages, no background requests.
    prefs: ['browser.shell.checkDefaultBrowser', 'datareporting.policy.dataSubmissionEnabled', 'app.update.enabled', 'browser.aboutwelcome.enabled', 'network.captive-portal-service.enabled', 'network.connectivity-service.enabled']
      .map((name) => `user_pref("${name}", false);\n`).join(''),
  },
};

const name = /** @type {keyof typeof BROWSERS} */ (process.argv[2]);
const browser = BROWSERS[name];
if (browser === undefined) {
  console.error('usage: run.mjs chromium|firefox [ONLY]');
  process.exit(2);
}
const program = browser.programs.find(existsSync);
if (program === undefined) {
  console.error(`${name} is not installed: skipped`);
  process.exit(77);
}

/** What must end with this run, newest first. @type {(() => unknown)[]} */
const endings = [];

/** @param {http.RequestListener} listener */
async function listen(listener) {
  const server = http.createServer(listener);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  endings.unshift(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** Two workers of another origin: native ones where they are built, else fakes. */
async function startWorkers() {
  const native = join(process.env.TESSERA_BIN ?? '/nowhere', 'tessera-worker');
  if (!existsSync(native)) return Promise.all(['w1', 'w2'].map((one) => listen(fakeWorker({ name: one }).listener)));
  return Promise.all(['w1', 'w2'].map(async () => {
    const child = spawn(native, ['--listen', '127.0.0.1:0', '--threads', '1', '--cors', '*'], { stdio: ['ignore', 'pipe', 'inherit'] });
    endings.unshift(() => child.kill('SIGKILL'));
    const line = await new Promise((resolve) => child.stdout.once('data', (text) => resolve(String(text))));
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (url === undefined) throw new Error(`the worker says ${line}`);
    return url;
  }));
}

let failed = 0;
let passed = 0;
/** @type {(value: string) => void} */
let finish = () => {};
/** @type {Promise<string>} */
const finished = new Promise((resolve) => { finish = resolve; });

/** @param {{name?: string, error?: string, ms?: number, end?: boolean}} news */
function hear(news) {
  if (news.end) {
    finish(news.error ?? '');
    return;
  }
  if (news.error === undefined) passed++;
  else failed++;
  console.log(`${news.error === undefined ? 'ok  ' : 'FAIL'} ${news.name} (${news.ms} ms)${news.error === undefined ? '' : `\n     ${news.error.replaceAll('\n', '\n     ')}`}`);
}

const workers = await startWorkers();
const moduleFile = process.env.TESSERA_MODULE ?? '';
const haveModule = existsSync(moduleFile);
/** The server behind the page: the same module in Node. @type {http.RequestListener} */
let rpc = fakeWorker({ streamTile: 64 }).listener;
if (haveModule) {
  const tessera = await Tessera.create({ module: moduleFile, workers, mode: 'adaptive' });
  endings.unshift(() => tessera.close());
  rpc = nodeHandler(tessera);
}
const site = await startSite({
  module: moduleFile,
  extra: { '/test/probe.wasm': process.env.TESSERA_PROBE ?? '' },
  other: (incoming, outgoing) => {
    if (incoming.url !== '/result') return rpc(incoming, outgoing);
    let body = '';
    incoming.on('data', (chunk) => { body += chunk; });
    incoming.on('end', () => {
      outgoing.end();
      hear(JSON.parse(body));
    });
  },
});
endings.unshift(() => site.close());

const profile = await mkdtemp(join(tmpdir(), 'tessera-browser-'));
await writeFile(join(profile, 'user.js'), browser.prefs);
const query = new URLSearchParams(workers.map((url) => ['worker', url]));
if (haveModule) query.set('module', '');
if (process.argv[3] !== undefined) query.set('only', process.argv[3]);
const child = spawn(program, browser.args(profile, `${site.url}/test/suite.html?${query}`), { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
let stderr = '';
child.stderr.on('data', (text) => { stderr = (stderr + text).slice(-4000); });
child.once('exit', (code) => finish(`the browser ended with ${code}:\n${stderr}`));
const timer = setTimeout(() => finish(`no end within ${TIMEOUT_MS} ms`), TIMEOUT_MS);

const why = await finished;
clearTimeout(timer);
child.removeAllListeners('exit');
try {
  process.kill(-(/** @type {number} */ (child.pid)), 'SIGKILL'); // its own process group: the browser and its children
} catch { /* it has ended */ }
for (const end of endings) end();
await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
if (why !== '') console.log(`FAIL ${why}`);
console.log(`${name}: ${passed} passed, ${failed} failed${haveModule ? '' : ' (no module: only the host was tested)'}`);
process.exit(why === '' && failed === 0 && passed > 0 ? 0 : 1);
