#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/**
 * tessera-server in Node: the same module behind node:http, and those of its flags that --help shows.
 *
 *   node wasm/js/node-server.mjs --listen 127.0.0.1:8080 --module build/release/bin/tessera-module.wasm \
 *        --worker http://127.0.0.1:8081 --mode adaptive
 *
 * Prints "listening on http://HOST:PORT" first. SIGTERM and SIGINT drain.
 * Exit codes: 0 done, 1 the work failed, 2 wrong usage.
 */
import http from 'node:http';
import { Server } from 'node:net';
import { parseArgs } from 'node:util';
import { nodeHandler } from './node-handler.mjs';
import { Tessera } from './tessera.mjs';

const USAGE = `usage: node-server.mjs --listen HOST:PORT --module FILE [--worker URL]...
         [--mode serial|proxy|adaptive] [--cors ORIGIN] [--max-message-bytes N]
         [--cache-bytes N]`;
const GRACE_MS = 10_000;
const MODES = ['serial', 'proxy', 'adaptive'];
const OPTIONS = /** @type {const} */ ({
  listen: { type: 'string', default: '127.0.0.1:8080' },
  module: { type: 'string' },
  worker: { type: 'string', multiple: true, default: /** @type {string[]} */ ([]) },
  mode: { type: 'string' },
  cors: { type: 'string' },
  'max-message-bytes': { type: 'string', default: String(256 * 1024 * 1024) },
  'cache-bytes': { type: 'string' },
  help: { type: 'boolean', default: false },
});

/** @param {number} code
 * @param {string} why
 * @returns {never} */
function leave(code, why) {
  process.stderr.write(`tessera-node: ${why}\n`);
  process.exit(code);
}

/** The command line, or wrong usage. */
function settings() {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    return leave(2, `${/** @type {Error} */ (error).message}\n${USAGE}`);
  }
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const listen = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(values.listen);
  if (listen === null || Number(listen[3]) > 65535) return leave(2, `--listen wants HOST:PORT, not ${values.listen}`);
  if (values.module === undefined) return leave(2, `--module FILE is missing\n${USAGE}`);
  if (values.mode !== undefined && !MODES.includes(values.mode)) return leave(2, `--mode wants one of ${MODES.join(', ')}, not ${values.mode}`);
  const maxBytes = Number(values['max-message-bytes']);
  if (!Number.isInteger(maxBytes) || maxBytes < 1024 || maxBytes > 0xffffffff) return leave(2, `--max-message-bytes wants a number from 1024 to 4294967295, not ${values['max-message-bytes']}`);
  const cacheBytes = values['cache-bytes'] === undefined ? undefined : Number(values['cache-bytes']);
  if (cacheBytes !== undefined && (values['cache-bytes'] === '' || !Number.isSafeInteger(cacheBytes) || cacheBytes < 0)) return leave(2, '--cache-bytes wants a number of bytes');
  return {
    host: listen[1] ?? listen[2],
    port: Number(listen[3]),
    module: values.module,
    workers: values.worker,
    cacheBytes,
    mode: /** @type {'serial' | 'proxy' | 'adaptive' | undefined} */ (values.mode),
    cors: values.cors,
    maxBytes,
  };
}

const wanted = settings();
const tessera = await Tessera.create({
  module: wanted.module,
  workers: wanted.workers,
  mode: wanted.mode,
  maxMessageBytes: wanted.maxBytes,
  cacheBytes: wanted.cacheBytes,
  log: (level, text) => {
    if (level !== 'debug') process.stderr.write(`${level}: ${text}\n`);
  },
}).catch((error) => leave(error.code === 'invalid_argument' ? 2 : 1, error.message));

let draining = false;

/** The listener; what no header can hold is wrong usage. */
function handler() {
  try {
    return nodeHandler(tessera, { maxBodyBytes: wanted.maxBytes, corsOrigin: wanted.cors, ready: () => !draining });
  } catch {
    return leave(2, '--cors wants "*" or one origin');
  }
}

const server = http.createServer({
  headersTimeout: 3000,
  requestTimeout: 0, // large bodies take their time; a silent one is ended by the socket's timeout
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
  noDelay: true,
}, handler());
server.maxConnections = 256;

/** Silence while a body arrives ends the connection; while the module works, silence is right.
 * @param {import('node:http').IncomingMessage} incoming */
function watchBody(incoming) {
  incoming.setTimeout(30_000, () => incoming.destroy());
  incoming.once('end', () => incoming.setTimeout(0));
}
server.prependListener('request', watchBody);

/** Replies that have not been sent to their end. */
let unsent = 0;
server.prependListener('request', (_incoming, outgoing) => {
  unsent++;
  outgoing.once('close', () => {
    unsent--;
    endWhenSent();
  });
});

function endWhenSent() {
  if (!draining || unsent > 0) return;
  tessera.close();
  process.exit(0);
}

server.on('error', (error) => leave(1, error.message));
server.listen(wanted.port, wanted.host, () => {
  const { address, family, port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`listening on http://${family === 'IPv6' ? `[${address}]` : address}:${port}\n`);
});

function drain() {
  if (draining) return;
  draining = true;
  // That of http would cut replies which are complete and not sent yet: it takes them for idle.
  Server.prototype.close.call(server);
  setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
  endWhenSent();
}
process.on('SIGTERM', drain);
process.on('SIGINT', drain);
