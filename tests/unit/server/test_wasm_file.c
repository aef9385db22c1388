/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules written byte by byte, so that each can be wrong in one place.
 */
#include "server/wasm_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/abi_table.h"
#include "tests/unit/run_case.h"

typedef struct file {
  uint8_t bytes[4096];
  size_t size;
} file;

static void put(file *f, const void *bytes, size_t size) {
  memcpy(f->bytes + f->size, bytes, size);
  f->size += size;
}
static void byte(file *f, unsigned value) {
  f->bytes[f->size++] = (uint8_t)value;
}
static void name(file *f, const char *text) {
  byte(f, (unsigned)strlen(text));
  put(f, text, strlen(text));
}
/* Sizes of up to 14 bits. */
static void section(file *f, unsigned id, const file *content) {
  byte(f, id);
  byte(f, (content->size & 0x7f) | 0x80);
  byte(f, (unsigned)(content->size >> 7));
  put(f, content->bytes, content->size);
}

/* What to do wrong. */
typedef struct wrong {
  const char *lacks;         /* an export */
  const char *other_type;    /* an export with the type of the first import */
  const char *import;        /* a further import of this name from "tessera" */
  const char *import_module; /* ... or from there */
  bool import_memory, no_memory, no_max, memory64, second_memory;
  unsigned min_pages, max_pages; /* 0: 2 and 100 */
} wrong;

static unsigned letter(char c) {
  return c == 'd' ? 0x7c : 0x7f;
}

/* One type for each function of the ABI: imports first. */
static void write_types(file *f) {
  file content = {.size = 0};
  byte(&content, TESS_IMPORT_COUNT + TESS_EXPORT_REQUIRED);
  for (unsigned i = 0; i < TESS_IMPORT_COUNT + TESS_EXPORT_REQUIRED; i++) {
    const char *signature = i < TESS_IMPORT_COUNT
                                ? tess_abi_imports[i].signature
                                : tess_abi_exports[i - TESS_IMPORT_COUNT].signature;
    byte(&content, 0x60);
    byte(&content, (unsigned)strlen(signature) - 1);
    for (size_t k = 1; signature[k] != '\0'; k++)
      byte(&content, letter(signature[k]));
    byte(&content, signature[0] != 'v');
    if (signature[0] != 'v') byte(&content, letter(signature[0]));
  }
  section(f, 1, &content);
}

static unsigned write_imports(file *f, const wrong *w) {
  file content = {.size = 0};
  bool more = w->import != NULL || w->import_memory;
  byte(&content, TESS_IMPORT_COUNT + more);
  for (unsigned i = 0; i < TESS_IMPORT_COUNT; i++) {
    name(&content, "tessera");
    name(&content, tess_abi_imports[i].name);
    byte(&content, 0);
    byte(&content, i);
  }
  if (w->import != NULL) {
    name(&content, w->import_module != NULL ? w->import_module : "tessera");
    name(&content, w->import);
    byte(&content, 0);
    byte(&content, 1);
  } else if (w->import_memory) {
    name(&content, "tessera");
    name(&content, "memory");
    put(&content, "\x02\x00\x01", 3);
  }
  section(f, 2, &content);
  return TESS_IMPORT_COUNT + (w->import != NULL);
}

static void write_memory(file *f, const wrong *w) {
  file content = {.size = 0};
  byte(&content, 1 + w->second_memory);
  for (int i = 0; i <= w->second_memory; i++) {
    byte(&content, w->memory64 ? 4 : w->no_max ? 0 : 1);
    byte(&content, w->min_pages != 0 ? w->min_pages : 2);
    if (!w->no_max) byte(&content, w->max_pages != 0 ? w->max_pages : 100);
  }
  if (!w->no_memory) section(f, 5, &content);
}

