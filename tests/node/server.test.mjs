// SPDX-License-Identifier: Apache-2.0
/** node-server.mjs as a program, over the probe module: flags, health, limits, CORS, streams, clients that leave, drain. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { given, readAll, sleep } from './helpers.mjs';

const PROGRAM = fileURLToPath(new URL('../../wasm/js/node-server.mjs', import.meta.url));

/** Starts the program; `url` is what its first line says.
 * @param {import('node:test').TestContext} t
 * @param {string[]} args */
async function start(t, args) {
  const child = spawn(process.execPath, [PROGRAM, '--listen', '127.0.0.1:0', '--module', given('TESSERA_PROBE'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const said = { text: '' };
  child.stderr.on('data', (text) => { said.text += text; });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const first = await new Promise((resolve) => child.stdout.once('data', (line) => resolve(String(line))));
  const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)\n/.exec(first)?.[1];
  assert.ok(url, first);
  return { child, url, ended, said };
}

/** Runs the program to its end.
 * @param {string[]} args
 * @returns {Promise<{code: number, stderr: string, stdout: string}>} */
async function run(args) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  let stdout = '';
  child.stderr.on('data', (text) => { stderr += text; });
  child.stdout.on('data', (text) => { stdout += text; });
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, stderr, stdout };
}

test('wrong usage is 2, work that fails is 1, each with a line that says why', async () => {
  const module = given('TESSERA_PROBE');
  const cases = /** @type {[string[], number, RegExp][]} */ ([
    [[], 2, /--module FILE is missing/], [['--nonsense'], 2, /--nonsense/], [['--module', module, '--listen', 'here'], 2, /HOST:PORT, not here/],
    [['--module', module, '--listen', '127.0.0.1:99999'], 2, /HOST:PORT/], [['--module', module, '--mode', 'fast'], 2, /--mode wants one of/],
    [['--module', module, '--max-message-bytes', 'x'], 2, /from 1024 to 4294967295, not x/], [['--module', module, '--max-message-bytes', '5'], 2, /from 1024/], [['--module', module, '--worker', 'nonsense'], 2, /not the URL of a worker/],
    [['--module', module, '--worker', 'http://u:p@127.0.0.1:1'], 2, /no user name and no password/], [['--module', module, '--cors', '*\n'], 2, /--cors wants/],
    [['--module', module, '--cache-bytes', ''], 2, /--cache-bytes wants/],
    [['--module', '/nowhere.wasm'], 1, /ENOENT/], [['--module', module, '--listen', '192.0.2.1:1'], 1, /EADDRNOTAVAIL/],
  ]);
  for (const [args, code, message] of cases) {
    const ended = await run(args);
    assert.equal(ended.code, code, `${args}: ${ended.stderr}`);
    assert.match(ended.stderr, message);
  }
  const help = await run(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^usage:/);
});

test('requests, health, metrics, CORS and limits', async (t) => {
  const { url } = await start(t, ['--cors', '*', '--max-message-bytes', '100000']);
  const echo = await fetch(`${url}/echo`, { method: 'POST', body: 'hello', headers: { 'x-more': '1' } });
  assert.equal(echo.status, 200);
  assert.equal(echo.headers.get('access-control-allow-origin'), '*');
  assert.equal(echo.headers.get('content-length'), '5');
  assert.equal(await echo.text(), 'hello');
  assert.match(await (await fetch(`${url}/headers`, { method: 'POST', headers: { 'x-more': '1' } })).text(), /^x-more: 1\r$/m);

  assert.equal((await fetch(`${url}/livez`)).status, 200);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^probe_loops \d+$/m);
  assert.match(metrics, /^tessera_host_restarts_total 0$/m);

  const preflight = await fetch(`${url}/echo`, { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,connect-protocol-version' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type,connect-protocol-version');
  assert.ok(Number(preflight.headers.get('access-control-max-age')) > 0);

  const large = await fetch(`${url}/echo`, { method: 'POST', body: new Uint8Array(100_001), headers: { 'content-type': 'application/proto' } });
  assert.equal(large.status, 429);
  assert.equal((await large.json()).code, 'resource_exhausted');
  const chunked = await new Promise((resolve, reject) => {
    const outgoing = http.request(`${url}/echo`, { method: 'POST' }, (incoming) => {
      incoming.resume();
      resolve(incoming.statusCode);
    });
    outgoing.on('error', reject);
    outgoing.write(new Uint8Array(60_000));
    setTimeout(() => outgoing.end(new Uint8Array(60_000)), 20);
  });
  assert.equal(chunked, 429);
  assert.equal(await (await fetch(`${url}/echo`, { method: 'POST', body: 'well' })).text(), 'well');
});

test('a trap is 500 and the next request is well', async (t) => {
  const { url } = await start(t, []);
  const trap = await fetch(`${url}/trap`, { method: 'POST', headers: { 'content-type': 'application/proto' } });
  assert.equal(trap.status, 500);
  assert.equal((await trap.json()).code, 'internal');
  assert.equal(await (await fetch(`${url}/echo`, { method: 'POST', body: 'well' })).text(), 'well');
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^tessera_host_restarts_total 1$/m);
  // A stream that breaks must not look whole.
  await assert.rejects(fetch(`${url}/stream-trap`, { method: 'POST' }).then((reply) => reply.text()));
});

test('a streamed reply arrives whole; a client that stops reading holds the module back; one that leaves is noticed', async (t) => {
  const { url, said } = await start(t, []);
  const whole = await (await fetch(`${url}/stream`, { method: 'POST' })).arrayBuffer();
  assert.equal(whole.byteLength, 5 + 200 * 65536);
  assert.equal(said.text, '', 'listeners do not pile up');

  const { port } = new URL(url);
  const socket = net.connect(Number(port), '127.0.0.1');
  socket.write('POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  await sleep(200);
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^tessera_host_requests_in_flight 1$/m);
  socket.destroy();
  await sleep(200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^tessera_host_requests_in_flight 0$/m);
  assert.match(metrics, /^probe_cancels 1$/m);
  const memory = Number(/^tessera_host_module_memory_bytes (\d+)$/m.exec(metrics)?.[1]);
  assert.ok(memory < 4 << 20, `${memory}`);
});

test('SIGTERM: what is in flight is answered, new connections are refused, exit 0', async (t) => {
  const { child, url, ended } = await start(t, []);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const incoming = await new Promise((resolve, reject) => {
    const outgoing = http.request(`${url}/stream`, { method: 'POST', agent }, resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
  child.kill('SIGTERM');
  await sleep(100); // nothing is read meanwhile: most of it is still to be made
  assert.equal((await readAll(incoming)).length, 5 + 200 * 65536);
  assert.equal(await ended, 0);
  await assert.rejects(fetch(`${url}/livez`));
});

test('SIGTERM: a reply that is complete and not sent yet is sent to its end', async (t) => {
  const { child, url, ended } = await start(t, []);
  const body = Buffer.alloc(32 << 20, 'x');
  const incoming = await new Promise((resolve, reject) => {
    const outgoing = http.request(`${url}/echo`, { method: 'POST' }, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  child.kill('SIGTERM');
  await sleep(300); // nothing is read meanwhile
  assert.ok((await readAll(incoming)).equals(body));
  assert.equal(await ended, 0);
});
