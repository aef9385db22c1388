/* SPDX-License-Identifier: Apache-2.0
 *
 * What a small module behind the border of abi.h has no use for: its replies are short
 * and complete when they are given, it keeps no blocks and has no figures. Linked where
 * module.c is not, by tess_wasm_client_module() (module.cmake).
 */
#include "wasm/module.h"

void tess_module_on_cancel(tess_module *module, int32_t id) {
  (void)module, (void)id;
}

void tess_module_on_writable(tess_module *module, int32_t id) {
  (void)module, (void)id;
}

void tess_module_on_sent(tess_module *module, int32_t id) {
  (void)module, (void)id;
}

size_t tess_module_stats(const tess_module *module, char *text, size_t size) {
  (void)module, (void)text, (void)size;
  return 0;
}

bool tess_module_spare_memory(tess_module *module) {
  (void)module;
  return false;
}
