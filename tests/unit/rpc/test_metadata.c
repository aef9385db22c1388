/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/metadata.h"

#include <string.h>

START_TEST(order_and_repeats) {
  tess_metadata m;
  tess_metadata_init(&m, NULL, 0);
  for (int i = 0; i < 40; i++) { /* the array grows */
    char value[2] = {(char)('a' + i % 26), 0};
    ck_assert_int_eq(tess_metadata_add(&m, i % 2 ? "X-Odd" : "x-even", value), TESS_OK);
  }
  ck_assert_uint_eq(m.count, 40);
  ck_assert_str_eq(tess_metadata_get(&m, "X-EVEN"), "a");
  ck_assert_str_eq(m.entries[1].name, "x-odd");
  size_t found = 0;
  const tess_metadata_entry *entry = tess_metadata_find(&m, "x-odd", 0);
  for (; entry != NULL; entry = tess_metadata_find(&m, "x-odd", (size_t)(entry - m.entries) + 1))
    found++;
  ck_assert_uint_eq(found, 20);
  ck_assert_ptr_null(tess_metadata_get(&m, "x-od"));
  ck_assert_ptr_null(tess_metadata_get(&m, "x-odd2"));
  tess_metadata_clear(&m);
  ck_assert_uint_eq(m.count, 0);
  ck_assert_int_eq(tess_metadata_add(&m, "a", ""), TESS_OK);
  tess_metadata_cleanup(&m);
}
END_TEST

