// SPDX-License-Identifier: Apache-2.0
/**
 * What Tessera.create() is given, whether it can be used, and what the module is told of it.
 *
 * @typedef {'debug' | 'info' | 'warning' | 'error'} LogLevel
 *
 * @typedef {object} TesseraOptions null is taken as not given. Numbers are whole ones; those of maxRequests, maxPosts and
 *   highWaterBytes may be Infinity: no limit but the module's own
 * @property {import('./load.mjs').ModuleSource} module
 * @property {readonly (string | URL)[]} [workers] the module can reach nothing else
 * @property {'serial' | 'proxy' | 'adaptive'} [mode] default: adaptive with workers, else serial
 * @property {string} [engine] how Describe names this host; default: node or browser
 * @property {number} [maxMessageBytes] of a request, a reply and a worker's reply, 1024 to 4294967295; default 256 MiB
 * @property {number} [maxInflightBytes] operands on their way to workers, 1024 or more; default: the module's
 * @property {number} [cacheBytes] blocks that the module keeps by name, 0 or more; default: the module's
 * @property {number} [thresholdMs] of the adaptive mode, 1 to 86400000 (a day); default: the module's
 * @property {number} [tileTimeoutMs] 1 to 86400000 (a day); default: the module's
 * @property {number} [maxRequests] in flight, 1 or more; what is beyond is refused with resource_exhausted; default 64
 * @property {number} [maxPosts] to workers in flight, 1 or more; default 256
 * @property {number} [highWaterBytes] of a streamed reply that is not read, 0 or more; default 4 MiB
 * @property {(level: LogLevel, text: string) => void} [log] default: none
 * @property {import('./transport-fetch.mjs').Transport} [transport] default: http in Node, else fetch
 */
import { inNode, isModuleSource } from './load.mjs';
import { TesseraError } from './status.mjs';

/** A day: most of what the module takes in milliseconds. */
const MAX_MODULE_MS = 86_400_000;
/** The module's bounds on its workers, and on the URL of each. */
const MAX_WORKERS = 1024;
const MAX_WORKER_URL = 255;

/** A whole number from `least` to `most`, or absent. Throws TypeError and RangeError that name the range.
 * @param {string} name of the option
 * @param {unknown} value
 * @param {number} least
 * @param {number} [most] Infinity: it may be Infinity, too */
