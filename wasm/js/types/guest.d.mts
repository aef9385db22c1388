// Made by tools/js-types.mjs from guest.mjs; do not edit.
/** alloc() said no; the instance is well. */
export class NoMemory extends Error {
}
/** The file is not a Tessera module, or of another ABI. */
export class NotAModule extends Error {
}
export class Guest {
    /**
     * @param {import('./load.mjs').CompiledModule} module
     * @param {(guest: () => Guest) => Record<string, Function>} makeImports
     *   gets a way to the guest, which does not exist yet, and returns the imports of abi.h
     * @returns {Promise<Guest>}
     */
    static start(module: import("./load.mjs").CompiledModule, makeImports: (guest: () => Guest) => Record<string, Function>): Promise<Guest>;
    /** @param {import('./load.mjs').ModuleInstance} instance */
    constructor(instance: import("./load.mjs").ModuleInstance);
    /** Calls an export. Whatever it throws means that the instance is dead.
     * @param {string} name
     * @param {...number} args
     * @returns {number} */
    call(name: string, ...args: number[]): number;
    get memoryBytes(): number;
    /**
     * Copies the pieces, one after the other, into one new block that the module
     * will own. Throws NoMemory.
     * @param {readonly Uint8Array[]} pieces
     * @returns {Block}
     */
    put(pieces: readonly Uint8Array[]): Block;
    /** @param {string} text
     * @returns {Block} */
    putText(text: string): Block;
    /** Gives a block back that no export took.
     * @param {Block | undefined} block */
    drop(block: Block | undefined): void;
    /** A view that lives until the next call. Throws RangeError outside of the memory.
     * @param {number} ptr
     * @param {number} len */
    bytes(ptr: number, len: number): Uint8Array;
    /** @param {number} ptr
     * @param {number} len */
    text(ptr: number, len: number): string;
    /** One copy of all pieces of a list.
     * @param {number} iov
     * @param {number} count
     * @returns {Uint8Array} */
    gather(iov: number, count: number): Uint8Array;
    #private;
}
/**
 * A block in the module's memory.
 */
export type Block = {
    ptr: number;
    len: number;
};
