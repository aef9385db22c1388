/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /descriptors.binpb (reflection.h): one write, of what the reflection holds.
 */
#include "rpc/reflection.h"

#include <string.h>

#include "rpc/memory.h"

#define CONTENT_TYPE "application/x-protobuf; messageType=\"google.protobuf.FileDescriptorSet\""

typedef struct page {
  tess_http_exchange exchange; /* first: the adapter holds this */
  const tess_allocator *allocator;
  tess_metadata headers;
  int status;
  tess_slice body;
  bool unread; /* the request has a body, which nobody reads */
  bool written;
} page;

static page *page_of(tess_http_exchange *exchange) {
  return (page *)exchange;
}

static void page_step(tess_http_exchange *exchange, int64_t now_ms, tess_http_step *step) {
  page *p = page_of(exchange);
  (void)now_ms;
  *step = (tess_http_step){.want = TESS_HTTP_DONE, .wake_at_ms = TESS_NEVER_MS};
  if (p->written) return;
  step->want = TESS_HTTP_WRITE;
  step->status = p->status;
  step->headers = &p->headers;
  step->content_length = (int64_t)p->body.size;
  step->segments = &p->body;
  step->segment_count = p->body.size > 0;
  step->last = true;
  step->close = p->unread;
}

static void page_did_read(tess_http_exchange *exchange, size_t size, bool end, int64_t now_ms) {
  (void)exchange;
  (void)size;
  (void)end;
  (void)now_ms;
}

static void page_give_body(tess_http_exchange *exchange, tess_chunk *body, int64_t now_ms) {
  (void)now_ms;
  page_of(exchange)->unread = false;
  tess_chunk_release(body);
}

static void page_did_write(tess_http_exchange *exchange, int64_t now_ms) {
  (void)now_ms;
  page_of(exchange)->written = true;
}

static void page_abort(tess_http_exchange *exchange, tess_code why, int64_t now_ms) {
  (void)why;
  (void)now_ms;
  page_of(exchange)->written = true;
}

static void page_free(tess_http_exchange *exchange) {
  page *p = page_of(exchange);
  tess_metadata_cleanup(&p->headers);
  tess__free(p->allocator, p);
}

static const tess_http_exchange_ops page_ops = {page_step,      page_did_read, page_give_body,
                                                page_did_write, page_abort,    page_free};

static tess_code fill(page *p, const tess_reflection *r, const tess_http_request *request) {
  if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
    p->status = 405;
    return tess_metadata_add(&p->headers, "allow", "GET, HEAD");
  }
  const char *known = tess_metadata_get(request->headers, "if-none-match");
  tess_code code = tess_metadata_add(&p->headers, "etag", r->etag);
  if (code == TESS_OK) code = tess_metadata_add(&p->headers, "cache-control", "no-cache");
  p->status = 200;
  if (known != NULL && tess__etag_matches(known, r->etag)) {
    p->status = 304;
    return code;
  }
  p->body = tess_reflection_descriptors(r); /* adapters send none to HEAD */
  if (code == TESS_OK) code = tess_metadata_add(&p->headers, "content-type", CONTENT_TYPE);
  return code;
}

static tess_http_exchange *open(void *ctx, const tess_http_request *request, tess_waker waker,
                                int64_t now_ms) {
  const tess_reflection *r = ctx;
  if (strcmp(request->path, TESS_DESCRIPTORS_PATH) != 0)
    return r->next.open(r->next.ctx, request, waker, now_ms);
  page *p = tess__alloc(r->allocator, sizeof *p);
  if (p == NULL) return NULL;
  *p = (page){.exchange = {&page_ops}, .allocator = r->allocator};
  p->unread = request->content_length != 0;
  tess_metadata_init(&p->headers, r->allocator, 0);
  if (fill(p, r, request) == TESS_OK) return &p->exchange;
  page_free(&p->exchange);
  return NULL;
}

tess_http_handler tess_reflection_http_handler(tess_reflection *reflection,
                                               tess_http_handler next) {
  reflection->next = next;
  return (tess_http_handler){open, reflection};
}