static void write_exports(file *f, const wrong *w, unsigned first) {
  file content = {.size = 0};
  byte(&content, TESS_EXPORT_REQUIRED + 1 - (w->lacks != NULL));
  if (w->lacks == NULL || strcmp(w->lacks, "memory") != 0) {
    name(&content, "memory");
    byte(&content, 2);
    byte(&content, 0);
  }
  for (unsigned i = 0; i < TESS_EXPORT_REQUIRED; i++) {
    const char *export = tess_abi_exports[i].name;
    if (w->lacks != NULL && strcmp(w->lacks, export) == 0) continue;
    name(&content, export);
    byte(&content, 0);
    byte(&content, w->other_type != NULL && strcmp(w->other_type, export) == 0 ? 0 : first + i);
  }
  section(f, 7, &content);
}

static file make(wrong w) {
  file f = {.size = 0};
  put(&f, "\0asm\1\0\0\0", 8);
  write_types(&f);
  unsigned first = write_imports(&f, &w);
  file content = {.size = 0};
  byte(&content, TESS_EXPORT_REQUIRED);
  for (unsigned i = 0; i < TESS_EXPORT_REQUIRED; i++)
    byte(&content, TESS_IMPORT_COUNT + i);
  section(&f, 3, &content);
  write_memory(&f, &w);
  write_exports(&f, &w, first);
  content = (file){.size = 0};
  name(&content, "a custom section");
  section(&f, 0, &content);
  return f;
}

static tess_code check(const file *f, uint64_t limit, file *out, tess_status *status) {
  uint8_t *module = NULL;
  size_t size = 0;
  tess_code code =
      tess_wasm_file_check((tess_slice){f->bytes, f->size}, limit, &module, &size, status);
  ck_assert((code == TESS_OK) == (module != NULL));
  if (out != NULL) {
    ck_assert_uint_le(size, sizeof out->bytes);
    memcpy(out->bytes, module, size);
    out->size = size;
  }
  free(module);
  return code;
}

static void expect(wrong w, uint64_t limit, tess_code code, const char *words) {
  tess_status status = TESS_STATUS_INIT;
  file f = make(w);
  ck_assert_int_eq(check(&f, limit, NULL, &status), code);
  ck_assert_msg(strstr(status.message, words) != NULL, "'%s' lacks '%s'", status.message, words);
  tess_status_cleanup(&status);
}

/* { 1 memory, with maximum, min, max }, numbers of five bytes each */
static uint32_t five_bytes(const uint8_t *at) {
  uint32_t value = 0;
  for (int i = 0; i < 5; i++)
    value |= (uint32_t)(at[i] & 0x7f) << (7 * i);
  return value;
}

static void expect_pages(wrong w, uint64_t limit, uint32_t min, uint32_t max) {
  file f = make(w), out = {.size = 0};
  tess_status status = TESS_STATUS_INIT;
  ck_assert_msg(check(&f, limit, &out, &status) == TESS_OK, "%s", status.message);
  static const uint8_t head[] = {5, 0x8c, 0x80, 0x80, 0x80, 0, 1, 1};
  const uint8_t *memory = out.bytes + 8;
  while (memory < out.bytes + out.size - 18 && memcmp(memory, head, 8) != 0)
    memory++;
  ck_assert_int_eq(memcmp(memory, head, 8), 0);
  ck_assert_uint_eq(five_bytes(memory + 8), min);
  ck_assert_uint_eq(five_bytes(memory + 13), max);
  /* Everything else is as it was, and a second look finds nothing wrong. */
  ck_assert_int_eq(memcmp(out.bytes + out.size - 18, f.bytes + f.size - 18, 18), 0);
  ck_assert_int_eq(check(&out, 0, NULL, &status), TESS_OK);
}

START_TEST(memory_is_capped) {
  expect_pages((wrong){0}, 0, 2, 100);
  expect_pages((wrong){0}, 64 * 65536, 2, 64);
  expect_pages((wrong){0}, 65 * 65536 - 1, 2, 64);
  expect_pages((wrong){0}, 1000 * 65536, 2, 100);
  expect_pages((wrong){.no_max = true}, 0, 2, 65536);
  expect_pages((wrong){.no_max = true}, 10 * 65536, 2, 10);
  expect((wrong){.min_pages = 20}, 19 * 65536, TESS_RESOURCE_EXHAUSTED, "needs 1310720 bytes");
}
END_TEST

