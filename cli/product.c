/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/product.h"

#include <string.h>

#include "cli/matrix_file.h"
#include "cli/progress.h"
#include "cli/report.h"

tess_code cli_product_check_shapes(const cli_multiply_options *options, cli_stored a, cli_stored b,
                                   const cli_stored *add, tess_gemm_shape *shape,
                                   tess_status *status) {
  const bool ta = options->transpose_a;
  const bool tb = options->transpose_b;
  const uint32_t ka = ta ? a.rows : a.cols;
  const uint32_t kb = tb ? b.cols : b.rows;
  *shape = (tess_gemm_shape){ta ? a.cols : a.rows, tb ? b.rows : b.cols, ka};
  if (ka != kb)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s is %u x %u%s and %s is %u x %u%s: the inner dimensions %u and %u "
                           "differ",
                           options->a_path, a.rows, a.cols, ta ? ", transposed" : "",
                           options->b_path, b.rows, b.cols, tb ? ", transposed" : "", ka, kb);
  if (add != NULL && (add->rows != shape->m || add->cols != shape->n))
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s is %u x %u, but the product is %u x %u", options->add_path,
                           add->rows, add->cols, shape->m, shape->n);
  return TESS_OK;
}

tess_dtype cli_product_dtype(const cli_multiply_options *options, cli_stored a, cli_stored b) {
  if (options->dtype != TESS_DTYPE_UNSPECIFIED) return options->dtype;
  if (a.dtype == b.dtype) return a.dtype;
  cli_note(options->quiet,
           "%s is %s and %s is %s: computing in float64 (--dtype float32 chooses the other)",
           options->a_path, tess_dtype_name(a.dtype), options->b_path, tess_dtype_name(b.dtype));
  return TESS_DTYPE_FLOAT64;
}

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

tess_code cli_product_run(const cli_product *product, cli_engine *engine, cli_answer *answer,
                          tess_status *status) {
  if (engine == NULL) return status->code;
  const tess_gemm_shape shape = product->shape;
  /* For a bar that moves; without one, large tiles move fewer bytes. */
  cli_part part = {
      .a_held = product->a_held, .b_held = product->b_held, .many_tiles = cli_progress_is_shown()};
  engine->flops = (double)tess_gemm_flops(shape.m, shape.n, shape.k);
  tess_code code = cli_answer_take_memory(answer, product, &part.gemm, status);
  if (code == TESS_OK) code = cli_engine_run(engine, &part, status);
  cli_engine_tell(engine, answer->how, sizeof answer->how);
  cli_engine_free(engine);
  return code;
}
