/* SPDX-License-Identifier: Apache-2.0 */
#include "host_driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 30000

typedef struct driver {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool woken;
} driver;

int64_t driver_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake(void *ctx) {
  driver *d = ctx;
  pthread_mutex_lock(&d->lock);
  d->woken = true;
  pthread_cond_signal(&d->changed);
  pthread_mutex_unlock(&d->lock);
}

/* False: until_ms came first. */
static bool wait_until(driver *d, int64_t until_ms) {
  const struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
  bool in_time = true;
  pthread_mutex_lock(&d->lock);
  while (!d->woken && in_time) {
    in_time = pthread_cond_timedwait(&d->changed, &d->lock, &until) != ETIMEDOUT;
  }
  d->woken = false;
  pthread_mutex_unlock(&d->lock);
  return in_time;
}

static void take_write(const tess_http_step *step, driver_result *result) {
  if (step->status != 0) {
    const char *type = tess_metadata_get(step->headers, "content-type");
    result->status = step->status;
    result->content_length = step->content_length;
    snprintf(result->content_type, sizeof result->content_type, "%s", type != NULL ? type : "");
  }
  size_t bytes = 0;
  for (size_t i = 0; i < step->segment_count; i++)
    bytes += step->segments[i].size;
  uint8_t *body = realloc(result->body, result->body_size + bytes + 1);
  if (body == NULL) abort();
  result->body = body;
  for (size_t i = 0; i < step->segment_count; i++) {
    memcpy(body + result->body_size, step->segments[i].data, step->segments[i].size);
    result->body_size += step->segments[i].size;
  }
  body[result->body_size] = '\0';
  result->writes++;
  result->complete = step->last;
  if (step->close) result->close = true;
}

static void sleep_ms(int64_t ms) {
  const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  nanosleep(&pause, NULL);
}

static void give_up(tess_http_exchange *exchange, driver_result *result) {
  exchange->ops->abort(exchange, TESS_CANCELED, driver_now_ms());
  result->aborted = true;
}

static void drive(driver *d, tess_http_exchange *exchange, const driver_call *call,
                  driver_result *result) {
  size_t sent = 0;
  int64_t began_ms = driver_now_ms();
  for (;;) {
    tess_http_step step = {.want = TESS_HTTP_DONE};
    exchange->ops->step(exchange, driver_now_ms(), &step);
    if (step.want == TESS_HTTP_DONE) {
      if (step.close) result->close = true;
      return;
    }
    if (step.want == TESS_HTTP_READ) {
      size_t size = call->body_size - sent;
      if (size > step.read_size) size = step.read_size;
      if (call->read_piece > 0 && size > call->read_piece) size = call->read_piece;
      if (call->abort_after_read > 0 && sent + size > call->abort_after_read) {
        give_up(exchange, result);
        return;
      }
      if (size > 0) memcpy(step.read_data, (const uint8_t *)call->body + sent, size);
      sent += size;
      exchange->ops->did_read(exchange, size, sent == call->body_size, driver_now_ms());
    } else if (step.want == TESS_HTTP_WRITE) {
      if (call->abort_after_writes > 0 && result->writes == call->abort_after_writes) {
        give_up(exchange, result);
        return;
      }
      /* Looked at before and after: what is being written must not change. */
      take_write(&step, result);
      if (call->write_ms > 0) sleep_ms(call->write_ms);
      exchange->ops->did_write(exchange, driver_now_ms());
    } else {
      int64_t until = call->abort_after_ms > 0 ? began_ms + call->abort_after_ms
                                               : driver_now_ms() + PATIENCE_MS;
      if (step.wake_at_ms < until) until = step.wake_at_ms;
      if (!wait_until(d, until)) {
        result->timed_out = call->abort_after_ms == 0;
        give_up(exchange, result);
        return;
      }
    }
  }
}

void driver_run(tess_http_handler handler, const driver_call *call, driver_result *result) {
  driver d = {.woken = false};
  pthread_condattr_t attributes;
  memset(result, 0, sizeof *result);
  pthread_mutex_init(&d.lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&d.changed, &attributes);
  pthread_condattr_destroy(&attributes);
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  for (size_t i = 0; i + 1 < 8 && call->headers[i] != NULL; i += 2) {
    tess_metadata_add(&headers, call->headers[i], call->headers[i + 1]);
  }
  int64_t length = call->chunked ? -1 : (int64_t)call->body_size;
  if (call->claimed != 0) length = call->claimed;
  const tess_http_request request = {.method = call->method != NULL ? call->method : "POST",
                                     .path = call->path,
                                     .query = call->query,
                                     .headers = &headers,
                                     .content_length = length,
                                     .peer = "127.0.0.1:1"};
  tess_http_exchange *exchange =
      handler.open(handler.ctx, &request, (tess_waker){wake, &d}, driver_now_ms());
  tess_metadata_cleanup(&headers);
  if (exchange != NULL) {
    drive(&d, exchange, call, result);
    exchange->ops->free(exchange);
  }
  pthread_cond_destroy(&d.changed);
  pthread_mutex_destroy(&d.lock);
}

void driver_result_cleanup(driver_result *result) {
  free(result->body);
  memset(result, 0, sizeof *result);
}
