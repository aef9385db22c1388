// SPDX-License-Identifier: Apache-2.0
/**
 * A small Connect client: unary calls and server streams with binary protobuf,
 * over anything that can carry an HTTP exchange (a Tessera, or fetch).
 */
import { pairs } from './headers.mjs';
import { checkSignal, checkTimeout, shown } from './options.mjs';
import { decode, encode, join } from './protobuf.mjs';
import { codeOfHttp, errorOfJson, TesseraError } from './status.mjs';

/**
 * @typedef {object} Caller something that carries an HTTP exchange: Tessera, FetchCaller
 * @property {(request: import('./tessera.mjs').TesseraRequest) => Promise<{status: number, headers: Headers, body: Uint8Array | AsyncIterable<Uint8Array>}>} request
 *
 * @typedef {object} CallOptions null is taken as not given
 * @property {AbortSignal} [signal]
 * @property {number} [timeoutMs] also told to the other side; 0: none
 * @property {import('./headers.mjs').HeadersLike} [headers] beside those of the protocol: content-type and
 *   connect-protocol-version are replaced, connect-timeout-ms is refused (that is timeoutMs). Values are text, never numbers
 *
 * @typedef {object} Method
 * @property {string} path "/package.Service/Method"
 * @property {import('./protobuf.mjs').Message} input
 * @property {import('./protobuf.mjs').Message} output
 */

const FLAG_COMPRESSED = 0x01;
const FLAG_END = 0x02;
const ENVELOPE_BYTES = 5;
/** An envelope that claims more is refused before anything is allocated. */
const MAX_ENVELOPE_BYTES = 0x7fffffff;
const TIMEOUT_HEADER = 'connect-timeout-ms';
/** Of that header, which has ten digits at most. */
const MAX_TIMEOUT_MS = 9_999_999_999;

const fromUtf8 = new TextDecoder();

/** A call before anything is sent: wrong arguments end here, as invalid_argument.
 * @param {Method} method
 * @param {string} contentType
 * @param {Record<string, any>} input
 * @param {CallOptions} options
 * @returns {{headers: Headers, message: Uint8Array[]}} */
function prepare(method, contentType, input, options) {
  try {
    if (typeof options !== 'object' || options === null) throw new TypeError(`the options of a call are an object, not ${shown(options)}`);
    checkSignal(options.signal);
    checkTimeout(options.timeoutMs);
    const headers = new Headers();
    for (const [name, value] of pairs(options.headers)) headers.append(name, value);
    if (headers.has(TIMEOUT_HEADER)) throw new TypeError(`the header ${TIMEOUT_HEADER} is made from the option timeoutMs: give that`);
    headers.set('content-type', contentType);
    headers.set('connect-protocol-version', '1');
    const ms = options.timeoutMs ?? 0;
    if (ms > 0 && ms <= MAX_TIMEOUT_MS) headers.set(TIMEOUT_HEADER, String(Math.ceil(ms)));
    return { headers, message: encode(method.input, input) };
  } catch (error) {
    throw new TesseraError('invalid_argument', /** @type {Error} */ (error).message, { cause: error });
  }
}

/** @param {Caller} caller
 * @param {Method} method
 * @param {Headers} headers
 * @param {readonly Uint8Array[]} body
 * @param {CallOptions} options */
async function send(caller, method, headers, body, { signal, timeoutMs }) {
  try {
    return await caller.request({ method: 'POST', path: method.path, headers, body, signal: signal ?? undefined, timeoutMs: timeoutMs ?? 0 });
  } catch (error) {
    throw asTesseraError(error, signal);
  }
}

/** Node's fetch says "fetch failed", and why in the cause alone.
 * @param {unknown} error
 * @returns {string} */
function reasonOf(error) {
  if (!(error instanceof Error)) return String(error);
  const cause = /** @type {any} */ (error.cause);
  const why = cause instanceof Error ? cause.message || /** @type {any} */ (cause).code : undefined;
  return why ? `${error.message}: ${why}` : error.message;
}

/** @param {unknown} error
 * @param {AbortSignal | undefined} signal
 * @returns {TesseraError} */
function asTesseraError(error, signal) {
  if (error instanceof TesseraError) return error;
  if (signal?.aborted) return new TesseraError('canceled', 'the call was cancelled', { cause: error });
  const message = reasonOf(error);
  // No array of that size can be had.
  if (error instanceof RangeError) return new TesseraError('resource_exhausted', message, { cause: error });
  return new TesseraError('unavailable', message, { cause: error });
}

/** Throws TesseraError.
 * @param {Uint8Array | AsyncIterable<Uint8Array>} body
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<Uint8Array>} */
async function whole(body, signal) {
  if (body instanceof Uint8Array) return body;
  try {
    const pieces = [];
    for await (const piece of body) pieces.push(piece);
    return join(pieces);
  } catch (error) {
    throw asTesseraError(error, signal);
  }
}

/** Of a body that nobody reads: ends the exchange.
 * @param {Uint8Array | AsyncIterable<Uint8Array>} body */
async function leave(body) {
  if (!(body instanceof Uint8Array)) await body[Symbol.asyncIterator]().return?.();
}

/** The error that an unsuccessful HTTP reply tells of.
 * @param {number} status
 * @param {Headers} headers
 * @param {Uint8Array} body
 * @returns {TesseraError} */
