/* SPDX-License-Identifier: Apache-2.0
 *
 * Response heads from an arbitrary server (rpc/http_reply_head.c), line by line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/http_reply_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum { LIMIT = 2000 };
  tess__reply_head head;
  tess__reply_head_init(&head, LIMIT);
  while (size > 0) {
    const uint8_t *end = memchr(data, '\n', size);
    size_t line = end != NULL ? (size_t)(end - data) + 1 : size;
    bool was_complete = head.complete;
    size_t count = head.headers.count;
    tess__reply_line result = tess__reply_head_line(&head, (const char *)data, line);
    if (was_complete && (result != TESS__REPLY_MORE || head.headers.count != count)) abort();
    if (result == TESS__REPLY_READY &&
        (head.status < 200 || head.status > 999 || head.content_length < -1))
      abort();
    if (head.headers.bytes > LIMIT) abort();
    if (result == TESS__REPLY_BAD || result == TESS__REPLY_LARGE) break;
    data += line;
    size -= line;
  }
  tess__reply_head_cleanup(&head);
  return 0;
}
