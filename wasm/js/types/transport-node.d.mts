// Made by tools/js-types.mjs from transport-node.mjs; do not edit.
/**
 * maxSocketsPerHost: 1 or more, or Infinity; default 64. tls: for https URLs, as Node's tls.createSecureContext() takes them:
 * ca: who signs the peers' certificates, one or several (default: Node's list); cert and key, or pfx: what to show where a peer
 * asks for it; passphrase: of the key. null is taken as not given. Throws TypeError and RangeError.
 * @param {{maxSocketsPerHost?: number, tls?: Pick<import('node:tls').SecureContextOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase'>}} [options]
 * @returns {import('./transport-fetch.mjs').Transport}
 */
export function nodeTransport(options?: {
    maxSocketsPerHost?: number;
    tls?: Pick<import("node:tls").SecureContextOptions, "ca" | "cert" | "key" | "pfx" | "passphrase">;
}): import("./transport-fetch.mjs").Transport;
