// SPDX-License-Identifier: Apache-2.0
/** Header lists as the ABI writes them: "name: value\r\n" for each, names in lower case. */

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex
const BAD_VALUE = /[\0\r\n]/;

/** @typedef {Headers | Iterable<readonly [string, string]> | Record<string, string | readonly string[] | undefined>} HeadersLike */

/** Every header as a pair.
 * @param {HeadersLike | undefined} headers
 * @returns {Iterable<readonly [string, string]>} */
export function* pairs(headers) {
  if (headers === undefined) return;
  if (typeof (/** @type {any} */ (headers)[Symbol.iterator]) === 'function') {
    yield* /** @type {Iterable<readonly [string, string]>} */ (headers);
    return;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) yield [name, one];
    else yield [name, /** @type {string} */ (value)];
  }
}

/** Throws TypeError on a name or a value that HTTP does not allow.
 * @param {HeadersLike | undefined} headers
 * @returns {string} */
export function headersToText(headers) {
  let text = '';
  for (const [name, value] of pairs(headers)) {
    if (!NAME.test(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
    if (typeof value !== 'string' || BAD_VALUE.test(value)) throw new TypeError(`not a value of the header ${name}: ${JSON.stringify(value)}`);
    text += `${name.toLowerCase()}: ${value}\r\n`;
  }
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