export function checkWhole(name, value, least, most = Number.MAX_SAFE_INTEGER) {
  if (value === undefined || value === null || (value === Infinity && most === Infinity)) return;
  const range = most === Infinity ? `a whole number from ${least} on, or Infinity` : most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least} on` : `a whole number from ${least} to ${most}`;
  if (typeof value !== 'number') throw new TypeError(`the option ${name} is ${range}, not ${shown(value)}`);
  if (!Number.isSafeInteger(value) || value < least || value > most) throw new RangeError(`the option ${name} is ${range}, not ${value}`);
}

/** A timeout: milliseconds, 0 for none, or absent. Throws TypeError and RangeError.
 * @param {unknown} value */
export function checkTimeout(value) {
  if (value === undefined || value === null) return;
  if (typeof value !== 'number') throw new TypeError(`timeoutMs is a number of milliseconds, not ${shown(value)}`);
  if (!(value >= 0)) throw new RangeError(`timeoutMs is 0 or more milliseconds, not ${value}`);
}

/** An AbortSignal, also one of another realm or of another making, or absent. Throws TypeError.
 * @param {any} value */
export function checkSignal(value) {
  if (value === undefined || value === null) return;
  if (typeof value.aborted === 'boolean' && typeof value.addEventListener === 'function') return;
  throw new TypeError(`signal is an AbortSignal, not ${shown(value)}`);
}

/** Why it was aborted. Signals of libraries, and of old engines, may know no reason.
 * @param {AbortSignal} signal
 * @returns {unknown} */
export const abortReason = (signal) => signal.reason ?? new DOMException('This operation was aborted', 'AbortError');

/** A wrong value as messages show it.
 * @param {unknown} value
 * @returns {string} */
export function shown(value) {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Throws TypeError and RangeError that name the option. What the module alone knows, it refuses itself.
 * @param {TesseraOptions} options */
export function checkOptions(options) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`create() takes an object of options, not ${shown(options)}`);
  const { module, workers, mode, engine, log, transport } = options;
  if (module === undefined || module === null) throw new TypeError('the option module is missing');
  if (!isModuleSource(module)) throw new TypeError(`the option module is a URL, a path, bytes, a Response or a WebAssembly.Module, not ${shown(module)}`);
  if (given(workers) && !(Array.isArray(workers) && workers.every((one) => typeof one === 'string' || one instanceof URL))) {
    throw new TypeError(`the option workers is an array of URLs, not ${shown(workers)}`);
  }
  for (const [name, value] of Object.entries({ mode, engine })) {
    if (given(value) && typeof value !== 'string') throw new TypeError(`the option ${name} is text, not ${shown(value)}`);
  }
  if (given(log) && typeof log !== 'function') throw new TypeError(`the option log is a function, not ${shown(log)}`);
  if (given(transport) && (typeof transport.post !== 'function' || typeof transport.close !== 'function')) {
    throw new TypeError('the option transport has post() and close()');
  }
  checkWhole('maxMessageBytes', options.maxMessageBytes, 1024, 0xffffffff);
  checkWhole('maxInflightBytes', options.maxInflightBytes, 1024);
  checkWhole('cacheBytes', options.cacheBytes, 0);
  checkWhole('thresholdMs', options.thresholdMs, 1, MAX_MODULE_MS);
  checkWhole('tileTimeoutMs', options.tileTimeoutMs, 1, MAX_MODULE_MS);
  checkWhole('maxRequests', options.maxRequests, 1, Infinity);
  checkWhole('maxPosts', options.maxPosts, 1, Infinity);
  checkWhole('highWaterBytes', options.highWaterBytes, 0, Infinity);
}

/** Whether an option is: null is taken as not given.
 * @template T
 * @param {T} value
 * @returns {value is NonNullable<T>} */
export const given = (value) => value !== undefined && value !== null;

/** The URL of a worker or a server: http or https, without what fetch refuses or a path cannot follow. Throws TesseraError.
 * @param {string | URL} what
 * @param {string} whose "a worker"
 * @param {string} [base] what it may be relative to
 * @returns {URL} */
export function peerUrl(what, whose, base) {
  const text = String(what);
  const refuse = (/** @type {string} */ why) => refusedUrl(why, text);
  let url;
  try {
    url = new URL(text, base);
  } catch {
    throw refuse(`not the URL of ${whose}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse(`the URL of ${whose} starts with http:// or https://`);
  if (url.username !== '' || url.password !== '') {
    throw new TesseraError('invalid_argument', `the URL of ${whose} holds no user name and no password: ${shown(`${url.protocol}//…@${url.host}`)}`);
  }
  if (/[?#]/.test(text)) throw refuse(`the URL of ${whose} has no "?" and no "#"`);
  return url;
}

/** @param {string} why
 * @param {string} text shown without what may be a password */
function refusedUrl(why, text) {
  return new TesseraError('invalid_argument', `${why}: ${shown(text.replace(/\/\/[^/?#]*@/, '//…@'))}`);
}

/** A worker's URL, whose path ends in a slash so that only what lies below it is allowed.
 * Throws TesseraError, also on what a URL parser mends and the module does not take.
 * @param {string | URL} what
 * @returns {URL} */
export function workerUrl(what) {
  const text = String(what);
  const url = peerUrl(what, 'a worker');
  if (!/^https?:\/\//.test(text)) throw refusedUrl('the URL of a worker starts with http:// or https://', text);
  if (/[^!-~]/.test(text)) throw refusedUrl('the URL of a worker is of ASCII letters without blanks', text);
  if (text.length > MAX_WORKER_URL) throw refusedUrl(`the URL of a worker has at most ${MAX_WORKER_URL} characters, not ${text.length}`, text);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Those of all workers. Throws TesseraError.
 * @param {readonly (string | URL)[]} workers
 * @returns {URL[]} */
export function workerUrls(workers) {
  if (workers.length > MAX_WORKERS) throw new TesseraError('invalid_argument', `at most ${MAX_WORKERS} workers, not ${workers.length}`);
  const urls = workers.map(workerUrl);
  const names = new Set();
  for (const one of workers) {
    const name = String(one).replace(/\/+$/, '');
    if (names.has(name)) throw refusedUrl('a worker is given twice', name);
    names.add(name);
  }
  return urls;
}

/** The lines that configure() reads.
 * @param {TesseraOptions} options
 * @param {number} maxMessageBytes
 * @returns {string} */
export function configuration(options, maxMessageBytes) {
  const workers = options.workers ?? [];
  /** @type {[string, string | number | null | undefined][]} */
  const entries = [
    ['engine', options.engine ?? (inNode ? 'node' : 'browser')],
    ['mode', options.mode ?? (workers.length > 0 ? 'adaptive' : 'serial')],
    ...workers.map((url) => /** @type {[string, string]} */ (['worker', String(url)])),
    ['max_message_bytes', maxMessageBytes],
    ['max_inflight_bytes', options.maxInflightBytes],
    ['cache_bytes', options.cacheBytes],
    ['threshold_ms', options.thresholdMs],
    ['tile_timeout_ms', options.tileTimeoutMs],
  ];
  let text = '';
  for (const [key, value] of entries) {
    if (!given(value)) continue;
    if (/[\r\n\0]/.test(String(value))) throw new TesseraError('invalid_argument', `${key} holds a line end`);
    text += `${key}=${value}\n`;
  }
  return text;
}