START_TEST(what_is_refused) {
  tess_metadata m;
  tess_metadata_init(&m, NULL, 0);
  static const char *const names[] = {"", "a b", "a:b", "a\n", "\xc3\xa9", "(a)", "a\x7f"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_int_eq(tess_metadata_add(&m, names[i], "v"), TESS_INVALID_ARGUMENT);
  static const char *const values[] = {"a\r\nb: c", "\n", "\x01", "\x7f"};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    ck_assert_int_eq(tess_metadata_add(&m, "a", values[i]), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_metadata_add_n(&m, "a", 1, "x\0y", 3), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_metadata_add(&m, "a", "tab\tand \xc3\xa9"), TESS_OK);
  ck_assert_uint_eq(m.count, 1);
  tess_metadata_cleanup(&m);
}
END_TEST

START_TEST(limit) {
  tess_metadata m, other;
  tess_metadata_init(&m, NULL, 10);
  tess_metadata_init(&other, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&m, "abc", "de"), TESS_OK);
  ck_assert_int_eq(tess_metadata_add(&m, "abc", "def"), TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(tess_metadata_add(&m, "abc", "de"), TESS_OK);
  ck_assert_int_eq(tess_metadata_add(&m, "a", ""), TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(tess_metadata_append(&other, &m), TESS_OK);
  ck_assert_uint_eq(other.count, 2);
  ck_assert_int_eq(tess_metadata_append(&m, &other), TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(tess__metadata_append_prefixed(&other, "trailer-", &m), TESS_OK);
  ck_assert_str_eq(tess_metadata_get(&other, "trailer-abc"), "de");
  tess_metadata_cleanup(&m);
  tess_metadata_cleanup(&other);
}
END_TEST

START_TEST(binary) {
  tess_metadata m;
  tess_arena arena;
  tess_slice bytes;
  tess_metadata_init(&m, NULL, 0);
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(tess_metadata_add_binary(&m, "X-Bin", "\0\xff", 2), TESS_OK);
  ck_assert_str_eq(tess_metadata_get(&m, "x-bin"), "AP8");
  ck_assert_int_eq(tess_metadata_decode_binary(&m.entries[0], &arena, &bytes), TESS_OK);
  ck_assert_uint_eq(bytes.size, 2);
  ck_assert_mem_eq(bytes.data, "\0\xff", 2);
  ck_assert_int_eq(tess_metadata_add_binary(&m, "x-text", "a", 1), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_metadata_add(&m, "y-bin", "AP8="), TESS_OK);
  ck_assert_int_eq(tess_metadata_decode_binary(&m.entries[1], &arena, &bytes), TESS_OK);
  ck_assert_uint_eq(bytes.size, 2);
  ck_assert_int_eq(tess_metadata_add(&m, "z-bin", "!"), TESS_OK);
  ck_assert_int_eq(tess_metadata_decode_binary(&m.entries[2], &arena, &bytes),
                   TESS_INVALID_ARGUMENT);
  tess_arena_cleanup(&arena);
  tess_metadata_cleanup(&m);
}
END_TEST

/* Values of bytes that somebody joined, as fetch() and proxies do, are several again; of
 * text they are one, since text may hold commas. */
START_TEST(joined_values) {
  static const struct {
    const char *name, *value;
    size_t count;
    const char *values[4];
  } cases[] = {
      {"A-Bin", "AP8,AQ==", 2, {"AP8", "AQ=="}},
      {"a-bin", "AP8, AQ \t,\t Ag", 3, {"AP8", "AQ", "Ag"}},
      {"a-bin", " AP8 ", 1, {"AP8"}},
      {"a-bin", "", 1, {""}},
      {"a-bin", ",AQ,", 3, {"", "AQ", ""}}, /* no bytes are a value, too */
      {"a", "AP8, AQ", 1, {"AP8, AQ"}},
      {"-bin", "AP8,AQ", 1, {"AP8,AQ"}},
      {"a-bin2", " a,b ", 1, {" a,b "}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_metadata m, copy;
    tess_metadata_init(&m, NULL, 0);
    tess_metadata_init(&copy, NULL, 0);
    ck_assert_int_eq(tess_metadata_add(&m, "x", "y"), TESS_OK);
    ck_assert_int_eq(tess_metadata_add(&m, cases[i].name, cases[i].value), TESS_OK);
    ck_assert_int_eq(tess_metadata_append(&copy, &m), TESS_OK);
    ck_assert_uint_eq(m.count, 1 + cases[i].count);
    ck_assert_uint_eq(copy.count, m.count);
    for (size_t k = 0; k < cases[i].count; k++) {
      const tess_metadata_entry *entry = &m.entries[1 + k];
      ck_assert(tess__ascii_equal(cases[i].name, strlen(cases[i].name), entry->name));
      ck_assert_str_eq(entry->value, cases[i].values[k]);
      ck_assert_uint_eq(entry->value_size, strlen(entry->value));
      ck_assert_str_eq(copy.entries[1 + k].value, cases[i].values[k]);
    }
    tess_metadata_cleanup(&m);
    tess_metadata_cleanup(&copy);
  }
  /* Headers that a server was lent are as they came: they are cut when they are kept. */
  tess_metadata_entry lent = {"b-bin", "AP8,AQ", 6};
  tess_metadata m, request = {.entries = &lent, .count = 1};
  tess_metadata_init(&m, NULL, 0);
  ck_assert_int_eq(tess_metadata_append(&m, &request), TESS_OK);
  ck_assert_uint_eq(m.count, 2);
  ck_assert_str_eq(m.entries[0].value, "AP8");
  ck_assert_str_eq(m.entries[1].value, "AQ");
  tess_metadata_cleanup(&m);
}
END_TEST

/* As many names as came together count, and all values are added or none is. */
START_TEST(joined_values_and_the_limit) {
  for (size_t most = 0; most < 40; most++) {
    tess_metadata m;
    tess_metadata_init(&m, NULL, 3 + most);
    ck_assert_int_eq(tess_metadata_add(&m, "ab", "c"), TESS_OK);
    bool fits = most >= 5 + 8 + 5 + 5; /* the values with their commas */
    ck_assert_int_eq(tess_metadata_add(&m, "x-bin", "AA,BB,CC"),
                     fits ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(m.count, fits ? 4 : 1);
    ck_assert_uint_eq(m.bytes, fits ? 26 : 3);
    ck_assert_str_eq(tess_metadata_get(&m, "ab"), "c");
    tess_metadata_cleanup(&m);
  }
}
END_TEST

/* A header of commas alone must not become an entry for each. */
START_TEST(joined_values_are_bounded) {
  char value[2 * 65];
  memset(value, ',', sizeof value);
  for (size_t i = 0; i < sizeof value; i += 2)
    value[i] = 'A';
  for (size_t count = 63; count <= 65; count++) {
    tess_metadata m;
    tess_metadata_init(&m, NULL, 0);
    bool fits = count <= 64;
    ck_assert_int_eq(tess_metadata_add_n(&m, "x-bin", 5, value, 2 * count - 1),
                     fits ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(m.count, fits ? count : 0);
    ck_assert_int_eq(tess_metadata_add_n(&m, "x", 1, value, 2 * count - 1), TESS_OK);
    tess_metadata_cleanup(&m);
  }
}
END_TEST

START_TEST(lines) {
  static const struct {
    const char *line;
    tess_code code;
    const char *name, *value;
  } cases[] = {
      {"A: b", TESS_OK, "a", "b"},
      {"a:b:c ", TESS_OK, "a", "b:c"},
      {"a: \t b \t ", TESS_OK, "a", "b"},
      {"a:", TESS_OK, "a", ""},
      {"a: \t", TESS_OK, "a", ""},
      {"a", TESS_INVALID_ARGUMENT, NULL, NULL},
      {"", TESS_INVALID_ARGUMENT, NULL, NULL},
      {":b", TESS_INVALID_ARGUMENT, NULL, NULL},
      {"a : b", TESS_INVALID_ARGUMENT, NULL, NULL},
      {"a: b\r", TESS_INVALID_ARGUMENT, NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_metadata m;
    tess_metadata_init(&m, NULL, 0);
    ck_assert_int_eq(tess__metadata_add_line(&m, cases[i].line, strlen(cases[i].line)),
                     cases[i].code);
    ck_assert_uint_eq(m.count, cases[i].code == TESS_OK);
    if (m.count == 1) {
      ck_assert_str_eq(m.entries[0].name, cases[i].name);
      ck_assert_str_eq(m.entries[0].value, cases[i].value);
    }
    tess_metadata_cleanup(&m);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("metadata", 60, order_and_repeats, what_is_refused, limit, binary, joined_values,
                   joined_values_and_the_limit, joined_values_are_bounded, lines);
}
