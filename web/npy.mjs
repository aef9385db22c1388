// SPDX-License-Identifier: Apache-2.0
/**
 * NumPy's .npy files of two-dimensional float32 and float64 arrays: reads C and
 * Fortran order and both byte orders, versions 1 to 3; writes version 1,
 * little-endian, C order. What it cannot hold it refuses in words.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

import { size } from './words.mjs';

/** @typedef {import('../wasm/js/client.mjs').DenseMatrix} DenseMatrix */

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Far more than any real header. */
const MAX_HEADER_BYTES = 65536;
/** What browsers read of a file in one piece. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** A file that is not what it should be; the message is for people. */
export class NpyError extends Error {}

/** @param {string} header a Python dictionary
 * @returns {{descr: string, fortran: boolean, rows: number, cols: number}} */
function parseHeader(header) {
  const descr = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(header)?.[1];
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(header)?.[1];
  const shape = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(header)?.[1];
  if (shape === undefined || order === undefined) throw new NpyError('the header of the .npy file cannot be read');
  if (descr === undefined) throw new NpyError('the .npy file holds records; a matrix of float32 or float64 is needed');
  const sizes = shape.split(',').map((part) => part.trim().replace(/L$/, '')).filter((part) => part !== '').map(Number);
  if (sizes.length !== 2) {
    throw new NpyError(`the .npy file holds an array of ${sizes.length} dimension${sizes.length === 1 ? '' : 's'}; a matrix has two`);
  }
  const [rows, cols] = sizes;
  if (!(rows < 2 ** 32 && cols < 2 ** 32 && rows * cols * 8 <= Number.MAX_SAFE_INTEGER)) throw new NpyError(`${rows} × ${cols} is too large`);
  return { descr, fortran: order === 'True', rows, cols };
}

/** What a file's head says, held against the size of the file. Throws NpyError.
 * @param {ArrayBuffer} head the whole file, or as much of it as any header takes
 * @param {number} total bytes of the file */
function layoutOf(head, total) {
  const bytes = new Uint8Array(head);
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte)) throw new NpyError('this is not a .npy file');
  const version = bytes[6];
  if (version < 1 || version > 3) throw new NpyError(`.npy version ${version} is not known here`);
  const view = new DataView(head);
  const start = version === 1 ? 10 : 12;
  const headerBytes = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerBytes > MAX_HEADER_BYTES || start + headerBytes > bytes.length) throw new NpyError('the .npy file ends inside its header');
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(start, start + headerBytes));
  const { descr, fortran, rows, cols } = parseHeader(text);
  const type = /^([<>=|])(f4|f8)$/.exec(descr);
  if (type === null) throw new NpyError(`the .npy file holds ${descr}; save it with a.astype("float64") or "float32"`);
  const Elements = type[2] === 'f4' ? Float32Array : Float64Array;
  const wanted = rows * cols * Elements.BYTES_PER_ELEMENT;
  const at = start + headerBytes;
  if (total - at !== wanted) throw new NpyError(`${rows} × ${cols} elements need ${wanted} bytes, but the .npy file has ${total - at}`);
  return { rows, cols, at, Elements, fortran, swapped: type[1] === '>' };
}

/** Whether a file can be read, by its head and its size alone. Throws NpyError, or a DOMException when nothing can be read.
 * @param {Blob} file */
export async function checkNpyFile(file) {
  layoutOf(await file.slice(0, MAX_HEADER_BYTES + 12).arrayBuffer(), file.size);
  if (file.size > MAX_FILE_BYTES) throw new NpyError(`the .npy file has ${size(file.size)}; this page takes files of up to ${size(MAX_FILE_BYTES)}`);
}

/** Throws NpyError.
 * @param {ArrayBuffer} buffer
 * @returns {DenseMatrix} its data are a view of the buffer where they can be */
export function readNpy(buffer) {
  const { rows, cols, at, Elements, fortran, swapped } = layoutOf(buffer, buffer.byteLength);
  const aligned = at % Elements.BYTES_PER_ELEMENT === 0;
  const data = new Elements(aligned ? buffer : buffer.slice(at), aligned ? at : 0, rows * cols);
  if (swapped) swapBytes(data);
  return { rows, cols, dtype: Elements === Float32Array ? 'float32' : 'float64', data: fortran ? transposed(data, cols, rows) : data };
}

/** @param {Float32Array | Float64Array} data changed in place */
function swapBytes(data) {
  const size = data.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
}

/** A copy with rows and columns exchanged, in blocks that stay in the cache.
 * @template {Float32Array | Float64Array} T
 * @param {T} data rows × cols
 * @param {number} rows
 * @param {number} cols
 * @returns {T} */
function transposed(data, rows, cols) {
  const BLOCK = 32;
  const out = /** @type {T} */ (new (/** @type {any} */ (data.constructor))(data.length));
  for (let i0 = 0; i0 < rows; i0 += BLOCK) {
    for (let j0 = 0; j0 < cols; j0 += BLOCK) {
      for (let i = i0; i < Math.min(i0 + BLOCK, rows); i++) {
        for (let j = j0; j < Math.min(j0 + BLOCK, cols); j++) out[j * rows + i] = data[i * cols + j];
      }
    }
  }
  return out;
}

/** @param {DenseMatrix} matrix
 * @returns {[Uint8Array, DenseMatrix['data']]} header and elements, to be written one after the other */
export function writeNpy({ rows, cols, dtype, data }) {
  const descr = dtype === 'float32' ? '<f4' : '<f8';
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${cols}), }`;
  const total = Math.ceil((10 + dictionary.length + 1) / 64) * 64;
  const header = new Uint8Array(total).fill(0x20);
  header.set(MAGIC);
  header.set([1, 0, (total - 10) & 255, (total - 10) >> 8], 6);
  header.set(new TextEncoder().encode(dictionary), 10);
  header[total - 1] = 0x0a;
  return [header, data];
}
