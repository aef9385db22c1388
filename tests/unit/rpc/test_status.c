/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "fail_allocator.h"

#include <tessera/status.h>

#include <string.h>

START_TEST(setting) {
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(tess_status_set(&status, TESS_NOT_FOUND, "no block %s (%d)", "x", 7),
                   TESS_NOT_FOUND);
  ck_assert_str_eq(status.message, "no block x (7)");
  /* The arguments may be the old message. */
  tess_status_set(&status, TESS_ABORTED, "<%s>", status.message);
  ck_assert_str_eq(status.message, "<no block x (7)>");
  ck_assert_int_eq(tess_status_set(NULL, TESS_ABORTED, "nobody listens"), TESS_ABORTED);
  tess_status_reset(&status);
  ck_assert_int_eq(status.code, TESS_OK);
  ck_assert_ptr_null(status.message);
  tess_status_cleanup(&status);
}
END_TEST

START_TEST(details_and_copies) {
  tess_status status = TESS_STATUS_INIT, copy = TESS_STATUS_INIT;
  tess_status_set(&status, TESS_ABORTED, "why");
  ck_assert_int_eq(tess_status_add_detail(&status, "a.B", "\0\1", 2), TESS_OK);
  ck_assert_int_eq(tess_status_add_detail(&status, "c.D", NULL, 0), TESS_OK);
  ck_assert_int_eq(tess_status_copy(&copy, &status), TESS_OK);
  tess_status_cleanup(&status);
  ck_assert_int_eq(copy.code, TESS_ABORTED);
  ck_assert_str_eq(copy.message, "why");
  ck_assert_uint_eq(copy.detail_count, 2);
  ck_assert_str_eq(copy.details[0].type_name, "a.B");
  ck_assert_uint_eq(copy.details[0].value_size, 2);
  ck_assert_mem_eq(copy.details[0].value, "\0\1", 2);
  ck_assert_uint_eq(copy.details[1].value_size, 0);
  tess_status_cleanup(&copy);
}
END_TEST

START_TEST(out_of_memory) {
  for (long n = 1; n <= 8; n++) {
    fail_allocator memory;
    fail_allocator_init(&memory, n);
    tess_status status, copy;
    tess_status_init(&status, &memory.base);
    tess_status_init(&copy, &memory.base);
    ck_assert_int_eq(tess_status_set(&status, TESS_ABORTED, "message"), TESS_ABORTED);
    ck_assert_int_eq(status.code, TESS_ABORTED); /* the message may be lost, the code not */
    tess_status_add_detail(&status, "a.B", "x", 1);
    tess_code code = tess_status_copy(&copy, &status);
    ck_assert(code == TESS_OK || code == TESS_RESOURCE_EXHAUSTED);
    tess_status_cleanup(&status);
    tess_status_cleanup(&copy);
    ck_assert_int_eq(memory.outstanding, 0);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("status", 60, setting, details_and_copies, out_of_memory);
}
