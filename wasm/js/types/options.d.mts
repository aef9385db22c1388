// Made by tools/js-types.mjs from options.mjs; do not edit.
/** A whole number from `least` to `most`, or absent. Throws TypeError and RangeError that name the range.
 * @param {string} name of the option
 * @param {unknown} value
 * @param {number} least
 * @param {number} [most] Infinity: it may be Infinity, too */
export function checkWhole(name: string, value: unknown, least: number, most?: number): void;
/** A timeout: milliseconds, 0 for none, or absent. Throws TypeError and RangeError.
 * @param {unknown} value */
export function checkTimeout(value: unknown): void;
/** An AbortSignal, also one of another realm or of another making, or absent. Throws TypeError.
 * @param {any} value */
export function checkSignal(value: any): void;
/** A wrong value as messages show it.
 * @param {unknown} value
 * @returns {string} */
export function shown(value: unknown): string;
/** Throws TypeError and RangeError that name the option. What the module alone knows, it refuses itself.
 * @param {TesseraOptions} options */
export function checkOptions(options: TesseraOptions): void;
/** The URL of a worker or a server: http or https, without what fetch refuses or a path cannot follow. Throws TesseraError.
 * @param {string | URL} what
 * @param {string} whose "a worker"
 * @param {string} [base] what it may be relative to
 * @returns {URL} */
export function peerUrl(what: string | URL, whose: string, base?: string): URL;
/** A worker's URL, whose path ends in a slash so that only what lies below it is allowed.
 * Throws TesseraError, also on what a URL parser mends and the module does not take.
 * @param {string | URL} what
 * @returns {URL} */
export function workerUrl(what: string | URL): URL;
/** Those of all workers. Throws TesseraError.
 * @param {readonly (string | URL)[]} workers
 * @returns {URL[]} */
export function workerUrls(workers: readonly (string | URL)[]): URL[];
/** The lines that configure() reads.
 * @param {TesseraOptions} options
 * @param {number} maxMessageBytes
 * @returns {string} */
export function configuration(options: TesseraOptions, maxMessageBytes: number): string;
export function abortReason(signal: AbortSignal): unknown;
export function given<T>(value: T): value is NonNullable<T>;
/**
 * What Tessera.create() is given, whether it can be used, and what the module is told of it.
 */
export type LogLevel = "debug" | "info" | "warning" | "error";
/**
 * null is taken as not given. Numbers are whole ones; those of maxRequests, maxPosts and
 *  highWaterBytes may be Infinity: no limit but the module's own
 */
export type TesseraOptions = {
    module: import("./load.mjs").ModuleSource;
    /**
     * the module can reach nothing else
     */
    workers?: readonly (string | URL)[] | undefined;
    /**
     * default: adaptive with workers, else serial
     */
    mode?: "serial" | "proxy" | "adaptive" | undefined;
    /**
     * how Describe names this host; default: node or browser
     */
    engine?: string | undefined;
    /**
     * of a request, a reply and a worker's reply, 1024 to 4294967295; default 256 MiB
     */
    maxMessageBytes?: number | undefined;
    /**
     * operands on their way to workers, 1024 or more; default: the module's
     */
    maxInflightBytes?: number | undefined;
    /**
     * blocks that the module keeps by name, 0 or more; default: the module's
     */
    cacheBytes?: number | undefined;
    /**
     * of the adaptive mode, 1 to 86400000 (a day); default: the module's
     */
    thresholdMs?: number | undefined;
    /**
     * 1 to 86400000 (a day); default: the module's
     */
    tileTimeoutMs?: number | undefined;
    /**
     * in flight, 1 or more; what is beyond is refused with resource_exhausted; default 64
     */
    maxRequests?: number | undefined;
    /**
     * to workers in flight, 1 or more; default 256
     */
    maxPosts?: number | undefined;
    /**
     * of a streamed reply that is not read, 0 or more; default 4 MiB
     */
    highWaterBytes?: number | undefined;
    /**
     * default: none
     */
    log?: ((level: LogLevel, text: string) => void) | undefined;
    /**
     * default: http in Node, else fetch
     */
    transport?: import("./transport-fetch.mjs").Transport | undefined;
};
