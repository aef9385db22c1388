// SPDX-License-Identifier: Apache-2.0
/**
 * What Tessera.create() is given, whether it can be used, and what the module is told of it.
 *
 * @typedef {'debug' | 'info' | 'warning' | 'error'} LogLevel
 *
 * @typedef {object} TesseraOptions
 * @property {import('./load.mjs').ModuleSource} module
 * @property {readonly (string | URL)[]} [workers] the module can reach nothing else
 * @property {'serial' | 'proxy' | 'adaptive'} [mode] default: adaptive with workers, else serial
 * @property {string} [engine] how Describe names this host; default: node or browser
 * @property {number} [maxMessageBytes] of a request, a reply and a worker's reply; default 256 MiB
 * @property {number} [maxInflightBytes] operands on their way to workers; default: the module's
 * @property {number} [cacheBytes] blocks that the module keeps by name; default: the module's
 * @property {number} [thresholdMs] of the adaptive mode; default: the module's
 * @property {number} [tileTimeoutMs] default: the module's
 * @property {number} [maxRequests] in flight; more are refused with resource_exhausted; default 64
 * @property {number} [maxPosts] to workers in flight; default 256
 * @property {number} [highWaterBytes] of a streamed reply that is not read; default 4 MiB
 * @property {(level: LogLevel, text: string) => void} [log] default: none
 * @property {import('./transport-fetch.mjs').Transport} [transport] default: http in Node, else fetch
 */
import { inNode, isModuleSource } from './load.mjs';
import { TesseraError } from './status.mjs';

/** A whole number from `least` on, or absent. Throws TypeError and RangeError.
 * @param {string} name of the option
 * @param {unknown} value
 * @param {number} least
 * @param {number} [most] */
export function checkWhole(name, value, least, most = Number.MAX_SAFE_INTEGER) {
  if (value === undefined) return;
  if (typeof value !== 'number') throw new TypeError(`the option ${name} is a number, not ${shown(value)}`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`the option ${name} is a whole number from ${least} to ${most}, not ${value}`);
  }
}

/** A timeout: milliseconds, 0 for none, or absent. Throws TypeError and RangeError.
 * @param {unknown} value */
export function checkTimeout(value) {
  if (value === undefined) return;
  if (typeof value !== 'number') throw new TypeError(`timeoutMs is a number of milliseconds, not ${shown(value)}`);
  if (!(value >= 0)) throw new RangeError(`timeoutMs is 0 or more milliseconds, not ${value}`);
}

/** An AbortSignal, also one of another realm, or absent. Throws TypeError.
 * @param {any} value */
export function checkSignal(value) {
  if (value === undefined || (typeof value?.aborted === 'boolean' && typeof value.addEventListener === 'function')) return;
  throw new TypeError(`signal is an AbortSignal, not ${shown(value)}`);
}

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
  if (module === undefined) throw new TypeError('the option module is missing');
  if (!isModuleSource(module)) throw new TypeError(`the option module is a URL, a path, bytes, a Response or a WebAssembly.Module, not ${shown(module)}`);
  if (workers !== undefined && !(Array.isArray(workers) && workers.every((one) => typeof one === 'string' || one instanceof URL))) {
    throw new TypeError(`the option workers is an array of URLs, not ${shown(workers)}`);
  }
  for (const [name, value] of Object.entries({ mode, engine })) {
    if (value !== undefined && typeof value !== 'string') throw new TypeError(`the option ${name} is text, not ${shown(value)}`);
  }
  if (log !== undefined && typeof log !== 'function') throw new TypeError(`the option log is a function, not ${shown(log)}`);
  if (transport !== undefined && (typeof transport?.post !== 'function' || typeof transport.close !== 'function')) {
    throw new TypeError('the option transport has post() and close()');
  }
  checkWhole('maxMessageBytes', options.maxMessageBytes, 1);
  checkWhole('maxRequests', options.maxRequests, 1);
  checkWhole('maxPosts', options.maxPosts, 1);
  checkWhole('highWaterBytes', options.highWaterBytes, 0);
  for (const name of /** @type {const} */ (['maxInflightBytes', 'cacheBytes', 'thresholdMs', 'tileTimeoutMs'])) checkWhole(name, options[name], 0);
}

/** The URL of a worker or a server: http or https, without what fetch refuses or a path cannot follow. Throws TesseraError.
 * @param {string | URL} given
 * @param {string} whose "a worker"
 * @param {string} [base] what it may be relative to
 * @returns {URL} */
export function peerUrl(given, whose, base) {
  const text = String(given);
  const refuse = (/** @type {string} */ why) => new TesseraError('invalid_argument', `${why}: ${shown(text.replace(/\/\/[^/?#]*@/, '//…@'))}`);
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

/** A worker's URL, whose path ends in a slash so that only what lies below it is allowed.
 * @param {string | URL} given
 * @returns {URL} */
export function workerUrl(given) {
  const url = peerUrl(given, 'a worker');
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** The lines that configure() reads.
 * @param {TesseraOptions} options
 * @param {number} maxMessageBytes
 * @returns {string} */
export function configuration(options, maxMessageBytes) {
  const workers = options.workers ?? [];
  /** @type {[string, string | number | undefined][]} */
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
    if (value === undefined) continue;
    if (/[\r\n\0]/.test(String(value))) throw new TesseraError('invalid_argument', `${key} holds a line end`);
    text += `${key}=${value}\n`;
  }
  return text;
}
