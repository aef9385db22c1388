// SPDX-License-Identifier: Apache-2.0
/**
 * The numbers of wasm/abi.h that a JavaScript host needs. A test
 * (tests/node/abi.test.mjs) compares each of them with the header.
 */

export const ABI_VERSION = 1;
export const ABI_MODULE = 'tessera';

/** Bytes of one tess_abi_iov: { u32 data, u32 size }, little-endian. */
export const ABI_IOV_BYTES = 8;

export const ABI_LOG_LEVELS = Object.freeze(['debug', 'info', 'warning', 'error']);

/** Flag of http_reply and http_reply_more: more pieces follow. */
export const ABI_REPLY_MORE = 1;

/** loop(): nothing is due before the next event. */
export const ABI_WAIT_FOR_EVENT = -1.0;

/** Statuses of on_response when no HTTP response came. */
export const ABI_STATUS_UNREACHABLE = 0;
export const ABI_STATUS_TIMEOUT = -1;
export const ABI_STATUS_TOO_LARGE = -2;

/** A header of http_post that is the host's own: the most bytes of the reply's body that the module takes. */
export const ABI_MAX_RESPONSE_BYTES = 'tessera-max-response-bytes';

/** Names and parameter counts of the imports that the host gives. */
export const ABI_IMPORTS = Object.freeze({
  http_post: 7,
  http_cancel: 1,
  http_reply: 7,
  http_reply_more: 4,
  now_ms: 0,
  log: 3,
  random: 2,
});

/** Names and parameter counts of the exports that the module gives. */
export const ABI_EXPORTS = Object.freeze({
  abi_version: 0,
  alloc: 1,
  free: 1,
  configure: 2,
  on_request: 9,
  on_response: 6,
  on_cancel: 1,
  on_writable: 1,
  loop: 0,
  stats: 2,
});

/** Exports that may be missing. JavaScript hosts copy at once and call none. */
export const ABI_OPTIONAL_EXPORTS = Object.freeze({ on_sent: 1 });
