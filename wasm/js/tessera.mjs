// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the Tessera server module (wasm/abi.h) in Node (18 or later) and in
 * browsers, with no dependency and no bundler.
 *
 *   import { Tessera, MatmulClient } from './tessera.mjs';
 *   const tessera = await Tessera.create({ module: new URL('tessera-module.wasm', import.meta.url),
 *                                          workers: ['http://127.0.0.1:8081'], mode: 'adaptive' });
 *   const { c, stats } = await new MatmulClient(tessera).multiply({ a, b });
 *
 * The module is never waited for: its loop() runs in short turns of the event
 * loop. Bodies are copied once on their way in and once on their way out. The
 * number of requests and of outbound posts is bounded. When the instance traps
 * all that was in flight is answered with `internal`, and a fresh instance
 * takes the next request; it starts in the mode that create() was given.
 */
import {
  ABI_LOG_LEVELS, ABI_MAX_RESPONSE_BYTES, ABI_REPLY_MORE, ABI_STATUS_TOO_LARGE, ABI_STATUS_UNREACHABLE, ABI_WAIT_FOR_EVENT,
} from './abi.mjs';
import { Guest, NoMemory, NotAModule } from './guest.mjs';
import { contentTypeOf, headersFromText, headersToText } from './headers.mjs';
import { inNode, loadModule } from './load.mjs';
import { abortReason, checkOptions, checkSignal, checkTimeout, configuration, workerUrls } from './options.mjs';
import { deliver, NOT_A_WORKER, Posts } from './posts.mjs';
import { ReplyStream } from './reply-stream.mjs';
import { errorReply, TesseraError } from './status.mjs';
import { fetchTransport } from './transport-fetch.mjs';
import { Turns } from './turns.mjs';

export { TesseraError } from './status.mjs';
export { FetchCaller, MatmulClient } from './client.mjs';

/** Turns of loop() that ask to go on at once share a task for this long. */
const SLICE_MS = 4;
/** Most of the text that stats() gives. */
const MAX_STATS_BYTES = 8 * 1024 * 1024;
/** A guest that traps within this time of its start is restarted ever more slowly, */
const HEALTHY_MS = 1000;
/** up to this. */
const MAX_RESTART_MS = 5000;
/** Of an id, and of a timer's milliseconds. */
const MAX_INT32 = 0x7fffffff;

/**
 * @typedef {import('./options.mjs').LogLevel} LogLevel
 * @typedef {import('./options.mjs').TesseraOptions} TesseraOptions
 * @typedef {import('./load.mjs').ModuleSource} ModuleSource
 * @typedef {import('./headers.mjs').HeadersLike} HeadersLike
 * @typedef {import('./status.mjs').Code} Code
 * @typedef {import('./transport-fetch.mjs').Transport} Transport
 * @typedef {import('./connect.mjs').Caller} Caller
 * @typedef {import('./connect.mjs').CallOptions} CallOptions
 * @typedef {import('./client.mjs').DenseMatrix} DenseMatrix
 * @typedef {import('./client.mjs').NamedMatrix} NamedMatrix
 * @typedef {import('./client.mjs').Product} Product
 * @typedef {import('./client.mjs').TileResult} TileResult
 * @typedef {import('./client.mjs').ProductStats} ProductStats
 * @typedef {import('./client.mjs').WorkerStats} WorkerStats
 * @typedef {import('./client.mjs').Description} Description
 * @typedef {import('./client.mjs').BlockList} BlockList
 * @typedef {import('./client.mjs').Mode} Mode
 * @typedef {import('./client.mjs').SettableMode} SettableMode
 *
 * @typedef {object} TesseraRequest null is taken as not given
 * @property {string} [method] default POST
 * @property {string} path
 * @property {import('./headers.mjs').HeadersLike} [headers]
 * @property {Uint8Array | readonly Uint8Array[]} [body] one piece or several, borrowed until the promise settles
 * @property {AbortSignal} [signal] the client goes away: rejects with the signal's reason
 * @property {number} [timeoutMs] after it, the reply is deadline_exceeded; default none
 *
 * @typedef {object} TesseraReply
 * @property {number} status
 * @property {Headers} headers
 * @property {Uint8Array | AsyncIterableIterator<Uint8Array>} body an iterator when the module streams;
 *   leaving the iteration early cancels the request
 *
 * @typedef {{getRandomValues(bytes: Uint8Array): unknown}} Randomness the part of Crypto that is used
 *
 * @typedef {object} Exchange a request in flight
 * @property {number} id
 * @property {string} contentType
 * @property {(reply: TesseraReply) => void} resolve
 * @property {(reason: unknown) => void} reject
 * @property {ReplyStream | undefined} stream once the head is out
 * @property {() => void} release ends its timer and its signal's listener
 */

