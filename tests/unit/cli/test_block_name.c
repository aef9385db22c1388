/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/block_name.c: names as people write them.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/block_name.h"
#include "tests/unit/run_case.h"

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eFf"

START_TEST(read_and_written) {
  uint8_t name[TESS_SHA256_BYTES];
  char text[CLI_BLOCK_NAME_TEXT];
  ck_assert(cli_block_name_parse("sha256:" DIGITS, name));
  for (unsigned i = 0; i < 31; i++)
    ck_assert_uint_eq(name[i], i);
  ck_assert_uint_eq(name[31], 255);
  cli_block_name_format(text, name);
  ck_assert_str_eq(text, "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff");
}
END_TEST

START_TEST(what_is_none) {
  static const char *const bad[] = {"",
                                    "sha256:",
                                    "B.npy",
                                    "sha256:00",
                                    "SHA256:" DIGITS,
                                    "sha256" DIGITS,
                                    DIGITS,
                                    " sha256:" DIGITS,
                                    "sha256:" DIGITS "0",
                                    "sha256:" DIGITS " ",
                                    "sha256:g" DIGITS};
  uint8_t name[TESS_SHA256_BYTES];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!cli_block_name_parse(bad[i], name), "'%s'", bad[i]);
  char text[] = "sha256:" DIGITS;
  for (size_t i = 7; i < sizeof text - 1; i++) {
    const char digit = text[i];
    text[i] = i % 2 ? 'g' : '/';
    ck_assert(!cli_block_name_parse(text, name));
    text[i] = digit;
  }
  ck_assert(cli_block_name_is("sha256:00"));
  ck_assert(!cli_block_name_is("sha256.npy"));
}
END_TEST

int main(void) {
  return RUN_TESTS("block_name", 60, read_and_written, what_is_none);
}
