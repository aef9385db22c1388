// SPDX-License-Identifier: Apache-2.0
// node node.mjs MODULE.wasm N ROUNDS: prints one line of JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { contest } from './contest.mjs';

const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs-core');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const [file, n, rounds] = process.argv.slice(2);
wasm.setThreadsCount(1);
wasm.setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend('wasm');
await tf.ready();
const result = await contest(tf, { module: readFileSync(file), n: Number(n), rounds: Number(rounds) });
console.log(JSON.stringify(result));
process.exit(0);