export class Tessera {
  /** @type {TesseraOptions} */ #options;
  /** @type {WebAssembly.Module} */ #module;
  /** @type {string} */ #configuration;
  /** @type {import('./transport-fetch.mjs').Transport} */ #transport;
  /** @type {Randomness} */ #crypto;
  #limits;
  #turns = new Turns(() => this.#turn());

  /** The instance, or undefined while there is none. @type {Guest | undefined} */
  #guest;
  /** While a fresh instance is made: settles with why there is none. @type {Promise<TesseraError | undefined> | undefined} */
  #ready;
  #startedAt = 0;
  #restarts = 0;
  #restartDelay = 0;
  #closed = false;
  /** Whether an export runs just now: imports must not call exports. */
  #inside = false;

  /** @type {Map<number, Exchange>} */ #exchanges = new Map();
  /** Requests that wait for an instance. */
  #waiting = 0;
  /** Ends of the waits for an instance.
   * @type {Set<(failure: TesseraError | undefined) => void>} */
  #waits = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #restartTimer;
  #nextId = 1;
  #posts;

  /**
   * Compiles, instantiates and configures the module. Rejects with TypeError or
   * RangeError on an option that is not of its kind, with
   * TesseraError(failed_precondition) when the file is no Tessera module, and
   * with invalid_argument on what is no worker's URL and when the module
   * refuses its configuration.
   * @param {TesseraOptions} options
   * @returns {Promise<Tessera>}
   */
  static async create(options) {
    checkOptions(options);
    const workers = workerUrls(options.workers ?? []);
    const compiled = await loadModule(options.module).catch((error) => {
      throw new TesseraError('failed_precondition', `the module cannot be loaded: ${message(error)}`, { cause: error });
    });
    const node = inNode ? await import('./node-only.mjs') : undefined;
    const transport = options.transport ?? node?.nodeTransport() ?? fetchTransport();
    const crypto = globalThis.crypto ?? node?.webcrypto;
    const tessera = new Tessera(options, workers, compiled, transport, crypto);
    try {
      await tessera.#start();
    } catch (error) {
      tessera.close();
      throw error;
    }
    return tessera;
  }

