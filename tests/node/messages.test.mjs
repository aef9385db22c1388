// SPDX-License-Identifier: Apache-2.0
/** The hand-written codec against protoc's view of the schema, and against @bufbuild/protobuf. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { create, createFileRegistry, fromBinary, ScalarType, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import * as messages from '../../wasm/js/messages.mjs';
import { decode, DecodeError, encode, join } from '../../wasm/js/protobuf.mjs';

const PROTO = fileURLToPath(new URL('../../proto', import.meta.url));

function schema() {
  const folder = mkdtempSync(joinPath(tmpdir(), 'tessera-schema-'));
  try {
    const file = joinPath(folder, 'set.pb');
    execFileSync('protoc', [`-I${PROTO}`, `--descriptor_set_out=${file}`, 'tessera/matmul/v1/matmul.proto']);
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const registry = schema();
/** Our tables: those exports that have fields.
 * @type {import('../../wasm/js/protobuf.mjs').Message[]} */
const ours = Object.values(messages).filter((one) => 'fields' in one);

/** @param {string} name */
function theirs(name) {
  const desc = registry.getMessage(name);
  assert.ok(desc, `the schema has no ${name}`);
  return desc;
}

const SCALARS = { [ScalarType.UINT32]: 'uint32', [ScalarType.UINT64]: 'uint64', [ScalarType.BOOL]: 'bool', [ScalarType.DOUBLE]: 'double', [ScalarType.STRING]: 'string', [ScalarType.BYTES]: 'bytes' };

/** A field of their descriptor in our words.
 * @param {import('@bufbuild/protobuf').DescField} field */
function described(field) {
  const of = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  let type;
  if (of === 'scalar') type = SCALARS[/** @type {keyof typeof SCALARS} */ (/** @type {any} */ (field).scalar)];
  else if (of === 'enum') type = /** @type {any} */ (field).enum.values.map((/** @type {any} */ value, /** @type {number} */ i) => { assert.equal(value.number, i); return value.name; });
  else type = /** @type {any} */ (field).message.typeName;
  return { id: field.number, repeated: field.fieldKind === 'list', type };
}

test('every message of the schema has its table, row by row', () => {
  const named = [...registry].filter((type) => type.kind === 'message').map((type) => type.typeName).sort();
  assert.deepEqual(ours.map((one) => one.name).sort(), named);
  for (const message of ours) {
    const rows = Object.fromEntries(Object.entries(message.fields).map(([name, { id, type, repeated }]) =>
      [name, { id, repeated, type: typeof type === 'object' && 'name' in type ? type.name : type }]));
    const expected = Object.fromEntries(theirs(message.name).fields.map((field) => [field.localName, described(field)]));
    assert.deepEqual(rows, expected, message.name);
  }
});

/** A small repeatable generator (mulberry32): a failing seed can be run again. */
function random(/** @type {number} */ seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A random value of a field's type, in our form.
 * @param {import('../../wasm/js/protobuf.mjs').Field['type']} type
 * @param {() => number} next
 * @returns {any} */
function valueOf(type, next) {
  const pick = (/** @type {any[]} */ list) => list[Math.floor(next() * list.length)];
  if (type === 'uint32') return pick([0, 1, 127, 128, 300, 0x7fffffff, 0xffffffff, Math.floor(next() * 2 ** 32)]);
  if (type === 'uint64') return pick([0, 1, 2 ** 32, 2 ** 35 - 1, Number.MAX_SAFE_INTEGER, Math.floor(next() * 2 ** 53)]);
  if (type === 'bool') return next() < 0.5;
  if (type === 'double') return pick([0, -0, 1.5, -1e300, Infinity, Number.MIN_VALUE, next()]);
  if (type === 'string') return pick(['', 'a', 'Grüße, 世界 🀄', 'x'.repeat(1000)]);
  if (type === 'bytes') return Uint8Array.from({ length: pick([0, 1, 100, 511, 512, 5000]) }, () => Math.floor(next() * 256));
  if (Array.isArray(type)) return pick(/** @type {any} */ (type));
  return messageOf(/** @type {any} */ (type), next);
}

/** @param {import('../../wasm/js/protobuf.mjs').Message} message
 * @param {() => number} next
 * @returns {Record<string, any>} */
function messageOf(message, next) {
  /** @type {Record<string, any>} */
  const value = {};
  for (const [name, { type, repeated }] of Object.entries(message.fields)) {
    if (next() < 0.3) continue;
    value[name] = repeated ? Array.from({ length: Math.floor(next() * 4) }, () => valueOf(type, next)) : valueOf(type, next);
  }
  return value;
}

/** Our value in their form: enums by number, uint64 as bigint.
 * @param {import('../../wasm/js/protobuf.mjs').Message} message
 * @param {Record<string, any>} value
 * @returns {any} */
function toTheirs(message, value) {
  /** @type {Record<string, any>} */
  const init = {};
  for (const [name, item] of Object.entries(value)) {
    const { type, repeated } = message.fields[name];
    const one = (/** @type {any} */ x) => type === 'uint64' ? BigInt(x)
      : Array.isArray(type) ? type.indexOf(x)
        : typeof type === 'object' ? toTheirs(/** @type {any} */ (type), x) : x;
    init[name] = repeated ? item.map(one) : one(item);
  }
  return create(theirs(message.name), init);
}

test('2,000 random messages: the same bytes as @bufbuild/protobuf, and back', () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const next = random(seed);
    const message = ours[seed % ours.length];
    const value = messageOf(message, next);
    const bytes = join([new Uint8Array(0), ...encode(message, value)]);
    const desc = theirs(message.name);
    const expected = toBinary(desc, toTheirs(message, value));
    assert.deepEqual(Buffer.from(bytes), Buffer.from(expected), `seed ${seed}: ${message.name}`);
    const back = decode(message, expected);
    assert.deepEqual(Buffer.from(toBinary(desc, toTheirs(message, back))), Buffer.from(expected), `seed ${seed}, decoded`);
  }
});

