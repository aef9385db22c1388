// SPDX-License-Identifier: Apache-2.0
/** Numbers and errors as a person reads them. */

/** @param {number} ms
 * @returns {string} */
export function duration(ms) {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** @param {number} bytes
 * @returns {string} */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(0)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

/** @param {number} gflops
 * @returns {string} */
export const speed = (gflops) => `${gflops >= 10 ? gflops.toFixed(1) : gflops >= 0.01 ? gflops.toPrecision(2) : '<0.01'} GFLOP/s`;

/** @param {number} value
 * @returns {string} */
export function number(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value).replace('-', '−');
  return value.toPrecision(5).replace('-', '−');
}

/** What went wrong, by code: a first sentence for people. @type {Record<string, string>} */
const FIRST = {
  invalid_argument: 'These two matrices cannot be multiplied as they are.',
  resource_exhausted: 'That is more than can be held or done at once.',
  deadline_exceeded: 'It took too long.',
  unavailable: 'Nobody answers there.',
  unimplemented: 'The other side does not know how to do that.',
  permission_denied: 'The other side does not allow that.',
  unauthenticated: 'The other side wants to know who asks.',
  data_loss: 'What came is not what was asked for.',
  internal: 'Something went wrong inside.',
};

/** @param {string} code
 * @returns {string} */
export const headline = (code) => FIRST[code] ?? 'That did not work.';
