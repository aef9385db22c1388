/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wasm_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/abi_table.h"
#include "wasm/abi.h"

enum { SECTION_TYPE = 1, SECTION_IMPORT = 2, SECTION_FUNCTION = 3, SECTION_MEMORY = 5 };
enum { SECTION_EXPORT = 7, SECTION_LAST = 12 };
enum { KIND_FUNCTION = 0, KIND_TABLE = 1, KIND_MEMORY = 2, KIND_GLOBAL = 3 };
enum { TYPE_F64 = 0x7c, TYPE_I32 = 0x7f };

#define MAX_SIGNATURE 16
#define MAX_PAGES 65536u

/* A signature as in abi_table.h; "?" for one that the ABI cannot have. */
typedef struct signature {
  char text[MAX_SIGNATURE];
} signature;

typedef struct reader {
  const uint8_t *at, *end;
  bool failed; /* read past the end, or nonsense: everything read since is 0 */
} reader;

typedef struct module_facts {
  signature *types;
  uint32_t type_count;
  uint32_t *functions; /* type of each function, imported ones first */
  uint32_t function_count;
  bool has_memory;
  uint32_t memory_min, memory_max; /* pages */
  size_t memory_at, memory_end;    /* the memory section, header included, in the file */
  bool exported[TESS_EXPORT_COUNT];
  bool memory_exported;
} module_facts;

static uint8_t read_byte(reader *r) {
  if (r->failed || r->at == r->end) {
    r->failed = true;
    return 0;
  }
  return *r->at++;
}

/* Unsigned LEB128 of at most 32 bits. */
static uint32_t read_u32(reader *r) {
  uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    uint8_t byte = read_byte(r);
    if (shift == 28 && byte > 0x0f) break;
    value |= (uint32_t)(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  r->failed = true;
  return 0;
}

static reader read_part(reader *r, uint32_t size) {
  reader part = {r->at, r->at, r->failed};
  if (r->failed || (size_t)(r->end - r->at) < size) {
    r->failed = part.failed = true;
    return part;
  }
  part.end = r->at += size;
  return part;
}

static tess_slice read_name(reader *r) {
  uint32_t size = read_u32(r);
  reader name = read_part(r, size);
  return (tess_slice){name.at, name.failed ? 0 : size};
}

static bool name_is(tess_slice name, const char *text) {
  return name.size == strlen(text) && memcmp(name.data, text, name.size) == 0;
}

/* For messages: names come from the file. */
static void printable(tess_slice name, char out[64]) {
  size_t size = name.size < 60 ? name.size : 60;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = ((const uint8_t *)name.data)[i];
    out[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
  }
  out[size] = '\0';
}

/* A count of things that take at least one byte each: never more than are left. */
static uint32_t read_count(reader *r) {
  uint32_t count = read_u32(r);
  if (!r->failed && count > (size_t)(r->end - r->at)) r->failed = true;
  return r->failed ? 0 : count;
}

static char type_letter(uint8_t type) {
  return (char)(type == TYPE_I32 ? 'i' : type == TYPE_F64 ? 'd' : '?');
}

static signature read_signature(reader *r) {
  signature result = {"?"};
  if (read_byte(r) != 0x60) r->failed = true;
  uint32_t parameters = read_count(r);
  char text[MAX_SIGNATURE] = {'v'};
  bool known = parameters < MAX_SIGNATURE - 1;
  for (uint32_t i = 0; i < parameters; i++) {
    char letter = type_letter(read_byte(r));
    if (known) text[1 + i] = letter;
  }
  uint32_t results = read_count(r);
  for (uint32_t i = 0; i < results; i++)
    text[0] = type_letter(read_byte(r));
  if (known && results <= 1) memcpy(result.text, text, sizeof text);
  return result;
}

static tess_code out_of_memory(tess_status *status) {
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory to read the module");
}

static tess_code read_types(reader *r, module_facts *facts, tess_status *status) {
  uint32_t count = read_count(r);
  facts->types = calloc((size_t)count + 1, sizeof *facts->types);
  if (facts->types == NULL) return out_of_memory(status);
  while (facts->type_count < count && !r->failed) {
    facts->types[facts->type_count++] = read_signature(r);
  }
  return TESS_OK;
}

static void read_limits(reader *r, uint32_t *min, uint32_t *max) {
  uint8_t flags = read_byte(r);
  if (flags > 1) r->failed = true; /* shared or 64-bit memories are not for this host */
  *min = read_u32(r);
  *max = flags == 1 ? read_u32(r) : MAX_PAGES;
}

static const char *signature_of(const module_facts *facts, uint32_t function) {
  if (function >= facts->function_count) return "?";
  uint32_t type = facts->functions[function];
  return type < facts->type_count ? facts->types[type].text : "?";
}

static tess_code add_functions(module_facts *facts, uint32_t count, tess_status *status) {
  size_t room = ((size_t)facts->function_count + count + 1) * sizeof *facts->functions;
  uint32_t *functions = realloc(facts->functions, room);
  if (functions == NULL) return out_of_memory(status);
  facts->functions = functions;
  return TESS_OK;
}

static tess_code read_imports(reader *r, module_facts *facts, tess_status *status) {
  uint32_t count = read_count(r);
  if (add_functions(facts, count, status) != TESS_OK) return TESS_RESOURCE_EXHAUSTED;
  for (uint32_t i = 0; i < count && !r->failed; i++) {
    tess_slice from = read_name(r);
    tess_slice name = read_name(r);
    uint8_t kind = read_byte(r);
    char text[64], from_text[64];
    printable(from, from_text);
    printable(name, text);
    if (r->failed) break;
    if (kind != KIND_FUNCTION) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT,
                             "the module imports %s.%s, which is no function of this host",
                             from_text, text);
    }
    uint32_t type = read_u32(r);
    const tess_abi_function *known = NULL;
    for (size_t k = 0; k < TESS_IMPORT_COUNT && name_is(from, TESS_ABI_MODULE); k++) {
      if (name_is(name, tess_abi_imports[k].name)) known = &tess_abi_imports[k];
    }
    if (known == NULL || type >= facts->type_count ||
        strcmp(facts->types[type].text, known->signature) != 0) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT,
                             "the module imports %s.%s, which this host does not have%s", from_text,
                             text, known == NULL ? "" : " with that type");
    }
    facts->functions[facts->function_count++] = type;
  }
  return TESS_OK;
}

