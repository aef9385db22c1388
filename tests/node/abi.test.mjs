// SPDX-License-Identifier: Apache-2.0
/** The JavaScript copy of the ABI against wasm/abi.h, read as text. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as abi from '../../wasm/js/abi.mjs';

const header = await readFile(new URL('../../wasm/abi.h', import.meta.url), 'utf8');

/** @param {string} name */
function defined(name) {
  const found = new RegExp(`^#define ${name} (.+)$`, 'm').exec(header);
  assert.ok(found, `abi.h defines no ${name}`);
  return found[1];
}

/** Parameters of each function in a section of the header's comment: "i32 name(a, b)".
 * @param {string} from
 * @param {string} to */
function functionsOf(from, to) {
  const section = header.slice(header.indexOf(from), header.indexOf(to));
  assert.ok(section.length > 100, `no section ${from}`);
  return Object.fromEntries([...section.matchAll(/^ \* (?:i32|f64|void) (\w+)\(([^)]*)\)/gm)]
    .map(([, name, parameters]) => [name, parameters === '' ? 0 : parameters.split(',').length]));
}

test('numbers and names', () => {
  assert.equal(abi.ABI_VERSION, Number(defined('TESS_ABI_VERSION')));
  assert.equal(abi.ABI_MODULE, JSON.parse(defined('TESS_ABI_MODULE')));
  assert.equal(abi.ABI_REPLY_MORE, Number(defined('TESS_ABI_REPLY_MORE')));
  assert.equal(abi.ABI_WAIT_FOR_EVENT, Number(defined('TESS_ABI_WAIT_FOR_EVENT').replace(/[()]/g, '')));
  assert.equal(abi.ABI_STATUS_UNREACHABLE, Number(defined('TESS_ABI_STATUS_UNREACHABLE')));
  assert.equal(abi.ABI_STATUS_TIMEOUT, Number(defined('TESS_ABI_STATUS_TIMEOUT').replace(/[()]/g, '')));
  assert.equal(abi.ABI_STATUS_TOO_LARGE, Number(defined('TESS_ABI_STATUS_TOO_LARGE').replace(/[()]/g, '')));
  assert.equal(abi.ABI_MAX_RESPONSE_BYTES, JSON.parse(defined('TESS_ABI_MAX_RESPONSE_BYTES')));
  assert.match(header, new RegExp(`_Static_assert\\(sizeof\\(tess_abi_iov\\) == ${abi.ABI_IOV_BYTES},`));
});

test('log levels', () => {
  const levels = [...header.matchAll(/TESS_ABI_LOG_([A-Z]+) = (\d+)/g)].map(([, name, number]) => [name.toLowerCase(), Number(number)]);
  assert.deepEqual(levels, abi.ABI_LOG_LEVELS.map((name, number) => [name, number]));
});

test('imports and exports with their parameters', () => {
  assert.deepEqual(functionsOf('---- imports', '---- exports: what'), abi.ABI_IMPORTS);
  assert.match(header, /---- exports: what/);
  assert.deepEqual(functionsOf('---- exports: what', '---- exports that'), abi.ABI_EXPORTS);
  assert.deepEqual(functionsOf('---- exports that', '#endif'), abi.ABI_OPTIONAL_EXPORTS);
});
