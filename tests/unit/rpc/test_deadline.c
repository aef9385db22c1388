/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/deadline.h"

#include <tessera/http.h>

#include <string.h>

START_TEST(connect_form) {
  int64_t ms;
  ck_assert(tess__connect_timeout_parse("0", 1, &ms) && ms == 0);
  ck_assert(tess__connect_timeout_parse("9999999999", 10, &ms) && ms == 9999999999);
  static const char *const bad[] = {"", "10000000000", "-1", "+1", " 1", "1 ", "1.5", "1e3", "0x1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert(!tess__connect_timeout_parse(bad[i], strlen(bad[i]), &ms));
  char text[32];
  ck_assert_uint_eq(tess__connect_timeout_format(text, 1500), 4);
  ck_assert_str_eq(text, "1500");
  tess__connect_timeout_format(text, INT64_MAX);
  ck_assert_str_eq(text, "9999999999");
}
END_TEST

START_TEST(grpc_form) {
  static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
  } cases[] = {{"1H", 3600000},    {"2M", 120000},
               {"3S", 3000},       {"4m", 4},
               {"5u", 1},          {"1001u", 2},
               {"1n", 1},          {"0n", 0},
               {"1", -1},          {"S", -1},
               {"1s", -1},         {"1h", -1},
               {"-1S", -1},        {"", -1},
               {"123456789m", -1}, {"99999999H", INT64_C(99999999) * 3600000}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t ms = -1;
    bool ok = tess__grpc_timeout_parse(cases[i].text, strlen(cases[i].text), &ms);
    ck_assert_int_eq(ok, cases[i].ms >= 0);
    if (ok) ck_assert_int_eq(ms, cases[i].ms);
  }
  char text[32];
  tess__grpc_timeout_format(text, 99999999);
  ck_assert_str_eq(text, "99999999m");
  tess__grpc_timeout_format(text, 100000000);
  ck_assert_str_eq(text, "100000S");
  tess__grpc_timeout_format(text, INT64_MAX);
  ck_assert_str_eq(text, "99999999H");
}
END_TEST

START_TEST(deadlines) {
  ck_assert_int_eq(tess__deadline_after(1000, 50), 1050);
  ck_assert_int_eq(tess__deadline_after(1000, 0), 1000);
  ck_assert_int_eq(tess__deadline_after(1000, -1), TESS_NEVER_MS);
  ck_assert_int_eq(tess__deadline_after(1000, INT64_MAX - 10), TESS_NEVER_MS);
}
END_TEST

int main(void) {
  return RUN_TESTS("deadline", 60, connect_form, grpc_form, deadlines);
}
