// SPDX-License-Identifier: Apache-2.0
/** From whatever names the module to a compiled WebAssembly.Module. */

/** WebAssembly.Module and Instance, which only projects with the lib "dom" (or "webworker") have a type of.
 * @typedef {typeof globalThis extends {WebAssembly: {Module: {prototype: infer M}}} ? M : never} CompiledModule
 * @typedef {typeof globalThis extends {WebAssembly: {Instance: {prototype: infer I}}} ? I : never} ModuleInstance */

/** @typedef {CompiledModule | ArrayBuffer | ArrayBufferView | URL | string | Response} ModuleBytes
 * @typedef {ModuleBytes | Promise<ModuleBytes>} ModuleSource */

/** Whether this is Node (and not a browser, nor a Node-like shim of one). */
export const inNode = typeof process === 'object' && typeof process.versions?.node === 'string' && typeof window === 'undefined';

/** What Node takes for a URL, not for a path. */
const URL_SCHEME = /^(file|https?|data|blob):/i;

/** @param {any} source
 * @returns {source is Response} also one of another implementation */
const isResponse = (source) => typeof source?.arrayBuffer === 'function' && typeof source.headers?.get === 'function';

/** @param {any} source
 * @returns {source is ModuleSource} */
export const isModuleSource = (source) => source instanceof WebAssembly.Module || ArrayBuffer.isView(source) || source instanceof ArrayBuffer
  || source instanceof URL || typeof source === 'string' || isResponse(source) || typeof source?.then === 'function';

/**
 * Bytes are compiled; a URL is fetched and compiled while it arrives; in Node
 * a path or a file: URL, as a URL or as text, is read.
 * @param {ModuleSource} given
 * @returns {Promise<CompiledModule>}
 */
export async function loadModule(given) {
  const source = await given;
  if (source instanceof WebAssembly.Module) return source;
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) return WebAssembly.compile(/** @type {BufferSource} */ (source));
  if (!(source instanceof URL) && typeof source !== 'string') return loadResponse(source);
  if (!inNode) return loadResponse(await fetch(source));
  const where = source instanceof URL || !URL_SCHEME.test(source) ? source : new URL(source);
  if (where instanceof URL && where.protocol !== 'file:') return loadResponse(await fetch(where));
  const { readFile } = await import('./node-only.mjs');
  return WebAssembly.compile(await readFile(where));
}

/** @param {Response} response
 * @returns {Promise<CompiledModule>} */
async function loadResponse(response) {
  if (!isResponse(response)) throw new Error('neither bytes, nor a URL, nor a Response'); // what a promise gave
  if (!response.ok) throw new Error(`${response.url || 'the response'}: HTTP ${response.status}`);
  if (response.headers.get('content-type') === 'application/wasm' && typeof WebAssembly.compileStreaming === 'function') {
    return WebAssembly.compileStreaming(response);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