  /**
   * Use Tessera.create().
   * @param {TesseraOptions} options
   * @param {readonly URL[]} workers
   * @param {import('./load.mjs').CompiledModule} module
   * @param {import('./transport-fetch.mjs').Transport} transport
   * @param {Randomness} crypto
   */
  constructor(options, workers, module, transport, crypto) {
    this.#options = options;
    this.#module = module;
    this.#transport = transport;
    this.#crypto = crypto;
    this.#limits = {
      messageBytes: options.maxMessageBytes ?? 256 * 1024 * 1024,
      requests: options.maxRequests ?? 64,
      highWater: options.highWaterBytes ?? 4 * 1024 * 1024,
    };
    this.#posts = new Posts(workers, transport, options.maxPosts ?? 256);
    this.#configuration = configuration(options, this.#limits.messageBytes);
    this.#turns.hold(false);
  }

  /** Instances made after traps so far. */
  get restarts() {
    return this.#restarts;
  }

  /** Size of the module's memory, which only grows; 0 while there is no instance. */
  get memoryBytes() {
    return this.#guest?.memoryBytes ?? 0;
  }

  /** Requests in flight. */
  get pending() {
    return this.#exchanges.size + this.#waiting;
  }

  /**
   * One HTTP exchange with the module. Errors of the module and of this host
   * (too many requests, a trap, the timeout) are replies; it rejects only when
   * `signal` fires, when the request is malformed (TypeError, RangeError), or after close().
   * @param {TesseraRequest} request
   * @returns {Promise<TesseraReply>}
   */
  async request(request) {
    if (typeof request !== 'object' || request === null) throw new TypeError('a request is an object');
    checkSignal(request.signal);
    checkTimeout(request.timeoutMs);
    const head = headersToText(request.headers);
    const contentType = contentTypeOf(head);
    if (this.#closed) throw new TesseraError('unavailable', 'this host is closed');
    if (request.signal?.aborted) throw abortReason(request.signal);
    const body = request.body === undefined || request.body === null ? [] : request.body instanceof Uint8Array ? [request.body] : request.body;
    if (typeof request.path !== 'string' || typeof (request.method ?? 'POST') !== 'string') {
      throw new TypeError('path and method are strings');
    }
    if (!Array.isArray(body) || !body.every((piece) => piece instanceof Uint8Array)) {
      throw new TypeError('body is a Uint8Array, or an array of them');
    }
    const bytes = body.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes > this.#limits.messageBytes) {
      return errorReply(contentType, 'resource_exhausted', `a request of ${bytes} bytes is over the limit of ${this.#limits.messageBytes}`);
    }
    if (this.pending >= this.#limits.requests) {
      return errorReply(contentType, 'resource_exhausted', `${this.pending} requests are in flight: try later`);
    }
    const limitMs = request.timeoutMs ?? 0;
    const began = performance.now();
    const leftMs = () => Math.min(Math.max(limitMs - (performance.now() - began), 1), MAX_INT32);
    // With an instance at hand there is no await before #begin: what was checked still holds there.
    this.#waiting++;
    try {
      while (this.#guest === undefined || this.#inside) {
        const failure = await this.#untilReady(request.signal, limitMs, leftMs());
        if (failure !== undefined) return errorReply(contentType, failure.code, failure.message);
        if (request.signal?.aborted) throw abortReason(request.signal);
      }
    } finally {
      this.#waiting--;
    }
    return this.#begin(request, contentType, head, body, leftMs());
  }

  /** The module's figures as Prometheus text. */
  stats() {
    return this.#enter((guest) => {
      for (let size = 16 * 1024; ;) {
        const ptr = guest.call('alloc', size) >>> 0;
        if (ptr === 0) return '';
        const length = guest.call('stats', ptr, size) >>> 0;
        // What fills it was cut.
        const text = length < size || size >= MAX_STATS_BYTES ? guest.text(ptr, length) : undefined;
        guest.call('free', ptr);
        if (text !== undefined) return text;
        size *= 4;
      }
    }) ?? '';
  }

  /** Ends everything at once: requests in flight are answered `unavailable`, posts are cancelled. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#turns.stop();
    this.#guest = undefined;
    this.#abandon('unavailable', 'this host was closed');
    for (const end of this.#waits) end(new TesseraError('unavailable', 'this host was closed'));
    clearTimeout(this.#restartTimer);
    this.#transport.close();
  }

  // ---- the instance ----

  async #start() {
    const guest = await Guest.start(this.#module, (current) => this.#imports(current)).catch((error) => {
      throw new TesseraError('failed_precondition', `the module cannot be started: ${error.message}`, { cause: error });
    });
    let refused = '';
    this.#lastError = '';
    this.#inside = true;
    try {
      const text = guest.putText(this.#configuration);
      if (guest.call('configure', text.ptr, text.len) !== 0) refused = this.#lastError || 'no reason given';
    } catch (error) {
      throw new TesseraError('internal', `the module trapped in configure: ${message(error)}`, { cause: error });
    } finally {
      this.#inside = false;
    }
    if (refused !== '') throw new TesseraError('invalid_argument', `the module refuses its configuration: ${refused}`);
    if (this.#closed) return;
    this.#guest = guest;
    this.#startedAt = performance.now();
    this.#turns.soon();
  }

  /** The last error line of the module: the reason when configure() refuses. */
  #lastError = '';

  /** Runs something that calls exports. Undefined when there is no instance, or it trapped.
   * @template T
   * @param {(guest: Guest) => T} action
   * @returns {T | undefined} */
  #enter(action) {
    const guest = this.#guest;
    if (guest === undefined) return undefined;
    if (this.#inside) throw new Error('the host was called from inside the module (by its log function?)');
    this.#inside = true;
    try {
      return action(guest);
    } catch (error) {
      this.#trapped(error);
      return undefined;
    } finally {
      this.#inside = false;
    }
  }

  /** @param {unknown} error */
  #trapped(error) {
    const why = `the module trapped: ${message(error)}`;
    this.#guest = undefined;
    const lived = performance.now() - this.#startedAt;
    this.#restartDelay = lived > HEALTHY_MS ? 0 : Math.min(Math.max(this.#restartDelay * 2, 1), MAX_RESTART_MS);
    this.#abandon('internal', why);
    this.#ready ??= this.#restart();
    this.#log('error', why); // last: it is the caller's, and may throw
  }

  /** @returns {Promise<TesseraError | undefined>} why there is no instance */
  async #restart() {
    if (this.#restartDelay > 1) await new Promise((resolve) => { this.#restartTimer = setTimeout(resolve, this.#restartDelay); });
    try {
      if (!this.#closed) await this.#start();
      this.#restarts++;
      return undefined;
    } catch (error) {
      const failure = new TesseraError('unavailable', `no new instance: ${message(error)}`, { cause: error });
      this.#log('error', failure.message);
      return failure;
    } finally {
      this.#ready = undefined;
    }
  }

  /** Waits for an instance, and asks for one when the last attempt failed.
   * @param {AbortSignal | undefined} signal
   * @param {number} limitMs of the whole request; 0: none
   * @param {number} leftMs of it
   * @returns {Promise<TesseraError | undefined>} why there is none */
  async #untilReady(signal, limitMs, leftMs) {
    if (this.#closed) return new TesseraError('unavailable', 'this host is closed');
    // Inside: the log function makes a request, which goes on once the module has returned.
    if (this.#inside) return undefined;
    return new Promise((resolve, reject) => {
      const release = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waits.delete(end);
      };
      const abort = () => { release(); reject(abortReason(/** @type {AbortSignal} */ (signal))); };
      const end = (/** @type {TesseraError | undefined} */ failure) => { release(); resolve(failure); };
      const timer = limitMs > 0 ? setTimeout(() => end(noReply(limitMs)), leftMs) : undefined;
      signal?.addEventListener('abort', abort, { once: true });
      this.#waits.add(end);
      (this.#ready ??= this.#restart()).then(end, (error) => { release(); reject(error); });
    });
  }

  /** Answers all requests in flight and cancels all posts.
   * @param {import('./status.mjs').Code} code
   * @param {string} why */
  #abandon(code, why) {
    for (const exchange of [...this.#exchanges.values()]) {
      this.#forget(exchange);
      if (exchange.stream === undefined) exchange.resolve(errorReply(exchange.contentType, code, why));
      else exchange.stream.fail(new TesseraError(code, why));
    }
    this.#posts.cancelAll();
  }

  #turn() {
    const wake = this.#enter((guest) => {
      const until = performance.now() + SLICE_MS;
      let next;
      do next = guest.call('loop');
      while (next === 0 && performance.now() < until);
      return next;
    });
    if (wake === undefined || wake === ABI_WAIT_FOR_EVENT) return;
    if (wake > 0) this.#turns.later(wake);
    else this.#turns.soon();
  }

  /** @param {LogLevel} level
   * @param {string} text */
  #log(level, text) {
    this.#options.log?.(level, text);
  }

  // ---- requests ----

  /**
   * @param {TesseraRequest} request
   * @param {string} contentType
   * @param {string} head
   * @param {readonly Uint8Array[]} body
   * @param {number} leftMs of the request's timeoutMs, where it has one
   * @returns {Promise<TesseraReply>}
   */
  #begin(request, contentType, head, body, leftMs) {
    return new Promise((resolve, reject) => {
      const id = this.#freshId();
      /** @type {Exchange} */
      const exchange = { id, contentType, resolve, reject, stream: undefined, release: () => {} };
      this.#exchanges.set(id, exchange);
      this.#turns.hold(true);
      this.#watch(exchange, request.signal, request.timeoutMs ?? 0, leftMs);

      const taken = this.#enter((guest) => {
        /** @type {import('./guest.mjs').Block[]} */
        const blocks = [];
        try {
          for (const text of [request.method ?? 'POST', request.path, head]) blocks.push(guest.putText(text));
          blocks.push(guest.put(body));
        } catch (error) {
          if (!(error instanceof NoMemory)) throw error;
          for (const block of blocks) guest.drop(block);
          return error.message;
        }
        const args = blocks.flatMap(({ ptr, len }) => [ptr, len]);
        return guest.call('on_request', id, ...args) < 0 ? 'the module has no memory for this request' : '';
      });
      if (taken === undefined) return; // trapped: answered already
      if (taken !== '' && this.#exchanges.has(id)) {
        this.#forget(exchange);
        resolve(errorReply(contentType, 'unavailable', taken));
      }
      this.#turns.soon();
    });
  }

  #freshId() {
    while (this.#exchanges.has(this.#nextId)) this.#nextId = this.#nextId % MAX_INT32 + 1;
    const id = this.#nextId;
    this.#nextId = id % MAX_INT32 + 1;
    return id;
  }

  /** Ends the exchange when the client goes away or its time is over.
   * @param {Exchange} exchange
   * @param {AbortSignal | undefined} signal
   * @param {number} limitMs 0: none
   * @param {number} leftMs of it */
  #watch(exchange, signal, limitMs, leftMs) {
    const leave = () => {
      this.#cancel(exchange);
      const reason = abortReason(/** @type {AbortSignal} */ (signal));
      if (exchange.stream === undefined) exchange.reject(reason);
      else exchange.stream.fail(reason);
    };
    const expire = () => {
      this.#cancel(exchange);
      const failure = noReply(limitMs);
      if (exchange.stream === undefined) exchange.resolve(errorReply(exchange.contentType, failure.code, failure.message));
      else exchange.stream.fail(failure);
    };
    signal?.addEventListener('abort', leave, { once: true });
    const timer = limitMs > 0 ? setTimeout(expire, leftMs) : undefined;
    exchange.release = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
    };
  }

  /** @param {Exchange} exchange */
  #forget(exchange) {
    this.#exchanges.delete(exchange.id);
    if (this.#exchanges.size === 0) this.#turns.hold(false);
    exchange.release();
  }

  /** Forgets it and tells the module.
   * @param {Exchange} exchange */
  #cancel(exchange) {
    if (this.#exchanges.get(exchange.id) !== exchange) return;
    this.#forget(exchange);
    this.#notify('on_cancel', exchange.id);
  }

  /** @param {'on_cancel' | 'on_writable'} event
   * @param {number} id */
  #notify(event, id) {
    if (this.#inside) { // a reader or a signal that fires while an export runs
      queueMicrotask(() => this.#notify(event, id));
      return;
    }
    this.#enter((guest) => guest.call(event, id));
    this.#turns.soon();
  }

  // ---- imports ----

  /** @param {() => Guest} current
   * @returns {Record<string, Function>} */
  #imports(current) {
    return {
      http_post: (/** @type {number[]} */ ...a) => this.#httpPost(current(), a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
      http_cancel: (/** @type {number} */ handle) => this.#posts.cancel(handle),
      http_reply: (/** @type {number[]} */ ...a) => this.#httpReply(current(), a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
      http_reply_more: (/** @type {number} */ id, /** @type {number} */ iov, /** @type {number} */ count, /** @type {number} */ flags) =>
        this.#httpReplyMore(current(), id, iov, count, flags),
      now_ms: () => performance.now(),
      log: (/** @type {number} */ level, /** @type {number} */ ptr, /** @type {number} */ len) => {
        const name = /** @type {LogLevel} */ (ABI_LOG_LEVELS[level] ?? 'error');
        const text = current().text(ptr, len);
        if (name === 'error' || name === 'warning') this.#lastError = text;
        this.#log(name, text);
      },
      random: (/** @type {number} */ ptr, /** @type {number} */ len) => {
        const block = current().bytes(ptr, len);
        for (let at = 0; at < block.length; at += 65536) this.#crypto.getRandomValues(block.subarray(at, at + 65536));
      },
    };
  }

  /** @param {Guest} guest
   * @param {number} urlPtr @param {number} urlLen
   * @param {number} headPtr @param {number} headLen
   * @param {number} iov @param {number} count
   * @param {number} timeoutMs
   * @returns {number} */
  #httpPost(guest, urlPtr, urlLen, headPtr, headLen, iov, count, timeoutMs) {
    const url = guest.text(urlPtr, urlLen);
    const refusal = this.#posts.refusal(url);
    if (refusal === NOT_A_WORKER) {
      this.#log('warning', `refused a request of the module to ${url}: not one of the workers`);
    }
    if (refusal !== 0) return refusal;
    const headers = headersFromText(guest.text(headPtr, headLen));
    const wanted = Number(headers.find(([name]) => name === ABI_MAX_RESPONSE_BYTES)?.[1]);
    const told = wanted > 0 ? wanted : Infinity; // what is no number bounds nothing
    const request = {
      url,
      headers: headers.filter(([name]) => name !== ABI_MAX_RESPONSE_BYTES),
      body: guest.gather(iov, count),
      timeoutMs,
      maxBytes: Math.min(told, this.#limits.messageBytes),
    };
    return this.#posts.start(request, (handle, reply) => {
      // Over our own limit only: no fault of the worker's.
      if (reply.status === ABI_STATUS_TOO_LARGE && told > request.maxBytes) reply = { ...reply, status: ABI_STATUS_UNREACHABLE };
      this.#enter((to) => deliver(to, handle, reply));
      this.#turns.soon();
    });
  }

  /** @param {Guest} guest
   * @param {number} id
   * @param {number} status
   * @param {number} headPtr @param {number} headLen
   * @param {number} iov @param {number} count
   * @param {number} flags
   * @returns {number} */
  #httpReply(guest, id, status, headPtr, headLen, iov, count, flags) {
    const exchange = this.#exchanges.get(id);
    if (exchange === undefined || exchange.stream !== undefined) return -1;
    const headers = new Headers(headersFromText(guest.text(headPtr, headLen)));
    const body = guest.gather(iov, count);
    if ((flags & ABI_REPLY_MORE) === 0) {
      this.#forget(exchange);
      exchange.resolve({ status, headers, body });
      return 0;
    }
    const stream = new ReplyStream(this.#limits.highWater, {
      drained: () => this.#notify('on_writable', id),
      abandoned: () => this.#cancel(exchange),
    });
    exchange.stream = stream;
    stream.push(body);
    exchange.resolve({ status, headers, body: stream });
    return 0;
  }

  /** @param {Guest} guest
   * @param {number} id
   * @param {number} iov @param {number} count
   * @param {number} flags
   * @returns {number} */
  #httpReplyMore(guest, id, iov, count, flags) {
    const exchange = this.#exchanges.get(id);
    if (exchange?.stream === undefined) return -1;
    const full = exchange.stream.push(guest.gather(iov, count));
    if ((flags & ABI_REPLY_MORE) === 0) {
      this.#forget(exchange);
      exchange.stream.end();
      return 0;
    }
    return full ? 1 : 0;
  }
}

/** @param {unknown} error
 * @returns {string} */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {number} limitMs */
function noReply(limitMs) {
  return new TesseraError('deadline_exceeded', `no reply within ${limitMs} ms`);
}

export { NotAModule };
