// SPDX-License-Identifier: Apache-2.0
/**
 * Puts a Tessera behind node:http: (request, response) listener with health,
 * metrics, CORS, a bound on bodies, back-pressure on streamed replies, and
 * cancellation when the client goes away.
 */
import { validateHeaderValue } from 'node:http';
import { checkWhole, given, shown } from './options.mjs';
import { errorReply, TesseraError } from './status.mjs';

/** Headers of one connection, not of the message. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect']);

/**
 * @typedef {object} HandlerOptions null is taken as not given
 * @property {number} [maxBodyBytes] of a request, 0 or more, or Infinity; default 256 MiB. What the host takes is bounded
 *   by its maxMessageBytes, too
 * @property {string} [corsOrigin] "*" or one origin; default: no CORS headers
 * @property {() => boolean} [ready] for /readyz; default: ready
 */

/** Throws TypeError on what cannot stand in a header.
 * @param {unknown} origin */
function checkCorsOrigin(origin) {
  if (typeof origin !== 'string' || origin === '') throw new TypeError(`the option corsOrigin is "*" or one origin, not ${shown(origin)}`);
  try {
    validateHeaderValue('access-control-allow-origin', origin);
  } catch (error) {
    throw new TypeError(`the option corsOrigin is "*" or one origin, not ${shown(origin)}`, { cause: error });
  }
}

/** Reads a request's body, or gives undefined when it is over the limit.
 * @param {import('node:http').IncomingMessage} incoming
 * @param {number} maxBytes
 * @returns {Promise<Uint8Array[] | undefined>} */
async function readBody(incoming, maxBytes) {
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) return undefined;
  const pieces = [];
  let bytes = 0;
  for await (const piece of incoming.iterator({ destroyOnReturn: false })) {
    bytes += piece.length;
    if (bytes > maxBytes) return undefined;
    pieces.push(piece);
  }
  return pieces;
}

/** @param {import('node:http').IncomingMessage} incoming
 * @returns {[string, string][]} */
function headerPairs(incoming) {
  /** @type {[string, string][]} */
  const pairs = [];
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const name = incoming.rawHeaders[i].toLowerCase();
    if (!HOP_BY_HOP.has(name)) pairs.push([name, incoming.rawHeaders[i + 1]]);
  }
  return pairs;
}

/** Sends a reply, waiting for a slow client. Rejects when the client or the stream breaks.
 * @param {import('node:http').ServerResponse} outgoing
 * @param {{status: number, headers: Headers, body: Uint8Array | AsyncIterable<Uint8Array>}} reply
 * @param {AbortSignal} gone */
async function sendReply(outgoing, { status, headers, body }, gone) {
  outgoing.statusCode = status;
  for (const [name, value] of headers) outgoing.setHeader(name, value);
  if (body instanceof Uint8Array) {
    outgoing.setHeader('content-length', body.length);
    outgoing.end(body);
    return;
  }
  for await (const chunk of body) {
    if (outgoing.write(chunk)) continue;
    await new Promise((resolve, reject) => {
      const leave = () => reject(gone.reason);
      outgoing.once('drain', () => {
        gone.removeEventListener('abort', leave); // one reply may wait thousands of times
        resolve(undefined);
      });
      gone.addEventListener('abort', leave, { once: true });
    });
  }
  outgoing.end();
}

/** Answers what needs no module. True: answered.
 * @param {import('node:http').IncomingMessage} incoming
 * @param {import('node:http').ServerResponse} outgoing
 * @param {import('./tessera.mjs').Tessera} tessera
 * @param {HandlerOptions} options */
