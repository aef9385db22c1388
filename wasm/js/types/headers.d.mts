// Made by tools/js-types.mjs from headers.mjs; do not edit.
/** Every header as a pair. Throws TypeError on a name or a value that HTTP does not allow; values are text, never numbers.
 * @param {HeadersLike | null | undefined} headers
 * @returns {Generator<readonly [string, string]>} */
export function pairs(headers: HeadersLike | null | undefined): Generator<readonly [string, string]>;
/** Throws TypeError on what pairs() refuses.
 * @param {HeadersLike | null | undefined} headers
 * @returns {string} */
export function headersToText(headers: HeadersLike | null | undefined): string;
/** Throws TypeError on a line without a colon.
 * @param {string} text
 * @returns {[string, string][]} */
export function headersFromText(text: string): [string, string][];
/** The content type in header text, or none.
 * @param {string} head
 * @returns {string} */
export function contentTypeOf(head: string): string;
export type HeadersLike = Headers | Iterable<readonly [string, string]> | Record<string, string | readonly string[] | undefined>;
