// SPDX-License-Identifier: Apache-2.0
/** What the host takes from Node, imported when it runs there; package.json leaves this file out of bundles for browsers. */
export { readFile } from 'node:fs/promises';
export { webcrypto } from 'node:crypto';
export { nodeTransport } from './transport-node.mjs';
