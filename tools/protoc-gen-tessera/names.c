/* SPDX-License-Identifier: Apache-2.0
 *
 * No locale: the ctype of protobuf identifiers is ASCII.
 */
#include "names.h"

#include <string.h>

static bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
static bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
static char to_lower(char c) {
  return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}
static char to_upper(char c) {
  return is_lower(c) ? (char)(c - 'a' + 'A') : c;
}

/* No conversion below makes one character into more than five. */
static char *room_for(pool *memory, const char *name) {
  return pool_alloc(memory, strlen(name) + 1, 5);
}

/* ---- the message generators' rules ---- */

/* protoc-c joins the parts of a full name by "__" and drops empty parts. In a
 * struct's name each part loses its underscores and gains capitals after them. */
char *name_protobuf_c_struct(pool *memory, const char *full_name) {
  char *result = room_for(memory, full_name);
  if (!result) return NULL;
  char *out = result;
  bool capital = true;
  for (const char *in = full_name; *in; in++) {
    if (*in == '.') {
      capital = true;
      if (out > result && in[1] != '.' && in[1] != '\0') {
        *out++ = '_';
        *out++ = '_';
      }
    } else if (*in == '_') {
      capital = true;
    } else {
      *out++ = capital ? to_upper(*in) : *in;
      capital = false;
    }
  }
  return result;
}

/* An underscore comes before each capital that follows something else. */
char *name_protobuf_c_lower(pool *memory, const char *full_name) {
  char *result = room_for(memory, full_name);
  if (!result) return NULL;
  char *out = result;
  bool was_upper = true;
  for (const char *in = full_name; *in; in++) {
    if (*in == '.') {
      was_upper = true;
      if (out > result && in[1] != '.' && in[1] != '\0') {
        *out++ = '_';
        *out++ = '_';
      }
      continue;
    }
    if (is_upper(*in) && !was_upper) *out++ = '_';
    *out++ = to_lower(*in);
    was_upper = is_upper(*in);
  }
  return result;
}

char *name_nanopb(pool *memory, const char *full_name) {
  char *result = room_for(memory, full_name);
  if (!result) return NULL;
  char *out = result;
  for (const char *in = full_name; *in; in++)
    *out++ = *in == '.' ? '_' : *in;
  return result;
}

char *name_strip_proto(pool *memory, const char *path) {
  static const char *const endings[] = {".protodevel", ".proto"};
  size_t size = strlen(path);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t ending = strlen(endings[i]);
    if (size >= ending && strcmp(path + size - ending, endings[i]) == 0) {
      size -= ending;
      break;
    }
  }
  char *result = pool_alloc(memory, size + 1, 1);
  if (result) memcpy(result, path, size);
  return result;
}

/* ---- ours ---- */

char *name_symbol(pool *memory, const char *full_name) {
  char *result = room_for(memory, full_name);
  if (!result) return NULL;
  char *out = result;
  for (const char *in = full_name; *in; in++) {
    *out++ = *in == '.' ? '_' : *in;
    if (*in == '_') *out++ = '_';
  }
  return result;
}

char *name_path_symbol(pool *memory, const char *path) {
  static const char hex[] = "0123456789abcdef";
  char *stem = name_strip_proto(memory, path);
  char *result = stem ? room_for(memory, stem) : NULL;
  if (!result) return NULL;
  char *out = result;
  for (const char *in = stem; *in; in++) {
    unsigned char c = (unsigned char)*in;
    if (*in == '/') {
      *out++ = '_';
    } else if (*in == '_') {
      *out++ = '_';
      *out++ = '_';
    } else if (is_lower(*in) || is_upper(*in) || is_digit(*in)) {
      *out++ = *in;
    } else {
      *out++ = '_';
      *out++ = 'x';
      *out++ = hex[c >> 4];
      *out++ = hex[c & 15];
      *out++ = '_';
    }
  }
  return result;
}

/* A word begins at a capital after a small letter or a digit, and at the last
 * capital of a run of them when a small letter follows it. */
char *name_snake(pool *memory, const char *name) {
  char *result = room_for(memory, name);
  if (!result) return NULL;
  char *out = result;
  for (const char *in = name; *in; in++) {
    if (is_upper(*in) && in > name && in[-1] != '_') {
      bool after_small = is_lower(in[-1]) || is_digit(in[-1]);
      bool last_of_run = is_upper(in[-1]) && is_lower(in[1]);
      if (after_small || last_of_run) *out++ = '_';
    }
    *out++ = to_lower(*in);
  }
  return result;
}

char *name_snake_prefix(pool *memory, const char *package, const char *name) {
  char *last = name_snake(memory, name);
  if (!last || *package == '\0') return last;
  char *first = name_nanopb(memory, package);
  char *snake = first ? name_snake(memory, first) : NULL;
  return snake ? pool_printf(memory, "%s_%s", snake, last) : NULL;
}

/* ---- checks ---- */

bool name_is_reserved(const char *name) {
  static const char *const words[] = {
      /* C11 and C23 */
      "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
      "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
      "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
      "union", "unsigned", "void", "volatile", "while", "alignas", "alignof", "bool", "constexpr",
      "false", "nullptr", "static_assert", "thread_local", "true", "typeof", "typeof_unqual",
      /* C++20 */
      "and", "and_eq", "asm", "bitand", "bitor", "catch", "char8_t", "char16_t", "char32_t",
      "class", "co_await", "co_return", "co_yield", "compl", "concept", "consteval", "constinit",
      "const_cast", "decltype", "delete", "dynamic_cast", "explicit", "export", "friend", "mutable",
      "namespace", "new", "noexcept", "not", "not_eq", "operator", "or", "or_eq", "private",
      "protected", "public", "reinterpret_cast", "requires", "static_cast", "template", "this",
      "throw", "try", "typeid", "typename", "using", "virtual", "wchar_t", "xor", "xor_eq",
      /* macros without parameters in common headers and GNU dialects */
      "complex", "environ", "errno", "i386", "imaginary", "linux", "noreturn", "stderr", "stdin",
      "stdout", "unix"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(name, words[i]) == 0) return true;
  return false;
}

bool name_is_identifier(const char *name) {
  if (*name == '\0' || is_digit(*name)) return false;
  for (; *name; name++)
    if (!is_lower(*name) && !is_upper(*name) && !is_digit(*name) && *name != '_') return false;
  return true;
}

bool name_is_package(const char *name) {
  bool start = true;
  if (*name == '\0') return true;
  for (; *name; name++) {
    if (*name == '.') {
      if (start) return false;
      start = true;
      continue;
    }
    if (!is_lower(*name) && !is_upper(*name) && *name != '_' && (start || !is_digit(*name)))
      return false;
    start = false;
  }
  return !start;
}

bool name_is_path(const char *path) {
  if (*path == '\0' || *path == '/') return false;
  for (const char *c = path; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '"' || *c == '\\') return false;
  return true;
}