static tess_code read_functions(reader *r, module_facts *facts, tess_status *status) {
  uint32_t count = read_count(r);
  if (add_functions(facts, count, status) != TESS_OK) return TESS_RESOURCE_EXHAUSTED;
  for (uint32_t i = 0; i < count && !r->failed; i++) {
    facts->functions[facts->function_count++] = read_u32(r);
  }
  return TESS_OK;
}

static void read_memory(reader *r, module_facts *facts) {
  uint32_t count = read_count(r);
  if (count > 1) r->failed = true;
  if (count == 1) read_limits(r, &facts->memory_min, &facts->memory_max);
  facts->has_memory = count == 1;
}

static tess_code read_exports(reader *r, module_facts *facts, tess_status *status) {
  uint32_t count = read_count(r);
  for (uint32_t i = 0; i < count && !r->failed; i++) {
    tess_slice name = read_name(r);
    uint8_t kind = read_byte(r);
    uint32_t index = read_u32(r);
    if (r->failed) break;
    if (kind == KIND_MEMORY && name_is(name, "memory")) facts->memory_exported = true;
    for (size_t k = 0; k < TESS_EXPORT_COUNT; k++) {
      const tess_abi_function *wanted = &tess_abi_exports[k];
      if (!name_is(name, wanted->name)) continue;
      if (kind != KIND_FUNCTION || strcmp(signature_of(facts, index), wanted->signature) != 0) {
        return tess_status_set(status, TESS_INVALID_ARGUMENT,
                               "the module's export '%s' is not of the type that the host calls",
                               wanted->name);
      }
      facts->exported[k] = true;
    }
  }
  return TESS_OK;
}

/* Walks the sections. Custom ones (0) may stand anywhere; of the others only
 * those read here matter, and those come in ascending order. */
