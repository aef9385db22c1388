/* SPDX-License-Identifier: Apache-2.0
 *
 * See extension.h: a module without services of somebody else.
 */
#include "wasm/extension.h"

tess_code tess_module_extend(const tess_module_parts *parts, tess_status *status) {
  (void)parts;
  (void)status;
  return TESS_OK;
}
