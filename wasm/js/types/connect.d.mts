// Made by tools/js-types.mjs from connect.mjs; do not edit.
/** Throws TesseraError.
 * @param {Caller} caller
 * @param {Method} method
 * @param {Record<string, any>} input
 * @param {CallOptions} [options]
 * @returns {Promise<any>} */
export function unary(caller: Caller, method: Method, input: Record<string, any>, options?: CallOptions): Promise<any>;
/**
 * Sends one message and iterates over those that come back. Throws TesseraError,
 * also when the stream ends with one, or without an end. Leaving early cancels the call.
 * @param {Caller} caller
 * @param {Method} method
 * @param {Record<string, any>} input
 * @param {CallOptions} [options]
 * @returns {AsyncGenerator<any>}
 */
export function serverStream(caller: Caller, method: Method, input: Record<string, any>, options?: CallOptions): AsyncGenerator<any>;
/**
 * something that carries an HTTP exchange: Tessera, FetchCaller
 */
export type Caller = {
    request: (request: import("./tessera.mjs").TesseraRequest) => Promise<{
        status: number;
        headers: Headers;
        body: Uint8Array | AsyncIterable<Uint8Array>;
    }>;
};
/**
 * null is taken as not given
 */
export type CallOptions = {
    signal?: AbortSignal | undefined;
    /**
     * also told to the other side; 0: none
     */
    timeoutMs?: number | undefined;
    /**
     * beside those of the protocol: content-type and
     * connect-protocol-version are replaced, connect-timeout-ms is refused (that is timeoutMs). Values are text, never numbers
     */
    headers?: import("./headers.mjs").HeadersLike | undefined;
};
export type Method = {
    /**
     * "/package.Service/Method"
     */
    path: string;
    input: import("./protobuf.mjs").Message;
    output: import("./protobuf.mjs").Message;
};
