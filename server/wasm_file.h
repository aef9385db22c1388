/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks into a .wasm file before an engine gets it: is it a module, does it
 * import nothing but the ABI's functions, does it export all of them with the
 * right types? And caps its memory: the maximum that it declares is lowered to
 * the limit, so that memory.grow beyond it fails in every engine alike.
 *
 * Reads the WebAssembly binary format, version 1
 * (https://webassembly.github.io/spec/core/binary/modules.html). The code is
 * not validated here; the engine does that.
 *
 * Pure: no I/O, no global state.
 */
#ifndef TESSERA_SERVER_WASM_FILE_H
#define TESSERA_SERVER_WASM_FILE_H

#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#define TESS_WASM_PAGE_BYTES 65536u

/* memory_limit in bytes; 0: leave the module's own maximum. On TESS_OK *module
 * is a new file (free() it) with the capped memory. TESS_INVALID_ARGUMENT: not
 * a module for this host, and why; TESS_RESOURCE_EXHAUSTED: memory, or the
 * module needs more than the limit at its start. */
tess_code tess_wasm_file_check(tess_slice file, uint64_t memory_limit, uint8_t **module,
                               size_t *module_size, tess_status *status);

#endif
