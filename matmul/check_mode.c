/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/check_mode.h"

#include <string.h>

static const char *const names[] = {
    [TESS_CHECK_NEVER] = "never",
    [TESS_CHECK_ALWAYS] = "always",
    [TESS_CHECK_ADAPTIVE] = "adaptive",
};

tess_check tess_check_from_name(const char *text, size_t size) {
  for (size_t i = TESS_CHECK_NEVER; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i]) == size && memcmp(names[i], text, size) == 0) return (tess_check)i;
  return TESS_CHECK_UNSPECIFIED;
}