function answerItself(incoming, outgoing, tessera, { ready }) {
  if (incoming.method === 'OPTIONS' && incoming.headers['access-control-request-method'] !== undefined) {
    outgoing.writeHead(204, {
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': incoming.headers['access-control-request-headers'] ?? '',
      'access-control-max-age': '7200',
      vary: 'Access-Control-Request-Headers',
    }).end();
    return true;
  }
  if (incoming.method !== 'GET' && incoming.method !== 'HEAD') return false;
  const text = (/** @type {number} */ status, /** @type {string} */ body) => {
    outgoing.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
    return true;
  };
  switch (incoming.url?.split('?')[0]) {
    case '/livez': return text(200, 'ok\n');
    case '/readyz': return ready?.() === false ? text(503, 'draining\n') : text(200, 'ok\n');
    case '/metrics': return text(200, `${tessera.stats()}${hostMetrics(tessera)}`);
    default: return false;
  }
}

/** @param {import('./tessera.mjs').Tessera} tessera */
function hostMetrics(tessera) {
  return '# HELP tessera_host_restarts_total Module instances made after a trap.\n'
    + '# TYPE tessera_host_restarts_total counter\n'
    + `tessera_host_restarts_total ${tessera.restarts}\n`
    + '# HELP tessera_host_requests_in_flight Requests that the module has not answered in full.\n'
    + '# TYPE tessera_host_requests_in_flight gauge\n'
    + `tessera_host_requests_in_flight ${tessera.pending}\n`
    + '# HELP tessera_host_module_memory_bytes Linear memory of the module.\n'
    + '# TYPE tessera_host_module_memory_bytes gauge\n'
    + `tessera_host_module_memory_bytes ${tessera.memoryBytes}\n`;
}

/**
 * Throws TypeError and RangeError on an option that is not of its kind.
 * @param {import('./tessera.mjs').Tessera} tessera
 * @param {HandlerOptions} [options]
 * @returns {(incoming: import('node:http').IncomingMessage, outgoing: import('node:http').ServerResponse) => Promise<void>}
 */
export function nodeHandler(tessera, options = {}) {
  if (typeof tessera?.request !== 'function') throw new TypeError(`nodeHandler() takes a Tessera, not ${shown(tessera)}`);
  if (typeof options !== 'object' || options === null) throw new TypeError(`nodeHandler() takes an object of options, not ${shown(options)}`);
  checkWhole('maxBodyBytes', options.maxBodyBytes, 0, Infinity);
  if (given(options.ready) && typeof options.ready !== 'function') throw new TypeError(`the option ready is a function, not ${shown(options.ready)}`);
  if (given(options.corsOrigin)) checkCorsOrigin(options.corsOrigin);
  const maxBytes = options.maxBodyBytes ?? 256 * 1024 * 1024;
  return async (incoming, outgoing) => {
    const left = new AbortController();
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) left.abort(new TesseraError('canceled', 'the client went away'));
    });
    if (given(options.corsOrigin)) {
      outgoing.setHeader('access-control-allow-origin', options.corsOrigin);
      outgoing.setHeader('access-control-expose-headers', '*');
    }
    const contentType = incoming.headers['content-type'] ?? '';
    try {
      if (answerItself(incoming, outgoing, tessera, options)) return;
      const body = await readBody(incoming, maxBytes);
      if (body === undefined) {
        // The rest of the body is not read: the connection cannot be used again.
        outgoing.setHeader('connection', 'close');
        await sendReply(outgoing, errorReply(contentType, 'resource_exhausted', `a body over the limit of ${maxBytes} bytes`), left.signal);
        return;
      }
      const reply = await tessera.request({
        method: incoming.method, path: incoming.url ?? '/', headers: headerPairs(incoming), body, signal: left.signal,
      });
      await sendReply(outgoing, reply, left.signal);
    } catch (error) {
      if (outgoing.headersSent || left.signal.aborted) {
        outgoing.destroy(); // a cut reply must not look whole
        return;
      }
      const code = error instanceof TesseraError ? error.code : error instanceof TypeError ? 'invalid_argument' : 'internal';
      await sendReply(outgoing, errorReply(contentType, code, error instanceof Error ? error.message : String(error)), left.signal);
    }
  };
}
