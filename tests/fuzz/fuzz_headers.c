/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole requests: "METHOD PATH[?QUERY]\n", then "name: value\n" lines, an empty
 * line, and the body.
 */
#include "tests/fuzz/echo_server.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The line at *cursor, without its end; NULL: there is none. */
static char *next_line(char **cursor) {
  char *line = *cursor, *end = line != NULL ? strchr(line, '\n') : NULL;
  if (end == NULL) return NULL;
  *end = '\0';
  *cursor = end + 1;
  return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (text == NULL) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  char *cursor = text;
  char *method = next_line(&cursor);
  char *path = method != NULL ? strchr(method, ' ') : NULL;
  if (path == NULL) {
    free(text);
    return 0;
  }
  *path++ = '\0';
  char *query = strchr(path, '?');
  if (query != NULL) *query++ = '\0';
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 16 * 1024);
  for (char *line; (line = next_line(&cursor)) != NULL && *line != '\0';) {
    char *colon = strstr(line, ": ");
    if (colon == NULL) continue;
    *colon = '\0';
    tess_metadata_add(&headers, line, colon + 2); /* what is no header is left out */
  }
  size_t body_size = size - (size_t)(cursor - text);
  tess_server *server = fuzz_server();
  tess_http_handler handler = tess_server_http_handler(server);
  tess_http_request request = {.method = method,
                               .path = path,
                               .query = query,
                               .headers = &headers,
                               .content_length = (int64_t)body_size};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  if (exchange != NULL)
    fuzz_exchange(exchange, (const uint8_t *)cursor, body_size, 1 + size % 13, true);
  tess_metadata_cleanup(&headers);
  tess_server_free(server);
  free(text);
  return 0;
}
