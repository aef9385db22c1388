/* SPDX-License-Identifier: Apache-2.0 */
#include "server/descriptors.h"

#include <string.h>

#include <tessera/reflection.h>

#include "server/inner_call.h"

#define MAX_BYTES ((size_t)16 << 20)

static tess_schema_set *parse(const tess_segments *body) {
  if (body->count == 1) return tess_schema_set_new(body->items[0], NULL, NULL);
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  uint8_t *bytes = tess_arena_alloc(&arena, body->total_bytes + 1), *at = bytes;
  for (size_t i = 0; bytes != NULL && i < body->count; i++) {
    memcpy(at, body->items[i].data, body->items[i].size);
    at += body->items[i].size;
  }
  tess_schema_set *set =
      bytes != NULL ? tess_schema_set_new((tess_slice){bytes, body->total_bytes}, NULL, NULL)
                    : NULL;
  tess_arena_cleanup(&arena);
  return set;
}

tess_schema_set *server_descriptors_ask(tess_http_handler handler, int64_t timeout_ms) {
  const server_inner_call call = {
      .handler = handler, .method = "GET", .path = TESS_DESCRIPTORS_PATH, .timeout_ms = timeout_ms};
  tess_segments body;
  tess_segments_init(&body, NULL, MAX_BYTES);
  tess_schema_set *set = server_inner_call_run(&call, &body) == 200 ? parse(&body) : NULL;
  tess_segments_cleanup(&body);
  return set;
}
