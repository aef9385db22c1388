// Made by tools/js-types.mjs from status.mjs; do not edit.
/** The code that a bare HTTP status stands for, as the Connect protocol maps it.
 * @param {number} status
 * @returns {Code} */
export function codeOfHttp(status: number): Code;
/** The error in a Connect error object ({"code", "message", "details"}); `fallback` when it names no known code.
 * @param {unknown} json
 * @param {Code} fallback
 * @returns {TesseraError} */
export function errorOfJson(json: unknown, fallback: Code): TesseraError;
/**
 * The reply that tells a client of an error of the host itself, in the
 * protocol that the client's content type names.
 * @param {string} contentType of the request
 * @param {Code} code
 * @param {string} message
 * @returns {{status: number, headers: Headers, body: Uint8Array}}
 */
export function errorReply(contentType: string, code: Code, message: string): {
    status: number;
    headers: Headers;
    body: Uint8Array;
};
/** An RPC that failed: `code` is one of the sixteen names, `message` is for people. */
export class TesseraError extends Error {
    /**
     * @param {Code} code
     * @param {string} message
     * @param {{details?: unknown[], cause?: unknown}} [more]
     */
    constructor(code: Code, message: string, more?: {
        details?: unknown[];
        cause?: unknown;
    });
    /** @type {Code} */
    code: Code;
    /** Connect error details as they came: { type, value (base64), debug? }. */
    details: unknown[];
}
export type Code = keyof typeof HTTP_STATUS;
/**
 * The sixteen status codes, their HTTP statuses, and the three shapes in which
 * an error travels: Connect unary (JSON body), Connect stream (end-of-stream
 * envelope) and gRPC-Web (headers alone).
 */
/** Code name → HTTP status of a Connect unary error, in the order of their numbers (from 1). */
declare const HTTP_STATUS: Readonly<{
    canceled: 499;
    unknown: 500;
    invalid_argument: 400;
    deadline_exceeded: 504;
    not_found: 404;
    already_exists: 409;
    permission_denied: 403;
    resource_exhausted: 429;
    failed_precondition: 400;
    aborted: 409;
    out_of_range: 400;
    unimplemented: 501;
    internal: 500;
    unavailable: 503;
    data_loss: 500;
    unauthenticated: 401;
}>;
export {};
