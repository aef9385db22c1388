// SPDX-License-Identifier: Apache-2.0
/**
 * The body of a streamed reply: a bounded queue of chunks between the module,
 * which pushes, and one reader, who iterates. push() says when the reader is
 * behind; drained() is called once when he has caught up.
 */

/** @implements {AsyncIterableIterator<Uint8Array>} */
export class ReplyStream {
  /** @type {Uint8Array[]} */
  #chunks = [];
  #bytes = 0;
  #full = false;
  #ended = false;
  /** @type {unknown} */
  #error;
  #failed = false;
  /** @type {{resolve: (r: IteratorResult<Uint8Array>) => void, reject: (e: unknown) => void}[]} */
  #readers = [];
  #highWater;
  #on;

  /**
   * @param {number} highWater bytes in the queue above which push() says that it is full
   * @param {{drained: () => void, abandoned: () => void}} on
   *   abandoned: the reader left before the end. Neither is called from inside push().
   */
  constructor(highWater, on) {
    this.#highWater = highWater;
    this.#on = on;
  }

  /** True: no more until drained().
   * @param {Uint8Array} chunk
   * @returns {boolean} */
  push(chunk) {
    if (this.#ended || chunk.length === 0) return this.#full;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ value: chunk, done: false });
      return false;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#full ||= this.#bytes > this.#highWater;
    return this.#full;
  }

  end() {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader.resolve({ value: undefined, done: true });
  }

  /** What the queue still holds is lost: a broken reply is not a shorter one.
   * @param {unknown} error */
  fail(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#failed = true;
    this.#error = error;
    this.#chunks = [];
    for (const reader of this.#readers.splice(0)) reader.reject(error);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Uint8Array>>} */
  next() {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.length;
      if (this.#full && this.#bytes <= this.#highWater / 2) {
        this.#full = false;
        this.#on.drained();
      }
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#failed) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** @returns {Promise<IteratorResult<Uint8Array>>} */
  return() {
    const wasOpen = !this.#ended;
    this.#chunks = [];
    this.end();
    if (wasOpen) this.#on.abandoned();
    return Promise.resolve({ value: undefined, done: true });
  }
}
