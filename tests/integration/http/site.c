/* SPDX-License-Identifier: Apache-2.0
 *
 * See site.h.
 */
#include "tests/integration/http/site.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum kind {
  ECHO,
  STREAM,
  LATER,
  DUE,
  FOREVER,
  BIG,
  REFUSE,
  SLOWREAD,
  HEADERS,
  BUSY,
  HEAD,
  UNKNOWN
} kind;

static const char *const names[] = {"/echo",   "/stream",   "/later",   "/due",  "/forever", "/big",
                                    "/refuse", "/slowread", "/headers", "/busy", "/head"};

typedef struct exchange {
  tess_http_exchange base;
  site *owner;
  kind kind;
  long number;
  int64_t opened_ms;
  int64_t content_length;
  uint8_t *body;
  size_t size, capacity;
  size_t pending; /* /stream: read and not yet written */
  bool body_ended, started, wrote_last, woken_early;
  tess_waker waker;
  pthread_t thread;
  bool has_thread;
  _Atomic bool done;
  tess_slice segment;
  tess_metadata headers; /* of the reply */
} exchange;

enum { PATTERN_BYTES = 16000000 };
static pthread_once_t pattern_once = PTHREAD_ONCE_INIT;
static uint8_t *pattern; /* all of /big, shared and kept */

static void make_pattern(void) {
  pattern = malloc(PATTERN_BYTES);
  ck_assert_ptr_nonnull(pattern);
  for (size_t i = 0; i < PATTERN_BYTES; i++)
    pattern[i] = site_pattern(i);
}

void site_sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

static void *wake_later(void *arg) {
  exchange *e = arg;
  site_sleep_ms(e->number);
  atomic_store(&e->done, true);
  e->waker.wake(e->waker.ctx);
  return NULL;
}

static void reply(exchange *e, tess_http_step *step, int status, const void *data, size_t size) {
  e->segment = (tess_slice){data, size};
  step->want = TESS_HTTP_WRITE;
  step->status = status;
  step->content_length = (int64_t)size;
  step->segments = &e->segment;
  step->segment_count = 1;
  step->last = true;
  step->close = !e->body_ended;
  e->started = true;
  e->wrote_last = true;
}

static void grow(exchange *e, size_t size) {
  if (size <= e->capacity) return;
  e->body = realloc(e->body, size);
  ck_assert_ptr_nonnull(e->body);
  e->capacity = size;
}

static void step_body(exchange *e, tess_http_step *step) {
  if (!e->body_ended) {
    size_t want = e->content_length > 0 ? (size_t)e->content_length - e->size : 65536;
    grow(e, e->size + want);
    step->want = TESS_HTTP_READ;
    step->read_data = e->body + e->size;
    step->read_size = want;
    return;
  }
  reply(e, step, 200, e->body, e->size);
}

static void step_stream(exchange *e, tess_http_step *step) {
  if (e->pending > 0 || e->body_ended) {
    e->segment = (tess_slice){e->body, e->pending};
    step->want = TESS_HTTP_WRITE;
    step->status = e->started ? 0 : 200;
    step->content_length = -1;
    step->segments = &e->segment;
    step->segment_count = e->pending > 0 ? 1 : 0;
    step->last = e->body_ended;
    e->started = true;
    e->wrote_last = e->body_ended;
    e->pending = 0;
    return;
  }
  grow(e, 10);
  step->want = TESS_HTTP_READ;
  step->read_data = e->body;
  step->read_size = 10;
}

static void site_step(tess_http_exchange *base, int64_t now_ms, tess_http_step *step) {
  exchange *e = (exchange *)base;
  if (e->wrote_last) {
    step->want = TESS_HTTP_DONE;
    return;
  }
  switch (e->kind) {
    case ECHO:
      step_body(e, step);
      return;
    case STREAM:
      step_stream(e, step);
      return;
    case LATER:
      if (!e->body_ended) {
        step_body(e, step);
      } else if (atomic_load(&e->done)) {
        reply(e, step, 200, "late", 4);
      } else {
        if (!e->has_thread) {
          ck_assert_int_eq(pthread_create(&e->thread, NULL, wake_later, e), 0);
          e->has_thread = true;
        }
        step->want = TESS_HTTP_WAIT;
        step->wake_at_ms = TESS_NEVER_MS;
      }
      return;
    case DUE:
      if (now_ms >= e->opened_ms + e->number) {
        reply(e, step, 504, "due", 3);
      } else {
        step->want = TESS_HTTP_WAIT;
        step->wake_at_ms = e->opened_ms + e->number;
      }
      return;
    case FOREVER:
      step->want = TESS_HTTP_WAIT;
      step->wake_at_ms = TESS_NEVER_MS;
      return;
    case BIG:
      reply(e, step, 200, pattern, (size_t)e->number);
      return;
    case REFUSE:
      reply(e, step, 404, "no", 2);
      return;
    case SLOWREAD:
      if (now_ms >= e->opened_ms + e->number) {
        reply(e, step, 408, "slow", 4);
        return;
      }
      step_body(e, step);
      if (step->want == TESS_HTTP_READ) step->wake_at_ms = e->opened_ms + e->number;
      return;
    case HEADERS:
      reply(e, step, 200, e->body, e->size);
      return;
    case BUSY:
      site_sleep_ms(e->number);
      reply(e, step, 200, "busy", 4);
      return;
    case HEAD:
      reply(e, step, 200, "head", 4);
      step->headers = &e->headers;
      return;
    default:
      reply(e, step, 404, "unknown", 7);
      return;
  }
}

