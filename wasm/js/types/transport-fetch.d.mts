// Made by tools/js-types.mjs from transport-fetch.mjs; do not edit.
/** @param {number} status
 * @param {string} why
 * @returns {PostReply} */
export function noReply(status: number, why: string): PostReply;
/** Over maxBytes: of an answer, which then is a wrong one. An error may be longer, and is only that.
 * @param {number} status
 * @param {PostRequest} request
 * @returns {PostReply} */
export function tooLarge(status: number, { maxBytes }: PostRequest): PostReply;
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
     * of the reply; no more is read: tooLarge()
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
