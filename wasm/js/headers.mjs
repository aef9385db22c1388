// SPDX-License-Identifier: Apache-2.0
/** Header lists as the ABI writes them: "name: value\r\n" for each, names in lower case. */
import { shown } from './options.mjs';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex
const BAD_VALUE = /[\0\r\n]/;

/** @typedef {Headers | Iterable<readonly [string, string]> | Record<string, string | readonly string[] | undefined>} HeadersLike */

/** Every header as a pair. Throws TypeError on a name or a value that HTTP does not allow; values are text, never numbers.
 * @param {HeadersLike | null | undefined} headers
 * @returns {Generator<readonly [string, string]>} */
export function* pairs(headers) {
  if (headers === undefined || headers === null) return;
  if (typeof headers !== 'object') throw new TypeError(`headers are an object, a Headers or pairs, not ${shown(headers)}`);
  for (const [name, value] of unchecked(headers)) {
    if (typeof name !== 'string' || !NAME.test(name)) throw new TypeError(`not a header name: ${shown(name)}`);
    if (typeof value !== 'string') throw new TypeError(`the value of the header ${name} is text, not ${shown(value)}`);
    if (BAD_VALUE.test(value)) throw new TypeError(`not a value of the header ${name}: ${JSON.stringify(value)}`);
    yield [name, value];
  }
}

/** @param {HeadersLike} headers
 * @returns {Iterable<readonly [unknown, unknown]>} */
function* unchecked(headers) {
  if (typeof (/** @type {any} */ (headers)[Symbol.iterator]) === 'function') {
    for (const pair of /** @type {Iterable<unknown>} */ (headers)) {
      if (!Array.isArray(pair)) throw new TypeError(`a header is a pair of name and value, not ${shown(pair)}`);
      yield /** @type {[unknown, unknown]} */ (pair);
    }
    return;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || value === null) continue;
    if (Array.isArray(value)) for (const one of value) yield [name, one];
    else yield [name, value];
  }
}

/** Throws TypeError on what pairs() refuses.
 * @param {HeadersLike | null | undefined} headers
 * @returns {string} */
export function headersToText(headers) {
  let text = '';
  for (const [name, value] of pairs(headers)) text += `${name.toLowerCase()}: ${value}\r\n`;
  return text;
}

/** Throws TypeError on a line without a colon.
 * @param {string} text
 * @returns {[string, string][]} */
export function headersFromText(text) {
  /** @type {[string, string][]} */
  const list = [];
  for (const line of text.split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    if (colon <= 0) throw new TypeError(`not a header: ${JSON.stringify(line)}`);
    list.push([line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]);
  }
  return list;
}

/** The content type in header text, or none.
 * @param {string} head
 * @returns {string} */
export function contentTypeOf(head) {
  const found = /^content-type: *(.*)$/m.exec(head.replaceAll('\r\n', '\n'));
  return found === null ? '' : found[1];
}
