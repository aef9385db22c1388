// Made by tools/js-types.mjs from reply-stream.mjs; do not edit.
/**
 * The body of a streamed reply: a bounded queue of chunks between the module,
 * which pushes, and one reader, who iterates. push() says when the reader is
 * behind; drained() is called once when he has caught up.
 */
/** @implements {AsyncIterableIterator<Uint8Array>} */
export class ReplyStream implements AsyncIterableIterator<Uint8Array> {
    /**
     * @param {number} highWater bytes in the queue above which push() says that it is full
     * @param {{drained: () => void, abandoned: () => void}} on
     *   abandoned: the reader left before the end. Neither is called from inside push().
     */
    constructor(highWater: number, on: {
        drained: () => void;
        abandoned: () => void;
    });
    /** True: no more until drained().
     * @param {Uint8Array} chunk
     * @returns {boolean} */
    push(chunk: Uint8Array): boolean;
    end(): void;
    /** What the queue still holds is lost: a broken reply is not a shorter one.
     * @param {unknown} error */
    fail(error: unknown): void;
    /** @returns {Promise<IteratorResult<Uint8Array>>} */
    next(): Promise<IteratorResult<Uint8Array>>;
    /** @returns {Promise<IteratorResult<Uint8Array>>} */
    return(): Promise<IteratorResult<Uint8Array>>;
    [Symbol.asyncIterator](): this;
    #private;
}
