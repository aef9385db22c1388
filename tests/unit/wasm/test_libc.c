/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/libc/mem.c and str.c, under names of their own (CMakeLists.txt), held
 * against the C library over random sizes, offsets and overlaps.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

void *tess_test_memcpy(void *restrict to, const void *restrict from, size_t size);
void *tess_test_memmove(void *to, const void *from, size_t size);
void *tess_test_memset(void *to, int byte, size_t size);
int tess_test_memcmp(const void *a, const void *b, size_t size);
void *tess_test_memchr(const void *data, int byte, size_t size);
size_t tess_test_strlen(const char *text);
size_t tess_test_strnlen(const char *text, size_t max);
int tess_test_strcmp(const char *a, const char *b);
int tess_test_strncmp(const char *a, const char *b, size_t max);
char *tess_test_strchr(const char *text, int character);
char *tess_test_strrchr(const char *text, int character);
char *tess_test_strstr(const char *text, const char *needle);
size_t tess_test_strspn(const char *text, const char *accept);
size_t tess_test_strcspn(const char *text, const char *reject);

static uint64_t random_state = 99;

static int sign(int x) {
  return (x > 0) - (x < 0);
}

START_TEST(memory_functions_agree) {
  unsigned char ours[900], theirs[900];
  for (int round = 0; round < 10000; round++) {
    for (size_t i = 0; i < sizeof ours; i++)
      ours[i] = theirs[i] = (unsigned char)random_below(&random_state, 4);
    size_t size = random_below(&random_state, round % 2 ? 40 : 250);
    size_t from = random_below(&random_state, 300), to = random_below(&random_state, 300);
    switch (random_below(&random_state, 5)) {
      case 0:
        if (from < to + size && to < from + size) to = from + size;
        ck_assert_ptr_eq(tess_test_memcpy(ours + to, ours + from, size), ours + to);
        memcpy(theirs + to, theirs + from, size);
        break;
      case 1:
        ck_assert_ptr_eq(tess_test_memmove(ours + to, ours + from, size), ours + to);
        memmove(theirs + to, theirs + from, size);
        break;
      case 2:
        ck_assert_ptr_eq(tess_test_memset(ours + to, (int)from, size), ours + to);
        memset(theirs + to, (int)from, size);
        break;
      case 3:
        ck_assert_int_eq(sign(tess_test_memcmp(ours + to, ours + from, size % 8)),
                         sign(memcmp(theirs + to, theirs + from, size % 8)));
        break;
      default: {
        unsigned char *mine = tess_test_memchr(ours + to, (int)(size % 5), size);
        unsigned char *other = memchr(theirs + to, (int)(size % 5), size);
        ck_assert(mine == NULL ? other == NULL : mine - ours == other - theirs);
      }
    }
    ck_assert_mem_eq(ours, theirs, sizeof ours);
  }
}
END_TEST

START_TEST(text_functions_agree) {
  char a[40], b[8];
  for (int round = 0; round < 50000; round++) {
    size_t size = random_below(&random_state, sizeof a),
           small = random_below(&random_state, sizeof b);
    for (size_t i = 0; i < size; i++)
      a[i] = (char)("ab\xc3"[random_below(&random_state, 3)]);
    for (size_t i = 0; i < small; i++)
      b[i] = (char)("ab\xc3"[random_below(&random_state, 3)]);
    a[size] = b[small] = '\0';
    size_t max = random_below(&random_state, 12);
    ck_assert_uint_eq(tess_test_strlen(a), strlen(a));
    ck_assert_uint_eq(tess_test_strnlen(a, max), strnlen(a, max));
    ck_assert_int_eq(sign(tess_test_strcmp(a, b)), sign(strcmp(a, b)));
    ck_assert_int_eq(sign(tess_test_strncmp(a, b, max)), sign(strncmp(a, b, max)));
    ck_assert_ptr_eq(tess_test_strchr(a, 'b'), strchr(a, 'b'));
    ck_assert_ptr_eq(tess_test_strchr(a, 0), strchr(a, 0));
    ck_assert_ptr_eq(tess_test_strrchr(a, 'b'), strrchr(a, 'b'));
    ck_assert_ptr_eq(tess_test_strrchr(a, 0), strrchr(a, 0));
    ck_assert_ptr_eq(tess_test_strstr(a, b), strstr(a, b));
    ck_assert_uint_eq(tess_test_strspn(a, b), strspn(a, b));
    ck_assert_uint_eq(tess_test_strcspn(a, b), strcspn(a, b));
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("libc", 60, memory_functions_agree, text_functions_agree);
}
