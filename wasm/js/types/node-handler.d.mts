// Made by tools/js-types.mjs from node-handler.mjs; do not edit.
/**
 * Throws TypeError and RangeError on an option that is not of its kind.
 * @param {import('./tessera.mjs').Tessera} tessera
 * @param {HandlerOptions} [options]
 * @returns {(incoming: import('node:http').IncomingMessage, outgoing: import('node:http').ServerResponse) => Promise<void>}
 */
export function nodeHandler(tessera: import("./tessera.mjs").Tessera, options?: HandlerOptions): (incoming: import("node:http").IncomingMessage, outgoing: import("node:http").ServerResponse) => Promise<void>;
export type HandlerOptions = {
    /**
     * of a request; default 256 MiB
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
