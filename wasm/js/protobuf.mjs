// SPDX-License-Identifier: Apache-2.0
/**
 * The protobuf wire format, as far as this contract needs it: varints, doubles,
 * strings, bytes, messages and packed lists, driven by the tables of
 * messages.mjs. Large bytes fields are neither copied when a message is
 * encoded (the result is a list of pieces) nor when it is decoded (they are
 * views of the input).
 *
 * In JavaScript a message is a plain object. Encoding leaves out undefined,
 * zero and empty fields; decoding gives every scalar, string, bytes and list
 * field its default, and leaves out absent messages. uint64 is a Number: exact
 * up to 2^53.
 */

/**
 * @typedef {'uint32' | 'uint64' | 'bool' | 'double' | 'string' | 'bytes'} Scalar
 * @typedef {readonly string[]} EnumNames by number
 * @typedef {object} Field
 * @property {number} id
 * @property {Scalar | EnumNames | Message} type
 * @property {boolean} [repeated]
 * @typedef {{name: string, fields: Record<string, Field>}} Message
 */

/** Bytes fields of at least this size become pieces of their own. */
const PIECE_BYTES = 512;
/** Deeper messages than this contract has are an attack. */
const MAX_DEPTH = 16;
const MAX_VARINT_BYTES = 10;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { fatal: true });

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Input that is no valid message. */
export class DecodeError extends Error {}

/** @param {Field['type']} type
 * @returns {type is EnumNames} */
const isEnum = (type) => Array.isArray(type);

/** @param {Field['type']} type
 * @returns {number} */
function wireType(type) {
  if (type === 'double') return FIXED64;
  if (type === 'string' || type === 'bytes') return BYTES;
  if (typeof type === 'string' || isEnum(type)) return VARINT;
  return BYTES;
}

/** @param {number} value
 * @returns {number} */
function varintSize(value) {
  let size = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    size++;
  }
  return size;
}

// ---- encoding ----

/** @param {Message} message
 * @param {string} name
 * @param {unknown} why
 * @returns {never} */
function refuse(message, name, why) {
  throw new TypeError(`${message.name}.${name}: ${why}`);
}

/** The number that a varint field carries.
 * @param {Field['type']} type
 * @param {any} value
 * @returns {number} */
function varintOf(type, value) {
  if (type === 'bool') return value ? 1 : 0;
  if (isEnum(type) && typeof value === 'string') {
    const number = type.indexOf(value);
    if (number < 0) throw new TypeError(`${value} is not one of ${type.join(', ')}`);
    return number;
  }
  const max = type === 'uint64' ? Number.MAX_SAFE_INTEGER : 0xffffffff;
  if (!Number.isInteger(value) || value < 0 || value > max) throw new TypeError(`${value} is not an integer from 0 to ${max}`);
  return value;
}

/** An encoded message: its size, and how to write it.
 * @typedef {{size: number, write: (out: Output) => void}} Encoded */

class Output {
  /** @type {Uint8Array[]} */
  pieces = [];
  #bytes;
  #view;
  #start = 0;
  #at = 0;

