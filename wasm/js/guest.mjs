// SPDX-License-Identifier: Apache-2.0
/**
 * One instance of the server module and its memory: nothing else knows
 * pointers. Views of the memory are made anew for every access, because
 * memory.grow detaches the old buffer; pointers arrive signed and are made
 * unsigned. After any exception from an export the instance is dead and must
 * not be called again.
 */
import { ABI_EXPORTS, ABI_IOV_BYTES, ABI_MODULE, ABI_VERSION } from './abi.mjs';

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

/** alloc() said no; the instance is well. */
export class NoMemory extends Error {}

/** The file is not a Tessera module, or of another ABI. */
export class NotAModule extends Error {}

/** A block in the module's memory.
 * @typedef {{ptr: number, len: number}} Block */

export class Guest {
  /** @type {Record<string, (...args: number[]) => number>} */
  #exports;
  /** @type {WebAssembly.Memory} */
  #memory;

  /**
   * @param {import('./load.mjs').CompiledModule} module
   * @param {(guest: () => Guest) => Record<string, Function>} makeImports
   *   gets a way to the guest, which does not exist yet, and returns the imports of abi.h
   * @returns {Promise<Guest>}
   */
  static async start(module, makeImports) {
    /** @type {Guest | undefined} */
    let guest;
    const imports = makeImports(() => {
      if (guest === undefined) throw new NotAModule('the module calls its host before it is started');
      return guest;
    });
    let instance;
    try {
      instance = await WebAssembly.instantiate(module, { [ABI_MODULE]: /** @type {any} */ (imports) });
    } catch (error) {
      if (error instanceof WebAssembly.LinkError) throw new NotAModule(`the module wants other imports: ${error.message}`);
      throw error;
    }
    guest = new Guest(instance);
    return guest;
  }

  /** @param {import('./load.mjs').ModuleInstance} instance */
  constructor(instance) {
    const exports = /** @type {Record<string, any>} */ (instance.exports);
    for (const name of Object.keys(ABI_EXPORTS)) {
      if (typeof exports[name] !== 'function') throw new NotAModule(`the module lacks the export ${name}`);
    }
    if (!(exports.memory instanceof WebAssembly.Memory)) throw new NotAModule('the module lacks the export memory');
    this.#exports = exports;
    this.#memory = exports.memory;
    const version = this.call('abi_version');
    if (version !== ABI_VERSION) throw new NotAModule(`the module speaks ABI ${version}, this host ABI ${ABI_VERSION}`);
  }

  /** Calls an export. Whatever it throws means that the instance is dead.
   * @param {string} name
   * @param {...number} args
   * @returns {number} */
  call(name, ...args) {
    return this.#exports[name](...args);
  }

  get memoryBytes() {
    return this.#memory.buffer.byteLength;
  }

  /**
   * Copies the pieces, one after the other, into one new block that the module
   * will own. Throws NoMemory.
   * @param {readonly Uint8Array[]} pieces
   * @returns {Block}
   */
  put(pieces) {
    let len = 0;
    for (const piece of pieces) len += piece.length;
    if (len === 0) return { ptr: 0, len: 0 };
    if (len > 0x7fffffff) throw new NoMemory(`${len} bytes do not fit`);
    const ptr = this.call('alloc', len) >>> 0;
    if (ptr === 0) throw new NoMemory(`the module has no room for ${len} bytes`);
    const block = this.bytes(ptr, len);
    let at = 0;
    for (const piece of pieces) {
      block.set(piece, at);
      at += piece.length;
    }
    return { ptr, len };
  }

  /** @param {string} text
   * @returns {Block} */
  putText(text) {
    return this.put([utf8.encode(text)]);
  }

  /** Gives a block back that no export took.
   * @param {Block | undefined} block */
  drop(block) {
    if (block !== undefined && block.ptr !== 0) this.call('free', block.ptr);
  }

  /** A view that lives until the next call. Throws RangeError outside of the memory.
   * @param {number} ptr
   * @param {number} len */
  bytes(ptr, len) {
    return new Uint8Array(this.#memory.buffer, ptr >>> 0, len >>> 0);
  }

  /** @param {number} ptr
   * @param {number} len */
  text(ptr, len) {
    return fromUtf8.decode(this.bytes(ptr, len).slice());
  }

  /** One copy of all pieces of a list.
   * @param {number} iov
   * @param {number} count
   * @returns {Uint8Array} */
  gather(iov, count) {
    if (count >>> 0 === 0) return new Uint8Array(0);
    const list = this.bytes(iov, (count >>> 0) * ABI_IOV_BYTES);
    const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
    let total = 0;
    for (let i = 0; i < list.length; i += ABI_IOV_BYTES) total += view.getUint32(i + 4, true);
    if (total > this.memoryBytes) throw new RangeError('the pieces are larger than the memory');
    const copy = new Uint8Array(total);
    let at = 0;
    for (let i = 0; i < list.length; i += ABI_IOV_BYTES) {
      const piece = this.bytes(view.getUint32(i, true), view.getUint32(i + 4, true));
      copy.set(piece, at);
      at += piece.length;
    }
    return copy;
  }
}
