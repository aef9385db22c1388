/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_reply_head.h.
 */
#include "rpc/http_reply_head.h"

#include <string.h>

#include "rpc/metadata.h"

void tess__reply_head_init(tess__reply_head *head, size_t max_bytes) {
  memset(head, 0, sizeof *head);
  head->content_length = -1;
  tess_metadata_init(&head->headers, NULL, max_bytes);
}

void tess__reply_head_cleanup(tess__reply_head *head) {
  tess_metadata_cleanup(&head->headers);
}

void tess__reply_head_reset(tess__reply_head *head) {
  head->status = 0;
  head->content_length = -1;
  head->complete = false;
  head->chunked = false;
  tess_metadata_clear(&head->headers);
}

/* "HTTP/1.1 200 OK" */
static bool take_status(tess__reply_head *head, const char *line, size_t size) {
  if (size < 12) return false;
  const char *space = memchr(line, ' ', size);
  if (space == NULL || (size_t)(line + size - space) < 4) return false;
  int status = 0;
  for (int i = 1; i <= 3; i++) {
    if (space[i] < '0' || space[i] > '9') return false;
    status = status * 10 + (space[i] - '0');
  }
  if (status < 100 || (line + size > space + 4 && space[4] != ' ')) return false;
  tess__reply_head_reset(head);
  head->status = status;
  return true;
}

static bool take_length(tess__reply_head *head, const char *text, size_t size) {
  int64_t value = 0;
  if (size == 0) return false;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9' || value > (INT64_MAX - (text[i] - '0')) / 10) return false;
    value = value * 10 + (text[i] - '0');
  }
  if (head->content_length >= 0 && head->content_length != value) return false;
  head->content_length = value;
  return true;
}

tess__reply_line tess__reply_head_line(tess__reply_head *head, const char *line, size_t size) {
  while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
    size--;
  if (head->complete) return TESS__REPLY_MORE;
  if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
    return take_status(head, line, size) ? TESS__REPLY_MORE : TESS__REPLY_BAD;
  if (head->status == 0) return TESS__REPLY_BAD;
  if (size == 0) {
    if (head->status < 200) return TESS__REPLY_MORE; /* 100 Continue: the real one follows */
    head->complete = true;
    if (head->chunked) head->content_length = -1;
    if (head->status == 204 || head->status == 304) head->content_length = 0;
    return TESS__REPLY_READY;
  }
  tess_code code = tess__metadata_add_line(&head->headers, line, size);
  if (code == TESS_RESOURCE_EXHAUSTED) return TESS__REPLY_LARGE;
  if (code != TESS_OK) return TESS__REPLY_BAD;
  const tess_metadata_entry *added = &head->headers.entries[head->headers.count - 1];
  if (strcmp(added->name, "content-length") == 0 &&
      !take_length(head, added->value, added->value_size))
    return TESS__REPLY_BAD;
  if (strcmp(added->name, "transfer-encoding") == 0) head->chunked = true;
  return TESS__REPLY_MORE;
}
