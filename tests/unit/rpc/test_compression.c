/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of compressors and the choice among them.
 */
#include "tests/unit/run_case.h"

#include "rpc/compression.h"

#include <string.h>

static const tess_compressor gzip = {.name = "gzip"}, br = {.name = "br"};

START_TEST(registry) {
  tess__compressors all = {0};
  const tess_compressor *found = &gzip;
  ck_assert_int_eq(tess__compressors_find(&all, "gzip", 4, &found), TESS_UNIMPLEMENTED);
  ck_assert_int_eq(tess__compressors_add(&all, &gzip), TESS_OK);
  ck_assert_int_eq(tess__compressors_add(&all, &gzip), TESS_ALREADY_EXISTS);
  ck_assert_int_eq(tess__compressors_add(&all, &br), TESS_OK);
  ck_assert_str_eq(all.names, "gzip,br");
  ck_assert_int_eq(tess__compressors_find(&all, "GZIP", 4, &found), TESS_OK);
  ck_assert_ptr_eq(found, &gzip);
  ck_assert_int_eq(tess__compressors_find(&all, "identity", 8, &found), TESS_OK);
  ck_assert_ptr_null(found);
  ck_assert_int_eq(tess__compressors_find(&all, "", 0, &found), TESS_OK);
  ck_assert_int_eq(tess__compressors_find(&all, "gzi", 3, &found), TESS_UNIMPLEMENTED);
  static const tess_compressor more[8] = {{.name = "1"}, {.name = "2"}, {.name = "3"},
                                          {.name = "4"}, {.name = "5"}, {.name = "6"},
                                          {.name = "7"}, {.name = "8"}};
  for (int i = 0; i < 6; i++)
    ck_assert_int_eq(tess__compressors_add(&all, &more[i]), TESS_OK);
  ck_assert_int_eq(tess__compressors_add(&all, &more[6]), TESS_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(choice) {
  tess__compressors all = {0};
  tess__compressors_add(&all, &gzip);
  tess__compressors_add(&all, &br);
  static const struct {
    const char *accept;
    const tess_compressor *expected;
  } cases[] = {{"gzip", &gzip},      {"br", &br},          {"br, gzip", &gzip},
               {"br,gzip;q=0", &br}, {"gzip;q=0.0", NULL}, {"gzip;q=0.001", &gzip},
               {"deflate", NULL},    {"", NULL},           {" , gzip ;q=1, ", &gzip},
               {"GZIP", &gzip},      {"gzipx", NULL},      {"identity", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    ck_assert_ptr_eq(tess__compressors_choose(&all, cases[i].accept, strlen(cases[i].accept)),
                     cases[i].expected);
}
END_TEST

int main(void) {
  return RUN_TESTS("compression", 60, registry, choice);
}
