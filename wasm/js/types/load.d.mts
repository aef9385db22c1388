// Made by tools/js-types.mjs from load.mjs; do not edit.
/**
 * Bytes are compiled; a URL is fetched and compiled while it arrives; in Node
 * a path or a file: URL, as a URL or as text, is read.
 * @param {ModuleSource} given
 * @returns {Promise<WebAssembly.Module>}
 */
export function loadModule(given: ModuleSource): Promise<WebAssembly.Module>;
/** From whatever names the module to a compiled WebAssembly.Module. */
/** Whether this is Node (and not a browser, nor a Node-like shim of one). */
export const inNode: boolean;
export function isModuleSource(source: any): source is ModuleSource;
export type ModuleBytes = WebAssembly.Module | ArrayBuffer | ArrayBufferView | URL | string | Response;
export type ModuleSource = ModuleBytes | Promise<ModuleBytes>;
