// Made by tools/js-types.mjs from protobuf.mjs; do not edit.
/**
 * Throws TypeError on a value that does not fit its field.
 * @param {Message} message
 * @param {Record<string, any>} value large bytes fields are borrowed by the result
 * @returns {Uint8Array[]} the pieces of the message, in order
 */
export function encode(message: Message, value: Record<string, any>): Uint8Array[];
/** One array of several pieces.
 * @param {readonly Uint8Array[]} pieces
 * @returns {Uint8Array} */
export function join(pieces: readonly Uint8Array[]): Uint8Array;
/**
 * Throws DecodeError. Bytes fields are views of `bytes`.
 * @param {Message} message
 * @param {Uint8Array} bytes
 * @returns {Record<string, any>}
 */
export function decode(message: Message, bytes: Uint8Array): Record<string, any>;
/** Input that is no valid message. */
export class DecodeError extends Error {
}
export type Scalar = "uint32" | "uint64" | "bool" | "double" | "string" | "bytes";
/**
 * by number
 */
export type EnumNames = readonly string[];
export type Field = {
    id: number;
    type: Scalar | EnumNames | Message;
    repeated?: boolean | undefined;
};
export type Message = {
    name: string;
    fields: Record<string, Field>;
};
/**
 * An encoded message: its size, and how to write it.
 */
export type Encoded = {
    size: number;
    write: (out: Output) => void;
};
declare class Output {
    /** @param {number} size of all that is not a piece of its own */
    constructor(size: number);
    /** @type {Uint8Array[]} */
    pieces: Uint8Array[];
    /** @param {number} value */
    varint(value: number): void;
    /** @param {number} value */
    double(value: number): void;
    /** @param {Uint8Array} bytes */
    copy(bytes: Uint8Array): void;
    /** @param {Uint8Array} bytes borrowed */
    piece(bytes: Uint8Array): void;
    flush(): void;
    #private;
}
export {};
