/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/product.h"

#include <string.h>

#include "cli/matrix_file.h"

void cli_answer_init(cli_answer *answer) {
  memset(answer, 0, sizeof *answer);
  tess_arena_init(&answer->arena, NULL, 0);
}

void cli_answer_cleanup(cli_answer *answer) {
  cli_memory_free(answer->owned, answer->owned_bytes);
  tess_arena_cleanup(&answer->arena);
  cli_answer_init(answer);
}

tess_code cli_answer_take_memory(cli_answer *answer, const cli_product *product, tess_gemm *gemm,
                                 tess_status *status) {
  *gemm = product->gemm;
  answer->owned_bytes = product->result_bytes;
  answer->owned = cli_memory_new(answer->owned_bytes);
  if (answer->owned == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "the result needs %zu bytes, more than this machine has",
                           product->result_bytes);
  gemm->c =
      tess_matrix_packed(answer->owned, product->shape.m, product->shape.n, product->gemm.a.dtype);
  answer->c = tess_matrix_as_const(gemm->c);
  if (gemm->beta == 0.0) return TESS_OK;
  return tess_matrix_copy(gemm->c, product->c0);
}
