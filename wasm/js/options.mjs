// SPDX-License-Identifier: Apache-2.0
/**
 * What Tessera.create() is given, and what the module is told of it.
 *
 * @typedef {'debug' | 'info' | 'warning' | 'error'} LogLevel
 *
 * @typedef {object} TesseraOptions
 * @property {import('./load.mjs').ModuleSource} module
 * @property {readonly string[]} [workers] URLs; the module can reach nothing else
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
import { inNode } from './load.mjs';
import { TesseraError } from './status.mjs';

/** A worker's URL, whose path ends in a slash so that only what lies below it is allowed.
 * @param {string} text
 * @returns {URL} */
export function workerUrl(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new TesseraError('invalid_argument', `not the URL of a worker: ${JSON.stringify(text)}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TesseraError('invalid_argument', `the URL of a worker starts with http:// or https://, unlike ${JSON.stringify(text)}`);
  }
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
    ...workers.map((url) => /** @type {[string, string]} */ (['worker', url])),
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
