// SPDX-License-Identifier: Apache-2.0
/**
 * The sixteen status codes, their HTTP statuses, and the three shapes in which
 * an error travels: Connect unary (JSON body), Connect stream (end-of-stream
 * envelope) and gRPC-Web (headers alone).
 */

/** Code name → HTTP status of a Connect unary error, in the order of their numbers (from 1). */
const HTTP_STATUS = Object.freeze({
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
});

/** @typedef {keyof typeof HTTP_STATUS} Code */

const NAMES = /** @type {Code[]} */ (Object.keys(HTTP_STATUS));

/** An RPC that failed: `code` is one of the sixteen names, `message` is for people. */
export class TesseraError extends Error {
  /**
   * @param {Code} code
   * @param {string} message
   * @param {{details?: unknown[], cause?: unknown}} [more]
   */
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'TesseraError';
    /** @type {Code} */
    this.code = code;
    /** Connect error details as they came: { type, value (base64), debug? }. */
    this.details = more.details ?? [];
  }
}

/** The code that a bare HTTP status stands for, as the Connect protocol maps it.
 * @param {number} status
 * @returns {Code} */
export function codeOfHttp(status) {
  switch (status) {
    case 400: return 'internal';
    case 401: return 'unauthenticated';
    case 403: return 'permission_denied';
    case 404: return 'unimplemented';
    case 429: case 502: case 503: case 504: return 'unavailable';
    default: return 'unknown';
  }
}

/** The error in a Connect error object ({"code", "message", "details"}); `fallback` when it names no known code.
 * @param {unknown} json
 * @param {Code} fallback
 * @returns {TesseraError} */
export function errorOfJson(json, fallback) {
  const object = /** @type {Record<string, unknown>} */ (json !== null && typeof json === 'object' ? json : {});
  const name = /** @type {Code} */ (object.code);
  const code = NAMES.includes(name) ? name : fallback;
  const message = typeof object.message === 'string' ? object.message : '';
  const details = Array.isArray(object.details) ? object.details : [];
  return new TesseraError(code, message, { details });
}

/**
 * The reply that tells a client of an error of the host itself, in the
 * protocol that the client's content type names.
 * @param {string} contentType of the request
 * @param {Code} code
 * @param {string} message
 * @returns {{status: number, headers: Headers, body: Uint8Array}}
 */
export function errorReply(contentType, code, message) {
  const utf8 = new TextEncoder();
  if (contentType.startsWith('application/grpc-web')) {
    const headers = new Headers({
      'content-type': contentType,
      'grpc-status': String(NAMES.indexOf(code) + 1),
      'grpc-message': encodeURIComponent(message),
    });
    return { status: 200, headers, body: new Uint8Array(0) };
  }
  if (contentType.startsWith('application/connect+')) {
    const end = utf8.encode(JSON.stringify({ error: { code, message } }));
    const body = new Uint8Array(5 + end.length);
    body[0] = 0x02; // end of stream
    new DataView(body.buffer).setUint32(1, end.length);
    body.set(end, 5);
    return { status: 200, headers: new Headers({ 'content-type': contentType }), body };
  }
  const headers = new Headers({ 'content-type': 'application/json' });
  return { status: HTTP_STATUS[code], headers, body: utf8.encode(JSON.stringify({ code, message })) };
}
