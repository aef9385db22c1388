/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's resolver, with what every system knows.
 */
#include <string.h>

#include <tessera/client_policy.h>

#include "tests/unit/run_case.h"

typedef struct answers {
  char texts[16][64];
  size_t count;
} answers;

static void add(void *to, const char *address) {
  answers *list = to;
  ck_assert_uint_lt(list->count, 16);
  ck_assert_uint_lt(strlen(address), sizeof list->texts[0]);
  strcpy(list->texts[list->count++], address);
}

static bool ask(const char *host, answers *list) {
  *list = (answers){.count = 0};
  return tess_resolver_system.resolve(tess_resolver_system.ctx, host, add, list);
}

START_TEST(addresses_stay_as_they_are) {
  answers list;
  ck_assert(ask("127.0.0.1", &list));
  ck_assert_uint_eq(list.count, 1);
  ck_assert_str_eq(list.texts[0], "127.0.0.1");
}
END_TEST

START_TEST(localhost_is_here) {
  answers list;
  ck_assert(ask("localhost", &list));
  ck_assert_uint_ge(list.count, 1);
  for (size_t i = 0; i < list.count; i++)
    ck_assert_msg(strcmp(list.texts[i], "127.0.0.1") == 0 || strcmp(list.texts[i], "::1") == 0,
                  "%s", list.texts[i]);
}
END_TEST

START_TEST(what_is_no_name_fails) {
  answers list;
  ck_assert(!ask("no name has spaces", &list));
  ck_assert_uint_eq(list.count, 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("resolver_system", 60, addresses_stay_as_they_are, localhost_is_here,
                   what_is_no_name_fails);
}
