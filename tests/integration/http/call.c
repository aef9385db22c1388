/* SPDX-License-Identifier: Apache-2.0
 *
 * See call.h.
 */
#include "tests/integration/http/call.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tess_http_body_state next_body(tess_http_outgoing *o, tess_slice *slice) {
  call *c = (call *)o;
  if (c->next_piece >= c->piece_count) return TESS_BODY_END;
  if (c->hold && atomic_load(&c->released) <= (int)c->next_piece) return TESS_BODY_WAIT;
  *slice = c->pieces[c->next_piece++];
  return TESS_BODY_DATA;
}

static bool rewind_body(tess_http_outgoing *o) {
  call *c = (call *)o;
  atomic_fetch_add(&c->rewinds, 1);
  c->next_piece = 0;
  return c->can_rewind;
}

static void on_head(tess_http_outgoing *o, int status, const tess_metadata *headers,
                    int64_t content_length) {
  call *c = (call *)o;
  ck_assert_int_eq(atomic_fetch_add(&c->heads, 1), 0);
  c->status = status;
  c->reply_length = content_length;
  const char *type = tess_metadata_get(headers, "content-type");
  snprintf(c->content_type, sizeof c->content_type, "%s", type != NULL ? type : "");
}

static bool on_body(tess_http_outgoing *o, tess_chunk *chunk) {
  call *c = (call *)o;
  ck_assert(!c->paused);
  ck_assert_int_eq(atomic_load(&c->ended), 0);
  if (c->size + chunk->size > c->capacity) {
    c->capacity = (c->size + chunk->size) * 2;
    c->body = realloc(c->body, c->capacity);
    ck_assert_ptr_nonnull(c->body);
  }
  if (chunk->size > 0) memcpy(c->body + c->size, chunk->data, chunk->size);
  c->size += chunk->size;
  tess_chunk_release(chunk);
  if (c->pause_after > 0 && c->size > c->pause_after) {
    c->pause_after = 0;
    c->paused = true;
  }
  atomic_fetch_add(&c->bodies, 1);
  return !c->paused;
}

static void on_end(tess_http_outgoing *o, tess_code code, const char *detail) {
  call *c = (call *)o;
  c->code = code;
  snprintf(c->detail, sizeof c->detail, "%s", detail != NULL ? detail : "");
  ck_assert_int_eq(atomic_fetch_add(&c->ended, 1), 0);
}

static const tess_http_outgoing_ops ops = {.next_body = next_body,
                                           .rewind_body = rewind_body,
                                           .on_head = on_head,
                                           .on_body = on_body,
                                           .on_end = on_end};

call *call_new(tess_transport *transport, int port, const char *method, const char *path,
               const tess_slice *pieces, size_t count) {
  call *c = calloc(1, sizeof *c);
  ck_assert_ptr_nonnull(c);
  c->base.ops = &ops;
  c->transport = transport;
  snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d%s", port, path);
  tess_metadata_init(&c->headers, NULL, 0);
  tess_metadata_add(&c->headers, "content-type", "application/proto");
  c->base.method = method;
  c->base.url = c->url;
  c->base.headers = &c->headers;
  c->base.deadline_ms = TESS_NEVER_MS;
  c->pieces = pieces;
  c->piece_count = count;
  c->can_rewind = true;
  for (size_t i = 0; i < count; i++)
    c->base.content_length += (int64_t)pieces[i].size;
  return c;
}

void call_free(call *c) {
  tess_metadata_cleanup(&c->headers);
  free(c->body);
  free(c);
}

bool call_is_over(void *ctx) {
  return atomic_load(&((call *)ctx)->ended) != 0;
}

tess_code call_run(call *c) {
  tess_status status = TESS_STATUS_INIT;
  tess_code code = c->transport->ops->start(c->transport, &c->base, &status);
  if (code != TESS_OK) {
    snprintf(c->detail, sizeof c->detail, "%s", status.message != NULL ? status.message : "");
    tess_status_cleanup(&status);
    return code;
  }
  int64_t until_ms = c->transport->ops->now_ms(c->transport) + 60000;
  ck_assert(c->transport->ops->wait(c->transport, call_is_over, c, until_ms));
  return c->code;
}
