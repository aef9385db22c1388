// Made by tools/js-types.mjs from load.mjs; do not edit.
/**
 * Bytes are compiled; a URL is fetched and compiled while it arrives; in Node
 * a path or a file: URL, as a URL or as text, is read.
 * @param {ModuleSource} given
 * @returns {Promise<CompiledModule>}
 */
export function loadModule(given: ModuleSource): Promise<CompiledModule>;
/** From whatever names the module to a compiled WebAssembly.Module. */
/** Whether this is Node (and not a browser, nor a Node-like shim of one). */
export const inNode: boolean;
export function isModuleSource(source: any): source is ModuleSource;
/**
 * WebAssembly.Module and Instance, which only projects with the lib "dom" (or "webworker") have a type of.
 */
export type CompiledModule = typeof globalThis extends {
    WebAssembly: {
        Module: {
            prototype: infer M;
        };
    };
} ? M : never;
/**
 * WebAssembly.Module and Instance, which only projects with the lib "dom" (or "webworker") have a type of.
 */
export type ModuleInstance = typeof globalThis extends {
    WebAssembly: {
        Instance: {
            prototype: infer I;
        };
    };
} ? I : never;
export type ModuleBytes = CompiledModule | ArrayBuffer | ArrayBufferView | URL | string | Response;
export type ModuleSource = ModuleBytes | Promise<ModuleBytes>;
