/* SPDX-License-Identifier: Apache-2.0 */
#include "server/inner_call.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct asking {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool woken;        /* under the lock */
  tess_slice unread; /* of the request's body */
  tess_segments *body;
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
      case TESS_HTTP_READ: {
        size_t size = step.read_size < a->unread.size ? step.read_size : a->unread.size;
        if (size > 0) memcpy(step.read_data, a->unread.data, size);
        a->unread = (tess_slice){(const uint8_t *)a->unread.data + size, a->unread.size - size};
        exchange->ops->did_read(exchange, size, a->unread.size == 0, clock_ms());
        break;
      }
      case TESS_HTTP_WRITE:
        if (step.status != 0) a->status = step.status;
        for (size_t i = 0; i < step.segment_count && !a->failed; i++)
          a->failed =
              tess_segments_copy(a->body, step.segments[i].data, step.segments[i].size) != TESS_OK;
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

int server_inner_call_run(const server_inner_call *call, tess_segments *reply) {
  asking a = {.unread = call->body.data != NULL ? call->body : (tess_slice){"", 0}, .body = reply};
  pthread_condattr_t attributes;
  tess_metadata none;
  if (pthread_condattr_init(&attributes) != 0) return 0;
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&a.lock, NULL);
  pthread_cond_init(&a.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  tess_metadata_init(&none, NULL, 0);
  const tess_http_request request = {.method = call->method,
                                     .path = call->path,
                                     .headers = call->headers != NULL ? call->headers : &none,
                                     .content_length = (int64_t)a.unread.size};
  int64_t now_ms = clock_ms();
  bool whole = false;
  tess_http_exchange *exchange =
      call->handler.open(call->handler.ctx, &request, (tess_waker){wake, &a}, now_ms);
  if (exchange != NULL) {
    whole = drive(&a, exchange, now_ms + call->timeout_ms);
    exchange->ops->free(exchange); /* no wake() after this */
  }
  tess_metadata_cleanup(&none);
  pthread_cond_destroy(&a.changed);
  pthread_mutex_destroy(&a.lock);
  return whole && !a.failed ? a.status : 0;
}
