/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC-Web trailers; what is written is tested in test_protocol_grpc_web.c.
 */
#include "tests/unit/run_case.h"

#include "rpc/grpc_status.h"

#include <string.h>

static bool read_status(const char *text, tess_metadata *trailers, tess_status *status) {
  return tess__grpc_trailers_read((tess_slice){text, strlen(text)}, trailers) == TESS_OK &&
         tess__grpc_status_take(trailers, status);
}

START_TEST(reading) {
  static const struct {
    const char *text;
    bool valid;
    tess_code code;
    const char *message;
    size_t left;
  } cases[] = {
      {"grpc-status: 0\r\n", true, TESS_OK, NULL, 0},
      {"Grpc-Status:13\r\nGRPC-MESSAGE:  a%20b%  \r\nx: y\r\n", true, TESS_INTERNAL, "a b%", 1},
      {"grpc-status: 5\nx-bin: AA\n", true, TESS_NOT_FOUND, NULL, 1},
      {"grpc-status: 99", true, TESS_UNKNOWN, NULL, 0},
      {"", false, TESS_OK, NULL, 0},
      {"grpc-status: \r\n", false, TESS_OK, NULL, 1},
      {"grpc-status: 1x\r\n", false, TESS_OK, NULL, 1},
      {"grpc-status: -1\r\n", false, TESS_OK, NULL, 1},
      {"no colon\r\n", false, TESS_OK, NULL, 0},
      {"a b: c\r\n", false, TESS_OK, NULL, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    tess_metadata trailers;
    tess_metadata_init(&trailers, NULL, 0);
    ck_assert_int_eq(read_status(cases[i].text, &trailers, &status), cases[i].valid);
    ck_assert_int_eq(status.code, cases[i].code);
    if (cases[i].message != NULL) ck_assert_str_eq(status.message, cases[i].message);
    if (cases[i].valid) ck_assert_uint_eq(trailers.count, cases[i].left);
    tess_metadata_cleanup(&trailers);
    tess_status_cleanup(&status);
  }
}
END_TEST

START_TEST(details) {
  tess_status status = TESS_STATUS_INIT;
  tess_metadata trailers;
  tess_metadata_init(&trailers, NULL, 0);
  /* the bytes of `protoc --encode`: see test_protocol_grpc_web.c */
  ck_assert(
      read_status("grpc-status: 5\r\ngrpc-status-details-bin: CAUSBWEgYiUKGjYKL3R5cGUuZ29vZ2"
                  "xlYXBpcy5jb20vdGVzc2VyYS50ZXN0LnYxLkVjaG9SZXF1ZXN0EgMBAgM\r\n",
                  &trailers, &status));
  ck_assert_int_eq(status.code, TESS_NOT_FOUND);
  ck_assert_uint_eq(status.detail_count, 1);
  ck_assert_str_eq(status.details[0].type_name, "tessera.test.v1.EchoRequest");
  ck_assert_uint_eq(status.details[0].value_size, 3);
  ck_assert_mem_eq(status.details[0].value, "\1\2\3", 3);
  /* Details that cannot be read do not hide the code. */
  ck_assert(read_status("grpc-status: 5\r\ngrpc-status-details-bin: GmY\r\n", &trailers, &status));
  ck_assert_int_eq(status.code, TESS_NOT_FOUND);
  ck_assert_uint_eq(status.detail_count, 0);
  tess_metadata_cleanup(&trailers);
  tess_status_cleanup(&status);
}
END_TEST

int main(void) {
  return RUN_TESTS("grpc_status", 60, reading, details);
}