function errorOfReply(status, headers, body) {
  const code = codeOfHttp(status);
  if (mediaType(headers) === 'application/json') {
    try {
      return errorOfJson(JSON.parse(fromUtf8.decode(body)), code);
    } catch { /* not JSON: the HTTP status says what there is to say */ }
  }
  return new TesseraError(code, `HTTP ${status}`);
}

/** @param {Headers} headers
 * @returns {string} */
const mediaType = (headers) => (headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();

/** @param {Method} method
 * @param {Uint8Array} bytes
 * @returns {any} */
function decodeReply(method, bytes) {
  try {
    return decode(method.output, bytes);
  } catch (error) {
    throw new TesseraError('internal', `${method.path} replied with no ${method.output.name}: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/** Throws TesseraError.
 * @param {Caller} caller
 * @param {Method} method
 * @param {Record<string, any>} input
 * @param {CallOptions} [options]
 * @returns {Promise<any>} */
export async function unary(caller, method, input, options = {}) {
  const { headers, message } = prepare(method, 'application/proto', input, options);
  const reply = await send(caller, method, headers, message, options);
  const body = await whole(reply.body, options.signal);
  if (reply.status !== 200) throw errorOfReply(reply.status, reply.headers, body);
  if (mediaType(reply.headers) !== 'application/proto') {
    throw new TesseraError('unknown', `${method.path} replied with ${mediaType(reply.headers) || 'no content type'}`);
  }
  return decodeReply(method, body);
}

/** Cuts chunks into envelopes; each is copied once, into an array of its own, unless one chunk holds it.
 * @param {AsyncIterable<Uint8Array>} chunks
 * @returns {AsyncGenerator<{flags: number, data: Uint8Array}>} */
async function* envelopes(chunks) {
  const head = new Uint8Array(ENVELOPE_BYTES);
  let headFilled = 0;
  /** @type {Uint8Array | undefined} */
  let data;
  let filled = 0;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (data === undefined) {
        const taken = Math.min(ENVELOPE_BYTES - headFilled, chunk.length - at);
        head.set(chunk.subarray(at, at + taken), headFilled);
        headFilled += taken;
        at += taken;
        if (headFilled < ENVELOPE_BYTES) break;
        const size = new DataView(head.buffer).getUint32(1);
        if (size > MAX_ENVELOPE_BYTES) throw new TesseraError('resource_exhausted', `a message of ${size} bytes`);
        if (chunk.length - at >= size) {
          yield { flags: head[0], data: chunk.subarray(at, at + size) };
          at += size;
          headFilled = 0;
          continue;
        }
        data = new Uint8Array(size);
        filled = 0;
      }
      const taken = Math.min(data.length - filled, chunk.length - at);
      data.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled === data.length) {
        yield { flags: head[0], data };
        data = undefined;
        headFilled = 0;
      }
    }
  }
  if (headFilled > 0) throw new TesseraError('data_loss', 'the stream ends inside a message');
}

/** The error that the last envelope of a stream tells of, if any.
 * @param {Uint8Array} data
 * @returns {TesseraError | undefined} */
function errorOfEnd(data) {
  if (data.length === 0) return undefined;
  try {
    const { error } = JSON.parse(fromUtf8.decode(data));
    return error === undefined ? undefined : errorOfJson(error, 'unknown');
  } catch (error) {
    return new TesseraError('internal', 'the end of the stream is not JSON', { cause: error });
  }
}

/** @param {Uint8Array | AsyncIterable<Uint8Array>} body
 * @returns {AsyncIterable<Uint8Array>} */
async function* asChunks(body) {
  if (body instanceof Uint8Array) yield body;
  else yield* body;
}

/**
 * Sends one message and iterates over those that come back. Throws TesseraError,
 * also when the stream ends with one, or without an end. Leaving early cancels the call.
 * @param {Caller} caller
 * @param {Method} method
 * @param {Record<string, any>} input
 * @param {CallOptions} [options]
 * @returns {AsyncGenerator<any>}
 */
export async function* serverStream(caller, method, input, options = {}) {
  const contentType = 'application/connect+proto';
  const { headers, message } = prepare(method, contentType, input, options);
  const size = message.reduce((sum, piece) => sum + piece.length, 0);
  if (size > MAX_ENVELOPE_BYTES) throw new TesseraError('resource_exhausted', `a message of ${size} bytes`);
  const head = new Uint8Array(ENVELOPE_BYTES);
  new DataView(head.buffer).setUint32(1, size);
  const reply = await send(caller, method, headers, [head, ...message], options);
  if (reply.status !== 200) throw errorOfReply(reply.status, reply.headers, await whole(reply.body, options.signal));
  if (mediaType(reply.headers) !== contentType) {
    await leave(reply.body);
    throw new TesseraError('unknown', `${method.path} replied with ${mediaType(reply.headers) || 'no content type'}`);
  }
  try {
    for await (const { flags, data } of envelopes(asChunks(reply.body))) {
      if ((flags & FLAG_COMPRESSED) !== 0) throw new TesseraError('internal', 'a compressed message that was not asked for');
      if ((flags & FLAG_END) === 0) {
        yield decodeReply(method, data);
        continue;
      }
      const error = errorOfEnd(data);
      if (error !== undefined) throw error;
      return;
    }
  } catch (error) {
    throw asTesseraError(error, options.signal);
  }
  throw new TesseraError('data_loss', 'the stream broke off');
}
