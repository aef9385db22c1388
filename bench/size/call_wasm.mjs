#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the client whose size is measured: one call of Echo, over this project's host.
 *
 *   node call_wasm.mjs size-client.wasm http://127.0.0.1:9000 TEXT
 *
 * Prints the text that came back. Exit codes: 0 done, 1 the call failed.
 */
import { readFile } from 'node:fs/promises';
import { argv, exit, stderr, stdout } from 'node:process';
import { Tessera } from '../../wasm/js/tessera.mjs';

const [, , file, server, text] = argv;
const client = await Tessera.create({ module: await WebAssembly.compile(await readFile(file)), workers: [server] });
const reply = await client.request({ path: '/', body: new TextEncoder().encode(text) });
const answer = Buffer.from(/** @type {Uint8Array} */ (reply.body)).toString();
client.close();
if (reply.status !== 200) {
  stderr.write(`call_wasm.mjs: the client answers ${reply.status}: ${answer}\n`);
  exit(1);
}
stdout.write(`${answer}\n`);
