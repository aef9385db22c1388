/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/router.h"

#include <stdio.h>

START_TEST(many_paths) {
  enum { COUNT = 1000 };
  static tess_method methods[COUNT];
  static char paths[COUNT][40];
  tess__router router;
  tess__router_init(&router, NULL);
  ck_assert_ptr_null(tess__router_find(&router, "/a.B/C"));
  for (int i = 0; i < COUNT; i++) {
    snprintf(paths[i], sizeof paths[i], "/pkg.Service%d/Method%d", i % 7, i);
    methods[i] = (tess_method){.path = paths[i]};
    ck_assert_int_eq(tess__router_add(&router, &(tess__route){.method = &methods[i]}), TESS_OK);
  }
  ck_assert_int_eq(tess__router_add(&router, &(tess__route){.method = &methods[5]}),
                   TESS_ALREADY_EXISTS);
  for (int i = 0; i < COUNT; i++)
    ck_assert_ptr_eq(tess__router_find(&router, paths[i])->method, &methods[i]);
  static const char *const others[] = {"",
                                       "/",
                                       "/pkg.Service0/Method",
                                       "/pkg.Service0/Method00",
                                       "/pkg.Service0/method0",
                                       "pkg.Service0/Method0",
                                       "/pkg.Service0/Method0/",
                                       "/pkg.Service0/Method0%20"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    ck_assert_ptr_null(tess__router_find(&router, others[i]));
  tess__router_cleanup(&router);
}
END_TEST

int main(void) {
  return RUN_TESTS("router", 60, many_paths);
}
