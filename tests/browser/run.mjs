// SPDX-License-Identifier: Apache-2.0
/**
 * Runs suite.mjs in a headless browser and prints its results:
 *
 *   node tests/browser/run.mjs chromium|firefox [--server] [--only NAME]
 *
 * With --server the page and the server behind it are tessera-server's, seen through
 * a proxy; else they come from the source tree and from the module in Node.
 * The browser is started directly and reports by POST, without a driver between.
 * Environment: TESSERA_MODULE, TESSERA_PROBE; TESSERA_BIN for real workers.
 * Exit codes: 0 all passed, 1 not, 77 the browser is not installed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeHandler } from '../../wasm/js/node-handler.mjs';
import { Tessera } from '../../wasm/js/tessera.mjs';
import { fakeWorker } from '../node/fake-worker.mjs';
import { isBrowser, launch, programOf } from './launch.mjs';
import { startSite } from './site.mjs';

const TIMEOUT_MS = 170_000;
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { server: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const name = positionals[0];
if (!isBrowser(name)) {
  console.error('usage: run.mjs chromium|firefox [--server] [--only NAME]');
  process.exit(2);
}
const program = programOf(name);
if (program === undefined) {
  console.error(`${name} is not installed: skipped`);
  process.exit(77);
}

/** What must end with this run, newest first. @type {(() => unknown)[]} */
const endings = [];
process.once('exit', () => { for (const end of endings) end(); }); // also after an error

/** @param {http.RequestListener} listener */
async function listen(listener) {
  const server = http.createServer(listener);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  endings.unshift(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

/** A native program of TESSERA_BIN, ended with this run; the URL that it says it listens on.
 * @param {string} program
 * @param {string[]} args */
async function startProgram(program, args) {
  const child = spawn(join(process.env.TESSERA_BIN ?? '/nowhere', program), ['--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  endings.unshift(() => child.kill('SIGKILL'));
  const line = await new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(String(text)));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
  });
  const url = /http:\/\/\S+/.exec(line)?.[0];
  if (url === undefined) throw new Error(`${program} says ${line}`);
  return url;
}

/** Sends everything on to a server, as it came.
 * @param {string} to
 * @returns {http.RequestListener} */
function proxyTo(to) {
  return (incoming, outgoing) => {
    const request = http.request(to + incoming.url, { method: incoming.method, headers: incoming.headers }, (reply) => {
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(outgoing);
    });
    request.on('error', (error) => outgoing.destroy(error));
    outgoing.on('close', () => request.destroy());
    incoming.pipe(request);
  };
}

/** Two workers of another origin: native ones where they are built, else fakes. */
async function startWorkers() {
  const native = join(process.env.TESSERA_BIN ?? '/nowhere', 'tessera-worker');
  if (!existsSync(native)) return Promise.all(['w1', 'w2'].map((one) => listen(fakeWorker({ name: one }).listener)));
  return Promise.all(['w1', 'w2'].map(() => startProgram('tessera-worker', ['--threads', '1', '--cors', '*'])));
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

/** Whether a server is behind the page: tests take it away by POST /test/server. */
let serverThere = true;

/** @param {http.IncomingMessage} incoming
 * @param {http.ServerResponse} outgoing */
async function switchServer(incoming, outgoing) {
  let text = '';
  for await (const piece of incoming) text += piece;
  serverThere = text === 'there';
  outgoing.end();
}

const workers = await startWorkers();
const moduleFile = process.env.TESSERA_MODULE ?? '';
const haveModule = existsSync(moduleFile);
/** The server behind the page: the same module in Node. @type {http.RequestListener} */
let rpc = fakeWorker({ streamTile: 64 }).listener;
if (flags.server) {
  rpc = proxyTo(await startProgram('tessera-server', ['--mode', 'adaptive', ...workers.flatMap((url) => ['--worker', url])]));
} else if (haveModule) {
  const tessera = await Tessera.create({ module: moduleFile, workers, mode: 'adaptive' });
  endings.unshift(() => tessera.close());
  rpc = nodeHandler(tessera);
}
const site = await startSite({
  module: moduleFile,
  page: !flags.server,
  extra: { '/test/probe.wasm': process.env.TESSERA_PROBE ?? '' },
  other: (incoming, outgoing) => {
    if (incoming.url === '/test/server') return switchServer(incoming, outgoing);
    if (incoming.url !== '/result') return serverThere || incoming.method === 'GET' ? rpc(incoming, outgoing) : outgoing.writeHead(404).end();
    let body = '';
    incoming.on('data', (chunk) => { body += chunk; });
    incoming.on('end', () => {
      outgoing.end();
      hear(JSON.parse(body));
    });
  },
});
endings.unshift(() => site.close());

const query = new URLSearchParams(workers.map((url) => ['worker', url]));
if (haveModule) query.set('module', '');
if (flags.only !== undefined) query.set('only', flags.only);
const end = await launch(name, program, `${site.url}/test/suite.html?${query}`, finish);
const timer = setTimeout(() => finish(`no end within ${TIMEOUT_MS} ms`), TIMEOUT_MS);

const why = await finished;
clearTimeout(timer);
await end();
if (why !== '') console.log(`FAIL ${why}`);
console.log(`${name}${flags.server ? ' with tessera-server' : ''}: ${passed} passed, ${failed} failed${haveModule ? '' : ' (no module: only the host was tested)'}`);
process.exit(why === '' && failed === 0 && passed > 0 ? 0 : 1);