test('large bytes are borrowed on both ways', () => {
  const data = new Uint8Array(100_000).fill(7);
  const pieces = encode(messages.MatmulRequest, { a: { rows: 1, cols: 25_000, dtype: 'DTYPE_FLOAT32', data }, productId: 'p' });
  assert.equal(pieces.length, 3);
  assert.equal(pieces[1], data);
  const bytes = join(pieces);
  assert.equal(decode(messages.MatmulRequest, bytes).a.data.buffer, bytes.buffer);
});

test('unknown fields are skipped, unpacked lists are read, split messages merge', () => {
  const unknown = [0x98, 0x06, 0x05, 0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xa5, 0x06, 1, 2, 3, 4, 0xaa, 0x06, 1, 9];
  assert.deepEqual(decode(messages.Tile, Uint8Array.from([0x08, 7, ...unknown, 0x20, 9])), { row: 7, col: 0, rows: 0, cols: 9, k: 0, depth: 0 });
  assert.deepEqual(decode(messages.KernelInfo, Uint8Array.from([0x10, 1, 0x10, 2, 0x12, 1, 3])).dtypes, ['DTYPE_FLOAT32', 'DTYPE_FLOAT64', 'DTYPE_FLOAT16']);
  const merged = decode(messages.TileResult, Uint8Array.from([0x0a, 2, 0x08, 1, 0x0a, 2, 0x10, 2]));
  assert.deepEqual(merged.tile, { row: 1, col: 2, rows: 0, cols: 0, k: 0, depth: 0 });
  assert.equal(decode(messages.GetModeResponse, Uint8Array.from([0x08, 99])).mode, 99);
});

test('broken input is a DecodeError, at any cut', () => {
  const whole = join(encode(messages.MatmulRequest, {
    a: { rows: 2, cols: 300, dtype: 'DTYPE_FLOAT64', data: new Uint8Array(40) }, scaling: { alpha: 2, beta: 1 }, transposeA: true, productId: 'name' }));
  let refused = 0;
  for (let cut = 0; cut < whole.length; cut++) {
    try {
      decode(messages.MatmulRequest, whole.subarray(0, cut));
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
      refused++;
    }
  }
  assert.equal(refused, whole.length - 4); // a cut between two fields gives a shorter message: none, or 1 to 3 fields
  for (const bytes of [[0x0b], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x08, ...new Array(11).fill(0xff)], [0x00, 0x00], [0x42, 1, 0xff], [0x08, 1]]) {
    assert.throws(() => decode(messages.MatmulRequest, Uint8Array.from(bytes)), DecodeError, bytes.join());
  }
});

test('values that do not fit are TypeErrors that name the field', () => {
  const cases = /** @type {[any, Record<string, any>, RegExp][]} */ ([
    [messages.Tile, { row: -1 }, /Tile.row: -1/], [messages.Tile, { row: 2 ** 32 }, /Tile.row/], [messages.Tile, { row: 1.5 }, /Tile.row/],
    [messages.Tile, { rwo: 1 }, /Tile.rwo: no such field/], [messages.SetModeRequest, { mode: 'MODE_FAST' }, /mode: MODE_FAST is not one of/],
    [messages.Matrix, { data: [1, 2] }, /Matrix.data: not a Uint8Array/], [messages.Scaling, { alpha: '2' }, /Scaling.alpha/],
    [messages.WorkerStats, { bytesSent: 2 ** 60 }, /bytesSent/],
  ]);
  for (const [message, value, expected] of cases) assert.throws(() => encode(message, value), expected);
});
