// Made by tools/js-types.mjs from transport-fetch.mjs; do not edit.
/** @param {number} status
 * @param {string} why
 * @returns {PostReply} */
export function noReply(status: number, why: string): PostReply;
/** @returns {Transport} */
export function fetchTransport(): Transport;
export type PostRequest = {
    url: string;
    headers: [string, string][];
    body: Uint8Array;
    /**
     * <= 0: none
     */
    timeoutMs: number;
    /**
     * of the reply; no more is read: ABI_STATUS_TOO_LARGE
     */
    maxBytes: number;
};
export type PostReply = {
    /**
     * HTTP, or one of ABI_STATUS_...
     */
    status: number;
    /**
     * as text
     */
    headers: string;
    /**
     * pieces; with no HTTP status, why
     */
    body: Uint8Array[];
};
export type Transport = {
    /**
     * starts a request and returns what cancels it. `done` is called once, later, unless cancelled.
     */
    post: (request: PostRequest, done: (reply: PostReply) => void) => () => void;
    close: () => void;
};