  /** @param {number} size of all that is not a piece of its own */
  constructor(size) {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** @param {number} value */
  varint(value) {
    while (value >= 128) {
      this.#bytes[this.#at++] = value % 128 + 128;
      value = Math.floor(value / 128);
    }
    this.#bytes[this.#at++] = value;
  }

  /** @param {number} value */
  double(value) {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** @param {Uint8Array} bytes */
  copy(bytes) {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** @param {Uint8Array} bytes borrowed */
  piece(bytes) {
    this.flush();
    this.pieces.push(bytes);
  }

  flush() {
    if (this.#at > this.#start) this.pieces.push(this.#bytes.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}

/** @param {number} id
 * @param {number} wire
 * @returns {number} */
const tagOf = (id, wire) => id * 8 + wire;

/** @param {number} tag
 * @param {number} size
 * @param {(out: Output) => void} write
 * @returns {Encoded} */
function lengthPrefixed(tag, size, write) {
  return {
    size: varintSize(tag) + varintSize(size) + size,
    write(out) {
      out.varint(tag);
      out.varint(size);
      write(out);
    },
  };
}

/** @param {Uint8Array} bytes
 * @returns {(out: Output) => void} */
const bytesWriter = (bytes) => (out) => bytes.length >= PIECE_BYTES ? out.piece(bytes) : out.copy(bytes);

/** One value with its tag.
 * @param {Field} field
 * @param {any} value
 * @returns {Encoded} */
function encodeOne({ id, type }, value) {
  const tag = tagOf(id, wireType(type));
  switch (wireType(type)) {
    case VARINT: {
      const number = varintOf(type, value);
      return { size: varintSize(tag) + varintSize(number), write(out) { out.varint(tag); out.varint(number); } };
    }
    case FIXED64: {
      if (typeof value !== 'number') throw new TypeError(`${value} is not a number`);
      return { size: varintSize(tag) + 8, write(out) { out.varint(tag); out.double(value); } };
    }
    default: {
      if (type === 'bytes' || type === 'string') {
        const bytes = type === 'string' ? utf8.encode(value) : value;
        if (!(bytes instanceof Uint8Array)) throw new TypeError('not a Uint8Array');
        return lengthPrefixed(tag, bytes.length, bytesWriter(bytes));
      }
      const inner = encodeFields(/** @type {Message} */ (type), value);
      return lengthPrefixed(tag, inner.size, inner.write);
    }
  }
}

/** @param {Field} field
 * @param {ArrayLike<any>} values
 * @returns {Encoded[]} */
function encodeList(field, values) {
  const { id, type } = field;
  const wire = wireType(type);
  if (values.length === 0) return [];
  if (wire === BYTES) return Array.from(values, (value) => encodeOne(field, value));
  const tag = tagOf(id, BYTES);
  if (wire === FIXED64) {
    return [lengthPrefixed(tag, values.length * 8, (out) => { for (let i = 0; i < values.length; i++) out.double(values[i]); })];
  }
  const numbers = Array.from(values, (value) => varintOf(type, value));
  const size = numbers.reduce((sum, number) => sum + varintSize(number), 0);
  return [lengthPrefixed(tag, size, (out) => numbers.forEach((number) => out.varint(number)))];
}

/** Whether proto3 leaves this value out.
 * @param {Field['type']} type
 * @param {any} value */
function isDefault(type, value) {
  if (type === 'bytes' || type === 'string') return value.length === 0;
  if (type === 'double') return Object.is(value, 0);
  if (typeof type === 'string' || isEnum(type)) return varintOf(type, value) === 0;
  return false;
}

/** @param {Message} message
 * @param {Record<string, any>} value
 * @returns {Encoded} */
function encodeFields(message, value) {
  /** @type {Encoded[]} */
  const parts = [];
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(message.fields, name)) refuse(message, name, 'no such field');
  }
  for (const [name, field] of Object.entries(message.fields)) {
    const item = value[name];
    if (item === undefined) continue;
    try {
      if (field.repeated) parts.push(...encodeList(field, item));
      else if (!isDefault(field.type, item)) parts.push(encodeOne(field, item));
    } catch (error) {
      if (error instanceof TypeError) refuse(message, name, error.message);
      throw error;
    }
  }
  return {
    size: parts.reduce((sum, part) => sum + part.size, 0),
    write: (out) => parts.forEach((part) => part.write(out)),
  };
}

/**
 * Throws TypeError on a value that does not fit its field.
 * @param {Message} message
 * @param {Record<string, any>} value large bytes fields are borrowed by the result
 * @returns {Uint8Array[]} the pieces of the message, in order
 */
export function encode(message, value) {
  const { size, write } = encodeFields(message, value);
  let borrowed = 0;
  write(/** @type {any} */ ({ varint() {}, double() {}, copy() {}, piece(/** @type {Uint8Array} */ bytes) { borrowed += bytes.length; } }));
  const out = new Output(size - borrowed);
  write(out);
  out.flush();
  return out.pieces;
}

/** One array of several pieces.
 * @param {readonly Uint8Array[]} pieces
 * @returns {Uint8Array} */
export function join(pieces) {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

// ---- decoding ----

class Input {
  #bytes;
  #view;
  at;
  end;

  /** @param {Uint8Array} bytes
   * @param {number} [start]
   * @param {number} [end] */
  constructor(bytes, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.end = end;
  }

  /** As a Number; bits over 2^53 are rounded. */
  varint() {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.at >= this.end) throw new DecodeError('the message ends inside a number');
      const byte = this.#bytes[this.at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new DecodeError('a number of more than ten bytes');
  }

  double() {
    const at = this.#advance(8);
    return this.#view.getFloat64(at, true);
  }

  /** A length-delimited field, as an Input of its own. */
  field() {
    const size = this.varint();
    const start = this.#advance(size);
    return new Input(this.#bytes, start, start + size);
  }

  rest() {
    return this.#bytes.subarray(this.at, this.end);
  }

  /** Over a field that the reader does not know.
   * @param {number} wire */
  skip(wire) {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.#advance(8);
    else if (wire === FIXED32) this.#advance(4);
    else if (wire === BYTES) this.field();
    else throw new DecodeError(`wire type ${wire}`);
  }

  /** @param {number} size
   * @returns {number} where it began */
  #advance(size) {
    if (size > this.end - this.at) throw new DecodeError('the message ends inside a field');
    const start = this.at;
    this.at += size;
    return start;
  }
}

/** @param {Message} message
 * @returns {Map<number, [string, Field]>} */
function byId(message) {
  let table = TABLES.get(message);
  if (table === undefined) {
    table = new Map(Object.entries(message.fields).map(([name, field]) => [field.id, [name, field]]));
    TABLES.set(message, table);
  }
  return table;
}
/** @type {WeakMap<Message, Map<number, [string, Field]>>} */
const TABLES = new WeakMap();

/** @param {Field} field
 * @returns {any} */
function defaultOf({ type, repeated }) {
  if (repeated) return [];
  if (type === 'bytes') return new Uint8Array(0);
  if (type === 'string') return '';
  if (type === 'bool') return false;
  if (isEnum(type)) return type[0];
  return typeof type === 'string' ? 0 : undefined;
}

/** @param {Exclude<Field['type'], Message>} type
 * @param {Input} input
 * @returns {any} */
function decodeScalar(type, input) {
  if (type === 'double') return input.double();
  const value = input.varint();
  if (type === 'bool') return value !== 0;
  if (type === 'uint32') return value % 2 ** 32;
  if (isEnum(type)) return type[value] ?? value;
  return value;
}

/** @param {Field['type']} type
 * @param {Input} field
 * @param {number} depth
 * @param {any} previous the same field, earlier in the message: messages merge
 * @returns {any} */
function decodeDelimited(type, field, depth, previous) {
  if (type === 'bytes') return field.rest();
  if (type === 'string') {
    try {
      return fromUtf8.decode(field.rest());
    } catch {
      throw new DecodeError('text that is not UTF-8');
    }
  }
  return decodeFields(/** @type {Message} */ (type), field, depth, previous);
}

/** @param {Message} message
 * @param {Input} input
 * @param {number} depth
 * @param {Record<string, any>} [into]
 * @returns {Record<string, any>} */
function decodeFields(message, input, depth, into) {
  if (depth > MAX_DEPTH) throw new DecodeError('messages nested too deeply');
  const table = byId(message);
  const value = into ?? {};
  if (into === undefined) {
    for (const [name, field] of table.values()) {
      const fallback = defaultOf(field);
      if (fallback !== undefined) value[name] = fallback;
    }
  }
  while (input.at < input.end) {
    const tag = input.varint();
    const wire = tag % 8;
    const id = Math.floor(tag / 8);
    if (id === 0) throw new DecodeError('field number 0');
    const known = table.get(id);
    if (known === undefined) {
      input.skip(wire);
      continue;
    }
    const [name, field] = known;
    const { type, repeated } = field;
    const expected = wireType(type);
    if (expected === BYTES) {
      if (wire !== BYTES) throw new DecodeError(`${message.name}.${name} has wire type ${wire}`);
      const item = decodeDelimited(type, input.field(), depth + 1, repeated ? undefined : value[name]);
      if (repeated) value[name].push(item);
      else value[name] = item;
    } else if (repeated && wire === BYTES) {
      const packed = input.field();
      while (packed.at < packed.end) value[name].push(decodeScalar(/** @type {any} */ (type), packed));
    } else {
      if (wire !== expected) throw new DecodeError(`${message.name}.${name} has wire type ${wire}`);
      const item = decodeScalar(/** @type {any} */ (type), input);
      if (repeated) value[name].push(item);
      else value[name] = item;
    }
  }
  return value;
}

/**
 * Throws DecodeError. Bytes fields are views of `bytes`.
 * @param {Message} message
 * @param {Uint8Array} bytes
 * @returns {Record<string, any>}
 */
export function decode(message, bytes) {
  return decodeFields(message, new Input(bytes), 1);
}
