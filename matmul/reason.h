/* SPDX-License-Identifier: Apache-2.0
 *
 * Why something was refused: one sentence for people in a fixed buffer that the
 * caller owns. It needs no memory, no printf and no RPC core, so that the pure
 * code says "A is 3x4 and B is 5x6" natively and in WebAssembly alike.
 *
 * Every function here takes reason == NULL and then does nothing. Text that
 * does not fit is cut; the buffer is NUL-terminated at all times.
 *
 *   tess_reason why;
 *   if (tess_gemm_check(&gemm, &why) != TESS_OK) report(why.text);
 */
#ifndef TESSERA_MATMUL_REASON_H
#define TESSERA_MATMUL_REASON_H

#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

typedef struct tess_reason {
  char text[240];
} tess_reason;

void tess_reason_clear(tess_reason *reason);
void tess_reason_add(tess_reason *reason, const char *text);
void tess_reason_add_u64(tess_reason *reason, uint64_t number);
/* Adds at most size bytes of foreign text; what is not printable ASCII becomes '?'. */
void tess_reason_add_bytes(tess_reason *reason, const void *bytes, size_t size);

/* Clears, writes the sentence and returns the code. The format knows %s (const
 * char *), %u (uint32_t), %U (uint64_t) and %% alone. */
tess_code tess_reason_set(tess_reason *reason, tess_code code, const char *format, ...);

#endif