START_TEST(every_export_is_needed) {
  char words[64];
  for (unsigned i = 0; i < TESS_EXPORT_REQUIRED; i++) {
    snprintf(words, sizeof words, "lacks the export '%s'", tess_abi_exports[i].name);
    expect((wrong){.lacks = tess_abi_exports[i].name}, 0, TESS_INVALID_ARGUMENT, words);
    if (i == TESS_EXPORT_ABI_VERSION) continue;
    expect((wrong){.other_type = tess_abi_exports[i].name}, 0, TESS_INVALID_ARGUMENT,
           "not of the type");
  }
  expect((wrong){.lacks = "memory"}, 0, TESS_INVALID_ARGUMENT, "lacks the export 'memory'");
}
END_TEST

START_TEST(foreign_imports_are_refused) {
  expect((wrong){.import = "open_file"}, 0, TESS_INVALID_ARGUMENT, "imports tessera.open_file");
  expect((wrong){.import = "fd_write", .import_module = "wasi_snapshot_preview1"}, 0,
         TESS_INVALID_ARGUMENT, "imports wasi_snapshot_preview1.fd_write");
  expect((wrong){.import = "now_ms"}, 0, TESS_INVALID_ARGUMENT, "with that type");
  expect((wrong){.import_memory = true}, 0, TESS_INVALID_ARGUMENT, "imports tessera.memory");
}
END_TEST

START_TEST(memories_that_this_host_cannot_have) {
  expect((wrong){.no_memory = true}, 0, TESS_INVALID_ARGUMENT, "memory");
  expect((wrong){.memory64 = true}, 0, TESS_INVALID_ARGUMENT, "damaged");
  expect((wrong){.second_memory = true}, 0, TESS_INVALID_ARGUMENT, "damaged");
}
END_TEST

START_TEST(no_module_at_all) {
  static const char *const texts[] = {"", "\0asm", "#!/bin/sh\necho hello\n", "\0asm\2\0\0\0"};
  static const size_t sizes[] = {0, 4, 21, 8};
  for (int i = 0; i < 4; i++) {
    tess_status status = TESS_STATUS_INIT;
    uint8_t *module;
    size_t size;
    ck_assert_int_eq(
        tess_wasm_file_check((tess_slice){texts[i], sizes[i]}, 0, &module, &size, &status),
        TESS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message, "not a WebAssembly module");
    tess_status_cleanup(&status);
  }
}
END_TEST

/* Cut anywhere, and with any one byte changed: an answer, never a crash. (Under
 * the sanitizers this is what counts.) */
START_TEST(damage_of_every_byte) {
  file whole = make((wrong){0});
  for (size_t size = 0; size < whole.size; size++) {
    file *cut = malloc(sizeof *cut);
    memcpy(cut->bytes, whole.bytes, size);
    cut->size = size;
    uint8_t *exact = malloc(size + 1); /* reads past the end are seen */
    memcpy(exact, whole.bytes, size);
    uint8_t *module = NULL;
    size_t module_size;
    tess_code code =
        tess_wasm_file_check((tess_slice){exact, size}, 0, &module, &module_size, NULL);
    /* Without its last custom section it is still a module. */
    ck_assert(code != TESS_OK || size >= whole.size - 20);
    free(module);
    free(exact);
    free(cut);
  }
  for (size_t at = 0; at < whole.size; at++) {
    for (unsigned value = 0; value < 256; value += 5) {
      file changed = whole;
      changed.bytes[at] = (uint8_t)value;
      check(&changed, 10 * 65536, NULL, NULL);
    }
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("wasm_file", 60, memory_is_capped, every_export_is_needed,
                   foreign_imports_are_refused, memories_that_this_host_cannot_have,
                   no_module_at_all, damage_of_every_byte);
}
