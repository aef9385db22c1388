#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
/**
 * The client under test inside WebAssembly, for the conformance runner:
 *
 *   node client_wasm.mjs conformance-client.wasm
 *
 * Frames of stdin go to the module as they are, and its replies to stdout. The
 * module makes the calls; this host carries their HTTP requests (wasm/js), with
 * one instance of the module for each server and client certificate, because an
 * instance may reach its own peers alone.
 */
import { argv, stdin, stdout } from 'node:process';
import { decode } from '../../wasm/js/protobuf.mjs';
import { Tessera } from '../../wasm/js/tessera.mjs';
import { nodeTransport } from '../../wasm/js/transport-node.mjs';

const PARALLEL_CALLS = 8;
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

/** What this host has to know of a ClientCompatRequest: whom it calls, and as whom. */
const Credentials = { name: 'TLSCreds', fields: { cert: { id: 1, type: /** @type {const} */ ('bytes') }, key: { id: 2, type: /** @type {const} */ ('bytes') } } };
const Peer = {
  name: 'ClientCompatRequest',
  fields: {
    host: { id: 6, type: /** @type {const} */ ('string') },
    port: { id: 7, type: /** @type {const} */ ('uint32') },
    serverTlsCert: { id: 8, type: /** @type {const} */ ('bytes') },
    clientTlsCreds: { id: 9, type: Credentials },
  },
};

const module = await WebAssembly.compile(await (await import('node:fs/promises')).readFile(argv[2]));
const pem = (/** @type {Uint8Array | undefined} */ bytes) => bytes?.length ? Buffer.from(bytes) : undefined;

/** @type {Map<string, Promise<Tessera>>} */
const instances = new Map();

/** @param {Uint8Array} frame */
function instanceFor(frame) {
  const { host, port, serverTlsCert, clientTlsCreds } = /** @type {any} */ (decode(Peer, frame));
  const tls = { ca: pem(serverTlsCert), cert: pem(clientTlsCreds?.cert), key: pem(clientTlsCreds?.key) };
  const url = `${tls.ca ? 'https' : 'http'}://${host}:${port}`;
  const key = [url, tls.ca, tls.cert].join('\n');
  let instance = instances.get(key);
  if (instance === undefined) {
    instance = Tessera.create({
      module, workers: [url], transport: nodeTransport({ tls }),
      log: (level, text) => { if (level === 'error' || level === 'warning') console.error(`conformance-client.wasm: ${level}: ${text}`); },
    });
    instances.set(key, instance);
  }
  return instance;
}

/** @param {Uint8Array} frame */
async function run(frame) {
  const reply = await (await instanceFor(frame)).request({ path: '/', body: frame });
  if (reply.status !== 200 || !(reply.body instanceof Uint8Array)) throw new Error(`the module answers HTTP ${reply.status}: ${Buffer.from(/** @type {any} */ (reply.body))}`);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(reply.body.length);
  stdout.write(Buffer.concat([head, reply.body]));
}

/** The frames of stdin, one after the other. */
async function* frames() {
  /** @type {Buffer} */
  let held = Buffer.alloc(0);
  for await (const chunk of stdin) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      if (held.length < 4) break;
      const size = held.readUInt32BE();
      if (size > MAX_FRAME_BYTES) throw new Error('not a frame on stdin');
      if (held.length < 4 + size) break;
      yield held.subarray(4, 4 + size);
      held = held.subarray(4 + size);
    }
  }
  if (held.length !== 0) throw new Error('stdin ends within a frame');
}

/** @type {Set<Promise<void>>} */
const running = new Set();
for await (const frame of frames()) {
  const call = run(Uint8Array.from(frame)).finally(() => running.delete(call));
  running.add(call);
  if (running.size >= PARALLEL_CALLS) await Promise.race(running);
}
await Promise.all(running);
for (const instance of instances.values()) (await instance).close();
