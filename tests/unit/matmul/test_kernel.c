/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel of this build's table, over kernel_cases.c; and what a job
 * refuses.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include "matmul/kernel_choice.h"
#include "tests/unit/matmul/kernel_cases.h"
#include "tests/unit/run_case.h"

static void run(void (*cases)(const tess_kernel *, kernel_report *), uint32_t least) {
  tess_kernel_set_threads(1);
  for (size_t i = 0; i < tess_kernel_table_size; ++i) {
    kernel_report report = {0};
    if (!tess_kernel_takes(tess_kernel_table[i], TESS_DTYPE_FLOAT32)) continue; /* not here */
    cases(tess_kernel_table[i], &report);
    ck_assert_msg(report.failures == 0, "%u of %u: %s", report.failures, report.cases,
                  report.first.text);
    ck_assert_uint_ge(report.cases, least);
  }
}

START_TEST(small) {
  run(kernel_cases_small, 5000);
}
END_TEST

START_TEST(large) {
  run(kernel_cases_large, 128);
}
END_TEST

START_TEST(special) {
  run(kernel_cases_special, 1000);
}
END_TEST

START_TEST(steps) {
  run(kernel_cases_steps, 16);
}
END_TEST

/* A kernel that is wrong must be caught: the cases themselves are tested. */
static tess_code broken_step(tess_gemm_job *job, uint64_t max_flops) {
  tess_code code = tess_kernel_reference.step(job, max_flops);
  if (code == TESS_OK && job->shape.m == 11) {
    tess_matrix_set(job->gemm.c, 10, 0,
                    1.001 * tess_matrix_get(tess_matrix_as_const(job->gemm.c), 10, 0) + 0.001);
  }
  return code;
}

START_TEST(cases_can_fail) {
  tess_kernel broken = tess_kernel_reference;
  kernel_report report = {0};
  broken.step = broken_step;
  kernel_cases_small(&broken, &report);
  ck_assert_uint_gt(report.failures, 0);
}
END_TEST

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

START_TEST(choice) {
  const tess_gemm_shape square = {500, 500, 500}, thin = {4, 500, 500};
  const tess_dtype dtypes[] = {TESS_DTYPE_FLOAT32, TESS_DTYPE_FLOAT64};
  tess_kernel_choice c = {0};
  for (int measured = 0; measured < 2; ++measured) {
    for (int i = 0; i < 2; ++i) {
      const tess_kernel *a = tess_kernel_choose(&c, dtypes[i], square);
      const tess_kernel *b = tess_kernel_choose(&c, dtypes[i], thin);
      ck_assert_ptr_eq(a, measured ? c.square[i].kernel : tess_kernel_best(dtypes[i]));
      ck_assert_ptr_eq(b, measured ? c.thin[i].kernel : tess_kernel_best(dtypes[i]));
      ck_assert(tess_kernel_takes(a, dtypes[i]));
      if (measured) {
        ck_assert_ptr_ne(a, &tess_kernel_reference);
        ck_assert_double_gt(c.square[i].gflops, 0);
        ck_assert(tess_kernel_is_chosen(&c, a) && tess_kernel_is_chosen(&c, b));
      }
    }
    if (!measured) {
      tess_kernel_set_threads(1);
      ck_assert_int_eq(tess_kernel_choice_measure(&c, NULL, now_ms, NULL), TESS_OK);
    }
  }
  ck_assert_ptr_null(tess_kernel_choose(&c, TESS_DTYPE_INT8, square));
  ck_assert_int_eq(tess_kernel_choice_measure(&c, &tess_kernel_scalar, now_ms, NULL), TESS_OK);
  ck_assert_ptr_eq(tess_kernel_choose(&c, TESS_DTYPE_FLOAT64, square), &tess_kernel_scalar);
}
END_TEST

/* The one that is faster by the clock, whatever its place in the table. */
static double step_ms, step_factor;

static double fake_ms(void) {
  static double at;
  step_ms *= step_factor;
  return at += step_ms;
}

START_TEST(choice_is_by_the_clock) {
  tess_kernel_choice c;
  for (int later_is_faster = 0; later_is_faster < 2; ++later_is_faster) {
    step_ms = 10;
    step_factor = later_is_faster ? 0.9 : 1.1;
    ck_assert_int_eq(tess_kernel_choice_measure(&c, NULL, fake_ms, NULL), TESS_OK);
    ck_assert_ptr_eq(c.square[0].kernel,
                     later_is_faster ? &tess_kernel_scalar : tess_kernel_table[0]);
  }
}
END_TEST

START_TEST(table) {
  ck_assert_uint_ge(tess_kernel_table_size, 2);
  ck_assert_ptr_eq(tess_kernel_table[tess_kernel_table_size - 1], &tess_kernel_reference);
  ck_assert_ptr_eq(tess_kernel_best(TESS_DTYPE_FLOAT32), tess_kernel_table[0]);
  ck_assert_ptr_null(tess_kernel_best(TESS_DTYPE_INT8));
  ck_assert_ptr_null(tess_kernel_best((tess_dtype)77));
  ck_assert_ptr_eq(tess_kernel_find("scalar"), &tess_kernel_scalar);
  ck_assert_ptr_null(tess_kernel_find("abacus"));
}
END_TEST

START_TEST(job_refuses) {
  float data[16] = {0};
  tess_gemm gemm = {.a = tess_const_matrix_packed(data, 2, 2, TESS_DTYPE_FLOAT32),
                    .b = tess_const_matrix_packed(data + 4, 2, 2, TESS_DTYPE_FLOAT32),
                    .c = tess_matrix_packed(data + 8, 2, 2, TESS_DTYPE_FLOAT32),
                    .alpha = 1};
  tess_gemm_job job;
  tess_reason why;
  size_t need = tess_gemm_scratch_bytes(&tess_kernel_scalar, &gemm);
  unsigned char *scratch = malloc(need + 16);
  ck_assert_ptr_nonnull(scratch);
  ck_assert_uint_gt(need, 0);
  ck_assert_int_eq(tess_gemm_job_start(&job, &tess_kernel_scalar, &gemm, scratch, need - 1, &why),
                   TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(why.text, "scratch"));
  ck_assert_int_eq(tess_gemm_job_start(&job, &tess_kernel_scalar, &gemm, NULL, need, &why),
                   TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_gemm_job_start(&job, &tess_kernel_scalar, &gemm, scratch + 1, need, &why),
                   TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(why.text, "aligned"));
  tess_kernel lesser = tess_kernel_scalar;
  lesser.max_dimension = 1;
  ck_assert_int_eq(tess_gemm_job_start(&job, &lesser, &gemm, scratch, need, &why),
                   TESS_UNIMPLEMENTED);
  lesser.max_dimension = 2;
  lesser.dtypes = 1u << TESS_DTYPE_FLOAT64;
  ck_assert_int_eq(tess_gemm_job_start(&job, &lesser, &gemm, scratch, need, &why),
                   TESS_UNIMPLEMENTED);
  free(scratch);
}
END_TEST

int main(void) {
  return RUN_TESTS("kernel", 300, small, large, special, steps, cases_can_fail, choice,
                   choice_is_by_the_clock, table, job_refuses);
}
