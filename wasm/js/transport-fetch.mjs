// SPDX-License-Identifier: Apache-2.0
/**
 * http_post over fetch: for browsers. The browser keeps the connections (six a
 * host) and decompresses; a worker on another origin must allow CORS.
 */
import { ABI_STATUS_TIMEOUT, ABI_STATUS_TOO_LARGE, ABI_STATUS_UNREACHABLE } from './abi.mjs';
import { headersToText } from './headers.mjs';

const utf8 = new TextEncoder();

/** Headers that a page may not set; the browser sets them itself. */
const BROWSERS_OWN = new Set(['accept-encoding', 'connection', 'content-length', 'host', 'te', 'user-agent']);
/** Headers of a reply that no longer hold after fetch has decoded it. */
const UNDONE = new Set(['content-encoding', 'content-length', 'transfer-encoding']);

/**
 * @typedef {object} PostRequest
 * @property {string} url
 * @property {[string, string][]} headers
 * @property {Uint8Array} body
 * @property {number} timeoutMs <= 0: none
 * @property {number} maxBytes of the reply; no more is read: tooLarge()
 *
 * @typedef {object} PostReply
 * @property {number} status HTTP, or one of ABI_STATUS_...
 * @property {string} headers as text
 * @property {Uint8Array[]} body pieces; with no HTTP status, why
 *
 * @typedef {object} Transport
 * @property {(request: PostRequest, done: (reply: PostReply) => void) => () => void} post
 *   starts a request and returns what cancels it. `done` is called once, later, unless cancelled.
 * @property {() => void} close
 */

/** @param {number} status
 * @param {string} why
 * @returns {PostReply} */
export function noReply(status, why) {
  return { status, headers: '', body: [utf8.encode(why)] };
}

/** Over maxBytes: of an answer, which then is a wrong one. An error may be longer, and is only that.
 * @param {number} status
 * @param {PostRequest} request
 * @returns {PostReply} */
export function tooLarge(status, { maxBytes }) {
  const why = `the reply is larger than ${maxBytes} bytes`;
  return status === 200 ? noReply(ABI_STATUS_TOO_LARGE, why) : noReply(ABI_STATUS_UNREACHABLE, `HTTP status ${status}, and ${why}`);
}

/** @param {PostRequest} request
 * @param {AbortSignal} signal
 * @returns {Promise<PostReply>} */
async function exchange(request, signal) {
  const response = await fetch(request.url, {
    method: 'POST',
    headers: request.headers.filter(([name]) => !BROWSERS_OWN.has(name)),
    body: /** @type {BufferSource} */ (request.body),
    signal,
    mode: 'cors',
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });
  /** @type {Uint8Array[]} */
  const body = [];
  let bytes = 0;
  if (response.body !== null) {
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
      if (bytes > request.maxBytes) {
        await reader.cancel();
        return tooLarge(response.status, request);
      }
      body.push(value);
    }
  }
  const headers = [...response.headers].filter(([name]) => !UNDONE.has(name));
  return { status: response.status, headers: headersToText(headers), body };
}

/** @returns {Transport} */
export function fetchTransport() {
  return {
    post(request, done) {
      const abort = new AbortController();
      let timedOut = false;
      const timer = request.timeoutMs > 0
        ? setTimeout(() => { timedOut = true; abort.abort(); }, Math.min(request.timeoutMs, 0x7fffffff))
        : undefined;
      let cancelled = false;
      exchange(request, abort.signal)
        .catch((error) => timedOut
          ? noReply(ABI_STATUS_TIMEOUT, `no reply within ${request.timeoutMs} ms`)
          : noReply(ABI_STATUS_UNREACHABLE, `${error instanceof Error ? error.message : error}`))
        .then((reply) => {
          clearTimeout(timer);
          if (!cancelled) done(reply);
        });
      return () => {
        cancelled = true;
        clearTimeout(timer);
        abort.abort();
      };
    },
    close() {},
  };
}
