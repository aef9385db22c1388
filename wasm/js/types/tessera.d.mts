// Made by tools/js-types.mjs from tessera.mjs; do not edit.
export { TesseraError } from "./status.mjs";
export class Tessera {
    /**
     * Compiles, instantiates and configures the module. Rejects with TypeError or
     * RangeError on an option that is not of its kind, with
     * TesseraError(failed_precondition) when the file is no Tessera module, and
     * with invalid_argument on what is no worker's URL and when the module
     * refuses its configuration.
     * @param {TesseraOptions} options
     * @returns {Promise<Tessera>}
     */
    static create(options: TesseraOptions): Promise<Tessera>;
    /**
     * Use Tessera.create().
     * @param {TesseraOptions} options
     * @param {readonly URL[]} workers
     * @param {import('./load.mjs').CompiledModule} module
     * @param {import('./transport-fetch.mjs').Transport} transport
     * @param {Randomness} crypto
     */
    constructor(options: TesseraOptions, workers: readonly URL[], module: import("./load.mjs").CompiledModule, transport: import("./transport-fetch.mjs").Transport, crypto: Randomness);
    /** Instances made after traps so far. */
    get restarts(): number;
    /** Size of the module's memory, which only grows; 0 while there is no instance. */
    get memoryBytes(): number;
    /** Requests in flight. */
    get pending(): number;
    /**
     * One HTTP exchange with the module. Errors of the module and of this host
     * (too many requests, a trap, the timeout) are replies; it rejects only when
     * `signal` fires, when the request is malformed (TypeError, RangeError), or after close().
     * @param {TesseraRequest} request
     * @returns {Promise<TesseraReply>}
     */
    request(request: TesseraRequest): Promise<TesseraReply>;
    /** The module's figures as Prometheus text. */
    stats(): string;
    /** Ends everything at once: requests in flight are answered `unavailable`, posts are cancelled. */
    close(): void;
    #private;
}
export { NotAModule };
export type LogLevel = import("./options.mjs").LogLevel;
export type TesseraOptions = import("./options.mjs").TesseraOptions;
export type ModuleSource = import("./load.mjs").ModuleSource;
export type HeadersLike = import("./headers.mjs").HeadersLike;
export type Code = import("./status.mjs").Code;
export type Transport = import("./transport-fetch.mjs").Transport;
export type Caller = import("./connect.mjs").Caller;
export type CallOptions = import("./connect.mjs").CallOptions;
export type DenseMatrix = import("./client.mjs").DenseMatrix;
export type NamedMatrix = import("./client.mjs").NamedMatrix;
export type Product = import("./client.mjs").Product;
export type TileResult = import("./client.mjs").TileResult;
export type ProductStats = import("./client.mjs").ProductStats;
export type WorkerStats = import("./client.mjs").WorkerStats;
export type Description = import("./client.mjs").Description;
export type BlockList = import("./client.mjs").BlockList;
export type Mode = import("./client.mjs").Mode;
export type SettableMode = import("./client.mjs").SettableMode;
/**
 * null is taken as not given
 */
export type TesseraRequest = {
    /**
     * default POST
     */
    method?: string | undefined;
    path: string;
    headers?: import("./headers.mjs").HeadersLike | undefined;
    /**
     * one piece or several, borrowed until the promise settles
     */
    body?: Uint8Array | readonly Uint8Array[] | undefined;
    /**
     * the client goes away: rejects with the signal's reason
     */
    signal?: AbortSignal | undefined;
    /**
     * after it, the reply is deadline_exceeded; default none
     */
    timeoutMs?: number | undefined;
};
export type TesseraReply = {
    status: number;
    headers: Headers;
    /**
     * an iterator when the module streams;
     * leaving the iteration early cancels the request
     */
    body: Uint8Array | AsyncIterableIterator<Uint8Array>;
};
/**
 * the part of Crypto that is used
 */
export type Randomness = {
    getRandomValues(bytes: Uint8Array): unknown;
};
/**
 * a request in flight
 */
export type Exchange = {
    id: number;
    contentType: string;
    resolve: (reply: TesseraReply) => void;
    reject: (reason: unknown) => void;
    /**
     * once the head is out
     */
    stream: ReplyStream | undefined;
    /**
     * ends its timer and its signal's listener
     */
    release: () => void;
};
import { NotAModule } from './guest.mjs';
import { ReplyStream } from './reply-stream.mjs';
export { FetchCaller, MatmulClient } from "./client.mjs";
