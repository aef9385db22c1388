/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* wcwidth */
#include "cli/printable.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wchar.h>

#include "rpc/utf8.h"

static const struct {
  uint32_t first, last;
} unprintable[] = {
    /* C0, DEL and C1; Arabic letter mark */
    {0x00, 0x1f},
    {0x7f, 0x9f},
    {0x61c, 0x61c},
    /* nothing to see: a name with them looks like another */
    {0x200b, 0x200b},
    {0x2060, 0x2064},
    {0xfeff, 0xfeff},
    {0xe0000, 0xe007f},
    /* marks, separators, embeddings, isolates */
    {0x200e, 0x200f},
    {0x2028, 0x202e},
    {0x2066, 0x206f},
};

static uint32_t point_of(const char *text, size_t bytes) {
  const unsigned char *s = (const unsigned char *)text;
  if (bytes == 1) return s[0];
  uint32_t point = s[0] & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; i++)
    point = point << 6 | (s[i] & 0x3fu);
  return point;
}

static locale_t utf8; /* 0: there is none */

static void find_utf8(void) {
  utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* As Unicode has it, whatever the environment says. wcwidth goes by the thread's locale. */
static uint32_t columns_of(uint32_t point) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (point < 0x80) return 1;
  pthread_once(&once, find_utf8);
  int columns = -1;
  if (utf8 != (locale_t)0) {
    const locale_t before = uselocale(utf8);
    columns = wcwidth((wchar_t)point);
    uselocale(before);
  }
  if (columns >= 0) return columns > 2 ? 2 : (uint32_t)columns;
  /* From U+1E00 on more of Latin and Greek, punctuation, currencies, arrows, mathematics. */
  return point < 0x1100 || (point >= 0x1e00 && point < 0x2300) ? 1 : 2;
}

size_t cli_printable_next(const char *text, bool *printable, uint32_t *columns) {
  const size_t bytes = tess__utf8_sequence(text, strnlen(text, 4));
  *printable = false;
  *columns = 0;
  if (bytes == 0) return 1;
  const uint32_t point = point_of(text, bytes);
  for (size_t i = 0; i < sizeof unprintable / sizeof unprintable[0]; i++)
    if (point >= unprintable[i].first && point <= unprintable[i].last) return bytes;
  *printable = true;
  *columns = columns_of(point);
  return bytes;
}

void cli_printable_copy(char *to, size_t size, const char *from) {
  size_t used = 0;
  while (from != NULL && *from != '\0') {
    bool printable = false;
    uint32_t columns = 0;
    const size_t bytes = cli_printable_next(from, &printable, &columns);
    const size_t room = printable ? bytes : 1;
    if (used + room >= size) break;
    if (printable)
      memmove(to + used, from, bytes);
    else
      to[used] = '?';
    used += room;
    from += bytes;
  }
  to[used] = '\0';
}

void cli_printable(char *text) {
  if (*text == '\0') return; /* an empty field of a message is a constant */
  cli_printable_copy(text, strlen(text) + 1, text);
}
