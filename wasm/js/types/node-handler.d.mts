// Made by tools/js-types.mjs from node-handler.mjs; do not edit.
/**
 * Throws TypeError and RangeError on an option that is not of its kind.
 * @param {import('./tessera.mjs').Tessera} tessera
 * @param {HandlerOptions} [options]
 * @returns {(incoming: import('node:http').IncomingMessage, outgoing: import('node:http').ServerResponse) => Promise<void>}
 */
export function nodeHandler(tessera: import("./tessera.mjs").Tessera, options?: HandlerOptions): (incoming: import("node:http").IncomingMessage, outgoing: import("node:http").ServerResponse) => Promise<void>;
/**
 * null is taken as not given
 */
export type HandlerOptions = {
    /**
     * of a request, 0 or more, or Infinity; default 256 MiB. What the host takes is bounded
     * by its maxMessageBytes, too
     */
    maxBodyBytes?: number | undefined;
    /**
     * "*" or one origin; default: no CORS headers
     */
    corsOrigin?: string | undefined;
    /**
     * for /readyz; default: ready
     */
    ready?: (() => boolean) | undefined;
};
