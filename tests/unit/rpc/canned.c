/* SPDX-License-Identifier: Apache-2.0 */
#include "canned.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct exchange {
  tess_http_exchange base;
  canned *state;
  tess_metadata headers;
  tess_slice body;
  bool has_body;
  bool ended;
  bool written;
} exchange;

static void step(tess_http_exchange *base, int64_t now_ms, tess_http_step *out) {
  exchange *self = (exchange *)base;
  canned *state = self->state;
  (void)now_ms;
  *out = (tess_http_step){.wake_at_ms = TESS_NEVER_MS};
  if (self->written) {
    out->want = TESS_HTTP_DONE;
  } else if (self->has_body && !self->ended) {
    out->want = TESS_HTTP_READ;
    out->read_data = state->request_body + state->request_body_size;
    out->read_size = sizeof state->request_body - state->request_body_size;
    ck_assert_uint_gt(out->read_size, 0);
  } else if (state->never) {
    out->want = TESS_HTTP_WAIT;
  } else {
    self->body = (tess_slice){state->body, state->body_size};
    out->want = TESS_HTTP_WRITE;
    out->status = state->status;
    out->headers = &self->headers;
    out->content_length = state->no_content_length ? -1 : (int64_t)state->body_size;
    out->segments = &self->body;
    out->segment_count = state->body_size != 0 ? 1 : 0;
    out->last = true;
  }
}

static void did_read(tess_http_exchange *base, size_t size, bool end, int64_t now_ms) {
  exchange *self = (exchange *)base;
  (void)now_ms;
  self->state->request_body_size += size;
  self->ended = end;
}

static void give_body(tess_http_exchange *base, tess_chunk *body, int64_t now_ms) {
  (void)base;
  (void)now_ms;
  tess_chunk_release(body);
  ck_abort_msg("not used by the in-process transport");
}

static void did_write(tess_http_exchange *base, int64_t now_ms) {
  (void)now_ms;
  ((exchange *)base)->written = true;
}

static void abort_exchange(tess_http_exchange *base, tess_code why, int64_t now_ms) {
  (void)why;
  (void)now_ms;
  ((exchange *)base)->state->aborts++;
}

static void free_exchange(tess_http_exchange *base) {
  exchange *self = (exchange *)base;
  tess_metadata_cleanup(&self->headers);
  free(self);
}

static tess_http_exchange *open_exchange(void *ctx, const tess_http_request *request,
                                         tess_waker waker, int64_t now_ms) {
  static const tess_http_exchange_ops ops = {step,      did_read,       give_body,
                                             did_write, abort_exchange, free_exchange};
  canned *state = ctx;
  exchange *self = calloc(1, sizeof *self);
  ck_assert_ptr_nonnull(self);
  (void)waker;
  (void)now_ms;
  self->base.ops = &ops;
  self->state = state;
  self->has_body = request->content_length != 0;
  state->requests++;
  state->request_body_size = 0;
  snprintf(state->method, sizeof state->method, "%s", request->method);
  snprintf(state->path, sizeof state->path, "%s", request->path);
  snprintf(state->query, sizeof state->query, "%s", request->query != NULL ? request->query : "");
  size_t size = 0;
  state->request_headers[0] = '\0';
  for (size_t i = 0; i < request->headers->count; i++) {
    int written =
        snprintf(state->request_headers + size, sizeof state->request_headers - size, "%s: %s\n",
                 request->headers->entries[i].name, request->headers->entries[i].value);
    ck_assert(written > 0 && size + (size_t)written < sizeof state->request_headers);
    size += (size_t)written;
  }
  tess_metadata_init(&self->headers, NULL, 0);
  for (const char *text = state->headers; text != NULL && *text != '\0';) {
    const char *colon = strstr(text, ": "), *end = strchr(text, '\n');
    ck_assert(colon != NULL && end != NULL);
    tess_metadata_add_n(&self->headers, text, (size_t)(colon - text), colon + 2,
                        (size_t)(end - colon - 2));
    text = end + 1;
  }
  return &self->base;
}

tess_http_handler canned_handler(canned *state) {
  return (tess_http_handler){open_exchange, state};
}
