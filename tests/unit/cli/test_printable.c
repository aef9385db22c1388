/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/printable.c: what stays, what becomes '?', and how wide it may be.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cli/printable.h"
#include "tests/unit/run_case.h"

static void expect(const char *from, const char *wanted) {
  char copy[128], in_place[128];
  memset(copy, 'x', sizeof copy);
  cli_printable_copy(copy, sizeof copy, from);
  ck_assert_str_eq(copy, wanted);
  strcpy(in_place, from);
  cli_printable(in_place);
  ck_assert_str_eq(in_place, wanted);
}

START_TEST(what_stays) {
  static const char *const texts[] = {
      "",
      " !\"#$%&'()*+,-./0189:;<=>?@AZ[\\]^_`az{|}~",
      "café ß Łódź ế",
      "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", /* the ends of
                                                                                     each length */
      "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xb0", /* beside those
                                                                                     below */
      "矩阵 שלום 😀",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    expect(texts[i], texts[i]);
}
END_TEST

START_TEST(what_commands_a_terminal) {
  for (int c = 1; c < 0x20; c++) /* C0 */
    expect((char[]){'a', (char)c, 'b', 0}, "a?b");
  expect(
      "a\x7f"
      "b",
      "a?b");
  for (int c = 0x80; c < 0xa0; c++) /* C1 */
    expect((char[]){'a', (char)0xc2, (char)c, 'b', 0}, "a?b");
  expect(
      "\x1b]0;title\x07\xc2\x9b"
      "2J",
      "?]0;title??2J");
}
END_TEST

START_TEST(what_nobody_sees) {
  static const char *const points[] = {
      "\xe2\x80\x8b",                        /* U+200B */
      "\xe2\x81\xa0",     "\xe2\x81\xa4",    /* U+2060, U+2064 */
      "\xef\xbb\xbf",                        /* U+FEFF */
      "\xf3\xa0\x80\x80", "\xf3\xa0\x81\xbf" /* U+E0000, U+E007F */
  };
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
    expect(points[i], "?");
}
END_TEST

START_TEST(what_turns_text_around) {
  static const char *const points[] = {
      "\xd8\x9c",                     /* U+061C */
      "\xe2\x80\x8e", "\xe2\x80\x8f", /* U+200E, U+200F */
      "\xe2\x80\xa8", "\xe2\x80\xa9", /* separators of lines */
      "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", /* U+202E */
      "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9", /* U+2066 to U+2069 */
      "\xe2\x81\xaa", "\xe2\x81\xaf",
  };
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
    char text[16];
    snprintf(text, sizeof text, "a%sb", points[i]);
    expect(text, "a?b");
  }
}
END_TEST

START_TEST(what_is_no_utf8) {
  expect("\x80\xbf\xc0\xc1\xf5\xff", "??????");
  expect("\xc3", "?");
  expect("\xc3z\xe2\x82z\xf0\x9f\x98z", "?z??z???z");
  expect("\xc0\x80", "??");           /* overlong */
  expect("\xe0\x80\x9b", "???");      /* overlong C1 */
  expect("\xed\xa0\x80", "???");      /* a surrogate */
  expect("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
  expect(
      "\x9b"
      "31m",
      "?31m"); /* C1 as a byte */
}
END_TEST

START_TEST(cut_at_a_whole_character) {
  char text[8];
  cli_printable_copy(text, 6,
                     "ab\xe2\x82\xac"
                     "c");
  ck_assert_str_eq(text, "ab\xe2\x82\xac");
  cli_printable_copy(text, 5,
                     "ab\xe2\x82\xac"
                     "c");
  ck_assert_str_eq(text, "ab");
  cli_printable_copy(text, 4,
                     "ab\xe2\x80\xae"
                     "c");
  ck_assert_str_eq(text, "ab?");
  cli_printable_copy(text, 1, "ab");
  ck_assert_str_eq(text, "");
  cli_printable_copy(text, sizeof text, NULL);
  ck_assert_str_eq(text, "");
}
END_TEST

static void expect_next(const char *text, size_t bytes, uint32_t columns) {
  uint32_t got = 99;
  bool printable = false;
  ck_assert_uint_eq(cli_printable_next(text, &printable, &got), bytes);
  ck_assert(printable);
  ck_assert_uint_eq(got, columns);
}

static void expect_refused(const char *text, size_t bytes) {
  uint32_t columns;
  bool printable = true;
  ck_assert_uint_eq(cli_printable_next(text, &printable, &columns), bytes);
  ck_assert(!printable);
}

/* Unicode's East_Asian_Width (Wide and Fullwidth: 2) and General_Category (Mn, Me: 0). */
START_TEST(columns) {
  expect_next("az", 1, 1);
  expect_next("\xc3\xa9z", 2, 1);         /* e with acute */
  expect_next("\xd1\x8fz", 2, 1);         /* ya */
  expect_next("\xe1\x83\xbfz", 3, 1);     /* U+10FF */
  expect_next("\xe1\x84\x80z", 3, 2);     /* U+1100, Hangul */
  expect_next("\xe1\xba\xbfz", 3, 1);     /* e with circumflex and acute */
  expect_next("\xe2\x82\xacz", 3, 1);     /* euro */
  expect_next("\xe2\x96\x88z", 3, 1);     /* a block */
  expect_next("\xe3\x81\x82z", 3, 2);     /* a of Hiragana */
  expect_next("\xe7\x9f\xa9z", 3, 2);     /* an ideograph */
  expect_next("\xef\xbc\xa1z", 3, 2);     /* A, full width */
  expect_next("\xef\xbd\xb1z", 3, 1);     /* a of Katakana, half width */
  expect_next("\xf0\x90\x8d\x88z", 4, 1); /* hwair, Gothic */
  expect_next("\xf0\x9f\x98\x80z", 4, 2); /* a face */
  expect_next("\xcc\x81z", 2, 0);         /* combining acute */
  expect_next("\xd6\xbcz", 2, 0);         /* dagesh */
  expect_next("\xe2\x80\x8dz", 3, 0);     /* joiner */
  expect_next("\xef\xb8\x8fz", 3, 0);     /* variation selector */
  expect_next("\xf4\x8f\xbf\xbfz", 4, 2); /* no character: at most */
  expect_refused("\x1bz", 1);
  expect_refused("\xc2\x85z", 2);
  expect_refused("\xe2\x80\xaez", 3);
  expect_refused("\xffz", 1);
  expect_refused("\xf0\x9f\x98", 1);
}
END_TEST

int main(void) {
  return RUN_TESTS("printable", 60, what_stays, what_commands_a_terminal, what_nobody_sees,
                   what_turns_text_around, what_is_no_utf8, cut_at_a_whole_character, columns);
}
