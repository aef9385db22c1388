/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of https://connectrpc.com/docs/protocol#error-codes.
 */
#include "tests/unit/run_case.h"

#include <tessera/status.h>

#include <string.h>

START_TEST(codes) {
  static const struct {
    tess_code code;
    const char *name;
    int http;
  } rows[] = {{TESS_CANCELED, "canceled", 499},
              {TESS_UNKNOWN, "unknown", 500},
              {TESS_INVALID_ARGUMENT, "invalid_argument", 400},
              {TESS_DEADLINE_EXCEEDED, "deadline_exceeded", 504},
              {TESS_NOT_FOUND, "not_found", 404},
              {TESS_ALREADY_EXISTS, "already_exists", 409},
              {TESS_PERMISSION_DENIED, "permission_denied", 403},
              {TESS_RESOURCE_EXHAUSTED, "resource_exhausted", 429},
              {TESS_FAILED_PRECONDITION, "failed_precondition", 400},
              {TESS_ABORTED, "aborted", 409},
              {TESS_OUT_OF_RANGE, "out_of_range", 400},
              {TESS_UNIMPLEMENTED, "unimplemented", 501},
              {TESS_INTERNAL, "internal", 500},
              {TESS_UNAVAILABLE, "unavailable", 503},
              {TESS_DATA_LOSS, "data_loss", 500},
              {TESS_UNAUTHENTICATED, "unauthenticated", 401}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    bool found = false;
    ck_assert_str_eq(tess_code_name(rows[i].code), rows[i].name);
    ck_assert_int_eq(tess_code_from_name(rows[i].name, strlen(rows[i].name), &found), rows[i].code);
    ck_assert(found);
    ck_assert_int_eq(tess_code_to_http(rows[i].code), rows[i].http);
  }
  ck_assert_str_eq(tess_code_name(TESS_OK), "ok");
  ck_assert_ptr_null(tess_code_name(TESS_LATER));
  ck_assert_ptr_null(tess_code_name((tess_code)17));
  bool found = true;
  ck_assert_int_eq(tess_code_from_name("ok", 2, &found), TESS_UNKNOWN);
  ck_assert(!found);
  ck_assert_int_eq(tess_code_from_name("Canceled", 8, NULL), TESS_UNKNOWN);
}
END_TEST

START_TEST(from_http) {
  static const int rows[][2] = {{400, TESS_INTERNAL},
                                {401, TESS_UNAUTHENTICATED},
                                {403, TESS_PERMISSION_DENIED},
                                {404, TESS_UNIMPLEMENTED},
                                {429, TESS_UNAVAILABLE},
                                {502, TESS_UNAVAILABLE},
                                {503, TESS_UNAVAILABLE},
                                {504, TESS_UNAVAILABLE},
                                {500, TESS_UNKNOWN},
                                {302, TESS_UNKNOWN},
                                {200, TESS_OK}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    ck_assert_int_eq(tess_code_from_http(rows[i][0]), rows[i][1]);
}
END_TEST

int main(void) {
  return RUN_TESTS("code", 60, codes, from_http);
}