static void site_did_read(tess_http_exchange *base, size_t size, bool end, int64_t now_ms) {
  exchange *e = (exchange *)base;
  (void)now_ms;
  if (e->kind == STREAM) {
    e->pending = size;
  } else {
    e->size += size;
  }
  if (end) e->body_ended = true;
}

static void site_did_write(tess_http_exchange *base, int64_t now_ms) {
  (void)base;
  (void)now_ms;
}

static void site_abort(tess_http_exchange *base, tess_code why, int64_t now_ms) {
  exchange *e = (exchange *)base;
  (void)now_ms;
  atomic_store(&e->owner->last_abort, (int)why);
  atomic_fetch_add(&e->owner->aborted, 1);
}

static void site_free(tess_http_exchange *base) {
  exchange *e = (exchange *)base;
  if (e->has_thread) pthread_join(e->thread, NULL);
  atomic_fetch_add(&e->owner->freed, 1);
  tess_metadata_cleanup(&e->headers);
  free(e->body);
  free(e);
}

static const tess_http_exchange_ops ops = {.step = site_step,
                                           .did_read = site_did_read,
                                           .did_write = site_did_write,
                                           .abort = site_abort,
                                           .free = site_free};

static tess_http_exchange *site_open(void *ctx, const tess_http_request *request, tess_waker waker,
                                     int64_t now_ms) {
  exchange *e = calloc(1, sizeof *e);
  if (e == NULL) return NULL;
  e->base.ops = &ops;
  tess_metadata_init(&e->headers, NULL, 4 << 20);
  e->owner = ctx;
  e->waker = waker;
  e->opened_ms = now_ms;
  e->content_length = request->content_length;
  e->body_ended = request->content_length == 0;
  e->number = request->query != NULL ? strtol(request->query, NULL, 10) : 0;
  e->kind = UNKNOWN;
  for (int i = 0; i < UNKNOWN; i++)
    if (strcmp(request->path, names[i]) == 0) e->kind = (kind)i;
  if (e->kind == BIG) {
    pthread_once(&pattern_once, make_pattern);
    ck_assert_int_le(e->number, PATTERN_BYTES);
  }
  if (e->kind == HEAD) {
    static char value[1001];
    memset(value, 'v', 1000);
    for (long i = 0; i < e->number; i++)
      ck_assert_int_eq(tess_metadata_add(&e->headers, "x-long", value), TESS_OK);
  }
  if (e->kind == HEADERS) {
    size_t room = 65536;
    grow(e, room);
    e->size = (size_t)snprintf((char *)e->body, room, "%s|%s|%s|%s|%s|", request->method,
                               request->query != NULL ? request->query : "-", request->peer,
                               request->secure ? "tls" : "plain",
                               request->client_subject != NULL ? request->client_subject : "-");
    for (size_t i = 0; i < request->headers->count; i++) {
      const tess_metadata_entry *h = &request->headers->entries[i];
      e->size +=
          (size_t)snprintf((char *)e->body + e->size, room - e->size, "%s=%s;", h->name, h->value);
    }
  }
  atomic_fetch_add(&e->owner->opened, 1);
  return &e->base;
}

static bool site_ready(void *ctx) {
  return atomic_load(&((site *)ctx)->ready);
}

static void site_log(void *ctx, const char *line) {
  (void)line;
  atomic_fetch_add(&((site *)ctx)->logged, 1);
}

void site_start(site *s, tess_http_server_options options) {
  tess_status status = TESS_STATUS_INIT;
  memset(s, 0, sizeof *s);
  atomic_store(&s->ready, true);
  options.handler = (tess_http_handler){site_open, s};
  options.ready = site_ready;
  options.ready_ctx = s;
  options.log = site_log;
  options.log_ctx = s;
  if (options.listen == NULL) options.listen = "127.0.0.1:0";
  s->server = tess_http_server_start(&options, &status);
  ck_assert_msg(s->server != NULL, "%s", status.message != NULL ? status.message : "?");
  tess_status_cleanup(&status);
  const char *colon = strrchr(tess_http_server_url(s->server), ':');
  s->port = atoi(colon + 1);
  ck_assert_int_gt(s->port, 0);
}

void site_stop(site *s) {
  tess_http_server_free(s->server);
  ck_assert_int_eq(atomic_load(&s->opened), atomic_load(&s->freed));
}
