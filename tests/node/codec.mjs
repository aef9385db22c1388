// SPDX-License-Identifier: Apache-2.0
/** The host's codec under one roof, for the fakes. */
export * as matmulMessages from '../../wasm/js/messages.mjs';
export { decode, encode, join } from '../../wasm/js/protobuf.mjs';
