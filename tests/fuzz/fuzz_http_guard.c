/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server's guard (rpc/http_server_guard.c) on arbitrary heads: lines
 * "METHOD TARGET VERSION", then "name:value". What it lets through must frame the
 * body in one way only.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/http_server_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *cut(char **rest, char at) {
  char *word = *rest, *end = strchr(word, at);
  if (end != NULL) *end = 0;
  *rest = end != NULL ? end + 1 : word + strlen(word);
  return word;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tess_metadata_entry entries[64];
  size_t count = 0, lengths = 0, codings = 0, hosts = 0;
  tess__http_head head;
  const char *why;
  char *text = malloc(size + 1);
  if (text == NULL) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  char *rest = text, *line = cut(&rest, '\n');
  char *method = cut(&line, ' '), *target = cut(&line, ' ');
  const char *version = strcmp(line, "1.0") == 0 ? "1.0" : "1.1";
  while (*rest != 0 && count < 64) {
    line = cut(&rest, '\n');
    char *name = cut(&line, ':');
    for (char *p = name; *p != 0; p++)
      if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + ('a' - 'A'));
    lengths += strcmp(name, "content-length") == 0;
    codings += strcmp(name, "transfer-encoding") == 0;
    hosts += strcmp(name, "host") == 0;
    entries[count++] = (tess_metadata_entry){name, line, strlen(line)};
  }
  int status = tess__http_guard(method, target, version, entries, count, &head, &why);
  if (status == 0) {
    if (why != NULL || target[0] != '/' || head.content_length < -1) abort();
    if (lengths + codings > 1 || hosts > 1) abort();
    if ((head.content_length == -1) != (codings == 1)) abort();
    if (lengths == 0 && head.content_length > 0) abort();
  } else if (why == NULL || status < 400 || status > 599) {
    abort();
  }
  free(text);
  return 0;
}
