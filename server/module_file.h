/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds and reads the module's file.
 */
#ifndef TESSERA_SERVER_MODULE_FILE_H
#define TESSERA_SERVER_MODULE_FILE_H

#include <stdint.h>

#include <tessera/status.h>

/* path NULL: tessera-module.wasm beside the program, or where the install puts
 * it. On TESS_OK *module (free() it) is checked and its memory capped
 * (wasm_file.h). The status names the file and what is wrong with it. */
tess_code server_module_file_load(const char *path, uint64_t memory_limit, uint8_t **module,
                                  size_t *module_size, tess_status *status);

#endif
