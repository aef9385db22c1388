/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of request heads (rpc/http_request_head.c) on arbitrary bytes: what it lets
 * through has lines that end in one way, and a target that begins with a slash.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/http_request_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes up to and with the first empty line, or all. */
static size_t find_head(const char *text, size_t size) {
  for (size_t i = 4; i <= size; i++)
    if (memcmp(text + i - 4, "\r\n\r\n", 4) == 0) return i;
  return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bool asterisk;
  const char *why = NULL;
  if (size == 0) return 0;
  char *text = malloc(size);
  if (text == NULL) return 0;
  memcpy(text, data, size);
  size_t blank = tess__request_head_blank(text, size);
  if (blank > size || blank % 2 != 0) abort();
  size_t head_size = find_head(text, size), rest = size - head_size, sent = size;
  int status = tess__request_head_prepare(text, &head_size, &size, 64, &asterisk, &why);
  if (status != 0) {
    if (why == NULL || status < 400 || status > 499) abort();
  } else {
    const char *target = memchr(text, ' ', head_size);
    if (target == NULL || target[1] != '/') abort();
    if (size - head_size != rest || memcmp(text + head_size, data + sent - rest, rest) != 0)
      abort();
    for (size_t i = 0; i < head_size; i++)
      if ((text[i] == '\n') != (i > 0 && text[i - 1] == '\r')) abort();
    if (memcmp(text + head_size - 4, "\r\n\r\n", 4) != 0) abort();
  }
  free(text);
  return 0;
}