static tess_code read_sections(tess_slice file, module_facts *facts, tess_status *status) {
  const uint8_t *start = file.data;
  reader r = {start + 8, start + file.size, false};
  uint8_t last = 0;
  while (r.at < r.end && !r.failed) {
    size_t section_at = (size_t)(r.at - start);
    uint8_t id = read_byte(&r);
    reader part = read_part(&r, read_u32(&r));
    if (r.failed || id > SECTION_LAST) break;
    if (id <= SECTION_EXPORT && id != 0) {
      if (id <= last) { /* twice, or out of order */
        r.failed = true;
        break;
      }
      last = id;
    }
    tess_code code = TESS_OK;
    bool whole = true; /* this section was read to its end */
    switch (id) {
      case SECTION_TYPE:
        code = read_types(&part, facts, status);
        break;
      case SECTION_IMPORT:
        code = read_imports(&part, facts, status);
        break;
      case SECTION_FUNCTION:
        code = read_functions(&part, facts, status);
        break;
      case SECTION_EXPORT:
        code = read_exports(&part, facts, status);
        break;
      case SECTION_MEMORY:
        facts->memory_at = section_at;
        facts->memory_end = (size_t)(r.at - start);
        read_memory(&part, facts);
        break;
      default:
        whole = false;
        break;
    }
    if (code != TESS_OK) return code;
    if (part.failed || (whole && part.at != part.end)) r.failed = true;
  }
  if (r.failed || r.at != r.end) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "the module's file is damaged");
  }
  return TESS_OK;
}

static tess_code check_exports(const module_facts *facts, tess_status *status) {
  for (size_t k = 0; k < TESS_EXPORT_REQUIRED; k++) {
    if (facts->exported[k]) continue;
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "the module lacks the export '%s'",
                           tess_abi_exports[k].name);
  }
  if (!facts->has_memory || !facts->memory_exported) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "the module lacks the export 'memory'");
  }
  return TESS_OK;
}

/* Always five bytes, so that the size of the new section is known. */
static void write_u32(uint8_t **at, uint32_t value) {
  for (int i = 0; i < 5; i++, value >>= 7) {
    *(*at)++ = (uint8_t)((value & 0x7f) | (i < 4 ? 0x80 : 0));
  }
}

/* The file with its memory section replaced by { min, max }. */
static tess_code write_capped(tess_slice file, const module_facts *facts, uint32_t max_pages,
                              uint8_t **module, size_t *module_size, tess_status *status) {
  enum { BODY = 1 + 1 + 5 + 5, SECTION = 1 + 5 + BODY };
  size_t rest = file.size - facts->memory_end;
  uint8_t *out = malloc(facts->memory_at + SECTION + rest);
  if (out == NULL) return out_of_memory(status);
  memcpy(out, file.data, facts->memory_at);
  uint8_t *at = out + facts->memory_at;
  *at++ = SECTION_MEMORY;
  write_u32(&at, BODY);
  *at++ = 1; /* one memory */
  *at++ = 1; /* with a maximum */
  write_u32(&at, facts->memory_min);
  write_u32(&at, max_pages);
  memcpy(at, (const uint8_t *)file.data + facts->memory_end, rest);
  *module = out;
  *module_size = facts->memory_at + SECTION + rest;
  return TESS_OK;
}

tess_code tess_wasm_file_check(tess_slice file, uint64_t memory_limit, uint8_t **module,
                               size_t *module_size, tess_status *status) {
  static const uint8_t magic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  *module = NULL;
  *module_size = 0;
  if (file.size < sizeof magic || memcmp(file.data, magic, sizeof magic) != 0) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "not a WebAssembly module");
  }
  module_facts facts = {0};
  tess_code code = read_sections(file, &facts, status);
  if (code == TESS_OK) code = check_exports(&facts, status);
  if (code == TESS_OK) {
    uint32_t max_pages = facts.memory_max < MAX_PAGES ? facts.memory_max : MAX_PAGES;
    uint64_t limit_pages = memory_limit / TESS_WASM_PAGE_BYTES;
    if (memory_limit != 0 && limit_pages < max_pages) max_pages = (uint32_t)limit_pages;
    if (facts.memory_min > max_pages) {
      code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                             "the module needs %llu bytes of memory to start, over the limit",
                             (unsigned long long)facts.memory_min * TESS_WASM_PAGE_BYTES);
    } else {
      code = write_capped(file, &facts, max_pages, module, module_size, status);
    }
  }
  free(facts.types);
  free(facts.functions);
  return code;
}
