/* SPDX-License-Identifier: Apache-2.0
 *
 * Which answers are verified (verify.h), as people and configurations name it.
 */
#ifndef TESSERA_MATMUL_CHECK_MODE_H
#define TESSERA_MATMUL_CHECK_MODE_H

#include <stddef.h>

/* The numbers are those of tessera.matmul.v1.Check. */
typedef enum tess_check {
  TESS_CHECK_UNSPECIFIED = 0,
  TESS_CHECK_NEVER = 1,
  TESS_CHECK_ALWAYS = 2,
  TESS_CHECK_ADAPTIVE = 3 /* as far as the worker is trusted */
} tess_check;

/* "never", "always", "adaptive"; TESS_CHECK_UNSPECIFIED where the text is none of them. */
tess_check tess_check_from_name(const char *text, size_t size);

#endif
