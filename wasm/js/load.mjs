// SPDX-License-Identifier: Apache-2.0
/** From whatever names the module to a compiled WebAssembly.Module. */

/** @typedef {WebAssembly.Module | BufferSource | URL | string | Response | Promise<Response>} ModuleSource */

/** Whether this is Node (and not a browser, nor a Node-like shim of one). */
export const inNode = typeof process === 'object' && typeof process.versions?.node === 'string' && typeof window === 'undefined';

/**
 * Bytes are compiled; a URL is fetched and compiled while it arrives; in Node
 * a file: URL or a path is read.
 * @param {ModuleSource} source
 * @returns {Promise<WebAssembly.Module>}
 */
export async function loadModule(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) return WebAssembly.compile(/** @type {BufferSource} */ (source));
  if (source instanceof URL || typeof source === 'string') {
    const url = String(source);
    if (inNode && !/^https?:/.test(url)) {
      const { readFile } = await import('node:fs/promises');
      return WebAssembly.compile(/** @type {any} */ (await readFile(source)));
    }
    return loadResponse(await fetch(url));
  }
  return loadResponse(await source);
}

/** @param {Response} response
 * @returns {Promise<WebAssembly.Module>} */
async function loadResponse(response) {
  if (!response.ok) throw new Error(`${response.url}: HTTP ${response.status}`);
  if (response.headers.get('content-type') === 'application/wasm' && typeof WebAssembly.compileStreaming === 'function') {
    return WebAssembly.compileStreaming(response);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
