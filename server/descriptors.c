/* SPDX-License-Identifier: Apache-2.0 */
#include "server/descriptors.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include <tessera/reflection.h>

#define MAX_BYTES ((size_t)16 << 20)

typedef struct asking {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool woken; /* under the lock */
  tess_segments body;
  int status;
  bool failed;
} asking;

static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(void *ctx) {
  asking *a = ctx;
  pthread_mutex_lock(&a->lock);
  a->woken = true;
  pthread_cond_signal(&a->changed);
  pthread_mutex_unlock(&a->lock);
}

/* False: until_ms has come. */
static bool wait_until(asking *a, int64_t until_ms) {
  const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
  pthread_mutex_lock(&a->lock);
  while (!a->woken && pthread_cond_timedwait(&a->changed, &a->lock, &until) == 0) {
  }
  bool woken = a->woken;
  a->woken = false;
  pthread_mutex_unlock(&a->lock);
  return woken;
}

/* True: the exchange came to its end. */
static bool drive(asking *a, tess_http_exchange *exchange, int64_t until_ms) {
  for (;;) {
    tess_http_step step;
    exchange->ops->step(exchange, clock_ms(), &step);
    switch (step.want) {
      case TESS_HTTP_READ: /* there is no body */
        exchange->ops->did_read(exchange, 0, true, clock_ms());
        break;
      case TESS_HTTP_WRITE:
        if (step.status != 0) a->status = step.status;
        for (size_t i = 0; i < step.segment_count && !a->failed; i++)
          a->failed =
              tess_segments_copy(&a->body, step.segments[i].data, step.segments[i].size) != TESS_OK;
        exchange->ops->did_write(exchange, clock_ms());
        break;
      case TESS_HTTP_WAIT:
        if (wait_until(a, until_ms)) break;
        exchange->ops->abort(exchange, TESS_DEADLINE_EXCEEDED, clock_ms());
        return false;
      case TESS_HTTP_DONE:
        return true;
    }
  }
}

static tess_schema_set *parse(const asking *a) {
  if (a->body.count == 1) return tess_schema_set_new(a->body.items[0], NULL, NULL);
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  uint8_t *bytes = tess_arena_alloc(&arena, a->body.total_bytes + 1), *at = bytes;
  for (size_t i = 0; bytes != NULL && i < a->body.count; i++) {
    memcpy(at, a->body.items[i].data, a->body.items[i].size);
    at += a->body.items[i].size;
  }
  tess_schema_set *set =
      bytes != NULL ? tess_schema_set_new((tess_slice){bytes, a->body.total_bytes}, NULL, NULL)
                    : NULL;
  tess_arena_cleanup(&arena);
  return set;
}

tess_schema_set *server_descriptors_ask(tess_http_handler handler, int64_t timeout_ms) {
  asking a = {.status = 0};
  pthread_condattr_t attributes;
  tess_metadata headers;
  const tess_http_request request = {
      .method = "GET", .path = TESS_DESCRIPTORS_PATH, .headers = &headers};
  tess_schema_set *set = NULL;
  if (pthread_condattr_init(&attributes) != 0) return NULL;
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&a.lock, NULL);
  pthread_cond_init(&a.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  tess_metadata_init(&headers, NULL, 0);
  tess_segments_init(&a.body, NULL, MAX_BYTES);
  int64_t now_ms = clock_ms();
  tess_http_exchange *exchange =
      handler.open(handler.ctx, &request, (tess_waker){wake, &a}, now_ms);
  if (exchange != NULL) {
    bool whole = drive(&a, exchange, now_ms + timeout_ms);
    exchange->ops->free(exchange); /* no wake() after this */
    if (whole && a.status == 200 && !a.failed) set = parse(&a);
  }
  tess_segments_cleanup(&a.body);
  tess_metadata_cleanup(&headers);
  pthread_cond_destroy(&a.changed);
  pthread_mutex_destroy(&a.lock);
  return set;
}
