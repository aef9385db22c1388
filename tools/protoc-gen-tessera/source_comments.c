/* SPDX-License-Identifier: Apache-2.0 */
#include "source_comments.h"

#include <string.h>

const char *source_comment(const Google__Protobuf__SourceCodeInfo *info, const int32_t *path,
                           size_t path_size) {
  for (size_t i = 0; info && i < info->n_location; i++) {
    const Google__Protobuf__SourceCodeInfo__Location *location = info->location[i];
    if (location->n_path != path_size ||
        memcmp(location->path, path, path_size * sizeof *path) != 0)
      continue;
    return location->leading_comments ? location->leading_comments : location->trailing_comments;
  }
  return NULL;
}

/* Characters that reorder what a reader sees (compilers warn of them):
 * U+200E, U+200F, U+202A..U+202E, U+2066..U+2069. */
static bool is_direction_mark(const unsigned char *c) {
  if (c[0] != 0xe2) return false;
  if (c[1] == 0x80) return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae);
  return c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
}

static void write_line(text *out, const char *line, size_t size) {
  while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t' || line[size - 1] == '\r'))
    size--;
  char previous = '\0';
  for (size_t i = 0; i < size; i++) {
    char c = line[i];
    if (size - i >= 3 && is_direction_mark((const unsigned char *)line + i)) {
      text_add(out, "?");
      previous = '?';
      i += 2;
      continue;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f) c = ' ';
    if ((previous == '*' && c == '/') || (previous == '/' && c == '*')) text_add(out, " ");
    text_add_bytes(out, &c, 1);
    previous = c;
  }
  /* A backslash at the end, or its trigraph, would join two lines. */
  bool backslash = size > 0 && line[size - 1] == '\\';
  bool trigraph = size >= 3 && memcmp(line + size - 3, "?\?/", 3) == 0;
  if (backslash || trigraph) text_add(out, " .");
}

static bool is_blank(const char *comment) {
  return comment[strspn(comment, " \t\r\n")] == '\0';
}

/* Lines of `comment` without the one space that follows "//" in a .proto. The
 * last line is left open. *lines counts those written. */
static void write_lines(text *out, const char *indent, const char *comment, size_t *lines) {
  size_t length = strlen(comment);
  while (length > 0 && strchr(" \t\r\n", comment[length - 1]))
    length--;
  const char *end = comment + length;
  for (const char *line = comment; line < end;) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    const char *stop = newline ? newline : end;
    const char *start = line < stop && *line == ' ' ? line + 1 : line;
    bool blank = (size_t)(stop - start) == strspn(start, " \t\r");
    if (!blank || *lines > 0) {
      text_addf(out, "%s%s%s", *lines > 0 ? "\n" : "", indent, *lines > 0 ? " *" : "/*");
      if (!blank) {
        text_add(out, " ");
        write_line(out, start, (size_t)(stop - start));
      }
      (*lines)++;
    }
    line = newline ? newline + 1 : end;
  }
}

void source_comment_write(text *out, const char *indent, const char *comment, const char *more) {
  size_t lines = 0;
  if (comment && !is_blank(comment)) write_lines(out, indent, comment, &lines);
  if (more) {
    if (lines > 0) text_addf(out, "\n%s *", indent);
    write_lines(out, indent, more, &lines);
  }
  if (lines > 0) text_add(out, " */\n");
}
