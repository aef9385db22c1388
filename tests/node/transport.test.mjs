// SPDX-License-Identifier: Apache-2.0
// The Node transport against Node's own servers: headers that come more than once, TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ABI_STATUS_TOO_LARGE, ABI_STATUS_UNREACHABLE } from '../../wasm/js/abi.mjs';
import { headersFromText } from '../../wasm/js/headers.mjs';
import { fetchTransport } from '../../wasm/js/transport-fetch.mjs';
import { nodeTransport } from '../../wasm/js/transport-node.mjs';

/** @param {http.Server} server
 * @returns {Promise<number>} */
const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(/** @type {any} */ (server.address()).port)));

/** @param {import('../../wasm/js/transport-fetch.mjs').Transport} transport
 * @param {string} url
 * @param {[string, string][]} [headers]
 * @returns {Promise<import('../../wasm/js/transport-fetch.mjs').PostReply>} */
const post = (transport, url, headers = []) => new Promise((resolve) => {
  transport.post({ url, headers, body: Buffer.from('hello'), timeoutMs: 10000, maxBytes: 1000 }, resolve);
});

/** @param {import('../../wasm/js/transport-fetch.mjs').PostReply} reply */
const text = (reply) => Buffer.concat(reply.body).toString();

test('an answer that is too large is a wrong one, an error that is too large is none', async () => {
  const server = http.createServer((incoming, outgoing) => {
    incoming.resume();
    outgoing.writeHead(Number(incoming.url?.slice(1))).end('x'.repeat(1001));
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  for (const transport of [nodeTransport(), fetchTransport()]) {
    const answer = await post(transport, `${url}/200`);
    assert.equal(answer.status, ABI_STATUS_TOO_LARGE);
    assert.equal(text(answer), 'the reply is larger than 1000 bytes');
    const error = await post(transport, `${url}/503`);
    assert.equal(error.status, ABI_STATUS_UNREACHABLE);
    assert.equal(text(error), 'HTTP status 503, and the reply is larger than 1000 bytes');
    transport.close();
  }
  server.closeAllConnections();
  server.close();
});

test('headers that come more than once keep their values, in order, both ways', async () => {
  const server = http.createServer((incoming, outgoing) => {
    const { rawHeaders } = incoming;
    const seen = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === 'x-many');
    outgoing.setHeader('X-Many', ['one', 'two, three', 'one']);
    outgoing.setHeader('set-cookie', ['a=1', 'b=2']);
    outgoing.setHeader('x-single', 'alone');
    outgoing.end(JSON.stringify(seen));
  });
  const transport = nodeTransport();
  try {
    const reply = await post(transport, `http://127.0.0.1:${await listen(server)}/`, [['x-many', 'first'], ['x-other', 'x'], ['x-many', 'second, third']]);
    assert.equal(reply.status, 200);
    assert.deepEqual(JSON.parse(text(reply)), ['first', 'second, third']);
    const headers = headersFromText(reply.headers);
    assert.deepEqual(headers.filter(([name]) => name === 'x-many').map(([, value]) => value), ['one', 'two, three', 'one']);
    assert.deepEqual(headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value), ['a=1', 'b=2']);
    assert.deepEqual(headers.filter(([name]) => name === 'x-single').map(([, value]) => value), ['alone']);
  } finally {
    transport.close();
    server.close();
  }
});

test('certificates of one\'s own: whom to believe, and what to show', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-tls-'));
  const make = (/** @type {string} */ name) => {
    const [key, cert] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.pem`)];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  };
  const [server, client] = [make('server'), make('client')];
  rmSync(folder, { recursive: true });
  const site = https.createServer({ ...server, ca: client.cert, requestCert: true, rejectUnauthorized: false }, (incoming, outgoing) => {
    const socket = /** @type {import('node:tls').TLSSocket} */ (incoming.socket);
    outgoing.end(socket.authorized ? socket.getPeerCertificate().subject.CN : 'nobody');
  });
  const url = `https://127.0.0.1:${await listen(site)}/`;
  const transports = [nodeTransport(), nodeTransport({ tls: { ca: server.cert } }), nodeTransport({ tls: { ca: server.cert, ...client } })];
  try {
    const [stranger, known, shown] = await Promise.all(transports.map((transport) => post(transport, url)));
    assert.equal(stranger.status, ABI_STATUS_UNREACHABLE);
    assert.match(text(stranger), /self-signed certificate/);
    assert.equal(text(known), 'nobody');
    assert.equal(text(shown), 'client');
  } finally {
    for (const transport of transports) transport.close();
    site.close();
  }
});
