/* SPDX-License-Identifier: Apache-2.0
 *
 * A module that wasm2c turned into C, as data for the wasm2c engine. CMake's
 * tessera_add_wasm2c_image makes one for a .wasm file.
 */
#ifndef TESSERA_SERVER_ENGINE_WASM2C_H
#define TESSERA_SERVER_ENGINE_WASM2C_H

#include <stdint.h>

#include "server/engine_wasm.h"

typedef struct tess_wasm2c_image {
  const char *name;
  bool has_on_sent;
  size_t instance_size;
  void (*init_module)(void); /* once a process */
  /* imports is handed to every import. May trap. */
  void (*instantiate)(void *instance, void *imports);
  void (*free)(void *instance);
  /* The memory's data and size now. */
  uint8_t *(*memory)(void *instance, uint32_t *size);
  /* Calls an export with the signature of abi_table.h. May trap. */
  void (*call)(void *instance, tess_abi_export which, const uint32_t *arguments,
               tess_wasm_result *result);
} tess_wasm2c_image;

#endif
