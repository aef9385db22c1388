// Made by tools/js-types.mjs from transport-node.mjs; do not edit.
/**
 * tls: for https URLs, in PEM. ca: who signs the peers' certificates (default: Node's list);
 * cert and key: what to show where a peer asks for it.
 * @param {{maxSocketsPerHost?: number, tls?: {ca?: string | Buffer, cert?: string | Buffer, key?: string | Buffer}}} [options]
 * @returns {import('./transport-fetch.mjs').Transport}
 */
export function nodeTransport({ maxSocketsPerHost, tls: credentials }?: {
    maxSocketsPerHost?: number;
    tls?: {
        ca?: string | Buffer;
        cert?: string | Buffer;
        key?: string | Buffer;
    };
}): import("./transport-fetch.mjs").Transport;
