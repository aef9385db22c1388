// Made by tools/js-types.mjs from headers.mjs; do not edit.
/** Every header as a pair.
 * @param {HeadersLike | undefined} headers
 * @returns {Iterable<readonly [string, string]>} */
export function pairs(headers: HeadersLike | undefined): Iterable<readonly [string, string]>;
/** Throws TypeError on a name or a value that HTTP does not allow.
 * @param {HeadersLike | undefined} headers
 * @returns {string} */
export function headersToText(headers: HeadersLike | undefined): string;
/** Throws TypeError on a line without a colon.
 * @param {string} text
 * @returns {[string, string][]} */
export function headersFromText(text: string): [string, string][];
/** The content type in header text, or none.
 * @param {string} head
 * @returns {string} */
export function contentTypeOf(head: string): string;
export type HeadersLike = Headers | Iterable<readonly [string, string]> | Record<string, string | readonly string[] | undefined>;
