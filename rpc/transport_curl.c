/* SPDX-License-Identifier: Apache-2.0
 *
 * The client transport on libcurl's multi interface.
 *
 * One thread at a time drives the multi handle (transport_driver.h). What other
 * threads want of a request (start, resume, cancel) they note in it and put into a
 * list. Fields below "driver" are touched by the driver alone, the others under
 * the driver's lock.
 */
#include <tessera/transport_curl.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/curl_request.h"
#include "rpc/tls_options.h"
#include "rpc/transport_driver.h"

enum {
  MAX_SPARE = 64, /* requests kept for reuse */
  LEAST_PEER_TIMEOUT_MS = 3000,
  MOST_PEER_TIMEOUT_MS = 24 * 60 * 60 * 1000
};

typedef tess__curl_request request;

typedef struct curl_transport {
  tess_transport base;
  tess_transport_curl_options options;
  tess_tls_options tls; /* owned copies */
  tess__driver driver;
  request *commands, **commands_end;
  request *spare;
  size_t spare_count;

  /* driver */
  CURLM *multi;
  request *active;
  request *behind; /* their clients were told of their end; curl still looks their names up */
  tess__due_queue deadlines, lookups;
} curl_transport;

/* ---- the driver ---- */

static void put_first(request **list, request *r) {
  r->previous = NULL;
  r->next = *list;
  if (*list != NULL) (*list)->previous = r;
  *list = r;
}

static void take_from(request **list, request *r) {
  if (r->previous != NULL)
    r->previous->next = r->next;
  else
    *list = r->next;
  if (r->next != NULL) r->next->previous = r->previous;
  r->previous = r->next = NULL;
}

static void take_from_curl(curl_transport *t, request *r) {
  if (r->in_multi) curl_multi_remove_handle(t->multi, r->easy);
  r->in_multi = false;
  tess__due_remove(&t->lookups, &r->lookup);
}

/* Locked. False: there are enough, free it. */
static bool keep_spare(curl_transport *t, request *r) {
  if (t->spare_count == MAX_SPARE) return false;
  r->next_spare = t->spare;
  t->spare = r;
  t->spare_count++;
  return true;
}

/* One that was left behind: its lookup has ended, or is awaited here. */
static void drop(curl_transport *t, request *r) {
  take_from_curl(t, r);
  take_from(&t->behind, r);
  pthread_mutex_lock(&t->driver.lock);
  t->driver.in_flight--;
  bool spare = keep_spare(t, r);
  pthread_mutex_unlock(&t->driver.lock);
  if (!spare) tess__curl_request_free(r);
}

/* The end of a request: its record goes back before the core hears of it, which
 * may start the next one there and then. */
static void end_request(curl_transport *t, request *r, tess_code code, const char *detail) {
  tess_http_outgoing *o = r->outgoing;
  char text[CURL_ERROR_SIZE];
  if (detail != NULL) {
    strncpy(text, detail, sizeof text - 1);
    text[sizeof text - 1] = 0;
  }
  bool leave = r->lookup.queued; /* to take it away would wait for its lookup, and all with it */
  if (!leave) take_from_curl(t, r);
  if (r->active) take_from(&t->active, r);
  r->active = false;
  tess__due_remove(&t->deadlines, &r->deadline);
  tess__reply_head_reset(&r->head);
  pthread_mutex_lock(&t->driver.lock);
  o->transport_data = NULL;
  r->outgoing = NULL;
  if (r->queued) {
    request **at = &t->commands;
    while (*at != r)
      at = &(*at)->next_command;
    *at = r->next_command;
    if (t->commands_end == &r->next_command) t->commands_end = at;
    r->queued = false;
  }
  if (!leave) t->driver.in_flight--;
  bool spare = !leave && keep_spare(t, r);
  pthread_mutex_unlock(&t->driver.lock);
  if (leave) {
    tess__due_remove(&t->lookups, &r->lookup);
    tess__curl_request_leave(r);
    put_first(&t->behind, r);
  } else if (!spare) {
    tess__curl_request_free(r);
  }
  o->ops->on_end(o, code, detail != NULL ? text : NULL);
}

static void finish(curl_transport *t, request *r, CURLcode rc) {
  tess__due_remove(&t->lookups, &r->lookup);
  if (r->outgoing == NULL) {
    drop(t, r);
  } else if (atomic_load(&r->want_cancel)) {
    end_request(t, r, TESS_CANCELED, "canceled");
  } else if (rc == CURLE_OK) {
    if (r->receive_paused) {
      /* Deliver nothing while paused, not even the end; the connection is free
       * already. */
      take_from_curl(t, r);
      r->ended = true;
      return;
    }
    end_request(t, r, TESS_OK, NULL);
  } else if (r->failure != TESS_OK) {
    end_request(t, r, r->failure, r->failure_text);
  } else {
    end_request(t, r, tess__curl_code(rc), tess__curl_why(r, rc));
  }
}

static void begin(curl_transport *t, request *r) {
  put_first(&t->active, r);
  r->active = true;
  tess__due_put(&t->deadlines, &r->deadline, r->outgoing->deadline_ms);
  CURLMcode rc = curl_multi_add_handle(t->multi, r->easy);
  if (rc != CURLM_OK) {
    end_request(t, r, rc == CURLM_OUT_OF_MEMORY ? TESS_RESOURCE_EXHAUSTED : TESS_INTERNAL,
                curl_multi_strerror(rc));
    return;
  }
  r->in_multi = true;
}

static void obey(curl_transport *t) {
  for (;;) {
    pthread_mutex_lock(&t->driver.lock);
    tess__driver_looks(&t->driver);
    request *r = t->commands;
    if (r == NULL) {
      pthread_mutex_unlock(&t->driver.lock);
      return;
    }
    t->commands = r->next_command;
    if (t->commands == NULL) t->commands_end = &t->commands;
    r->queued = false;
    bool start = r->want_start, resume = r->want_resume;
    r->want_start = r->want_resume = false;
    pthread_mutex_unlock(&t->driver.lock);
    if (atomic_load(&r->want_cancel)) {
      end_request(t, r, TESS_CANCELED, "canceled");
      continue;
    }
    if (start) begin(t, r);
    if (!resume || start) continue;
    if (r->receive_paused) {
      /* The core may have kept back messages of what it took. */
      tess_chunk nothing = {0};
      r->receive_paused = !r->outgoing->ops->on_body(r->outgoing, &nothing);
      if (r->receive_paused) continue;
    }
    if (r->ended)
      end_request(t, r, TESS_OK, NULL);
    else if (r->in_multi)
      curl_easy_pause(r->easy, CURLPAUSE_CONT); /* may call back: not under the lock */
  }
}

static void expire(curl_transport *t) {
  int64_t now_ms = tess__driver_now_ms();
  while (tess__due_next_ms(&t->deadlines) <= now_ms)
    end_request(t, t->deadlines.first->of, TESS_DEADLINE_EXCEEDED, "the deadline passed");
}

static void give_up_lookups(curl_transport *t) {
  int64_t now_ms = tess__driver_now_ms();
  while (tess__due_next_ms(&t->lookups) <= now_ms)
    end_request(t, t->lookups.first->of, TESS_UNAVAILABLE,
                "the host's name was not looked up in time");
}

static void work(void *ctx) {
  curl_transport *t = ctx;
  int running = 0, left = 0;
  obey(t);
  give_up_lookups(t); /* before curl does */
  curl_multi_perform(t->multi, &running);
  for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &left)) != NULL;) {
    if (m->msg != CURLMSG_DONE) continue;
    CURLcode rc = m->data.result;
    char *r = NULL;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
    finish(t, (request *)(void *)r, rc);
  }
  expire(t);
}

/* Sleeps until a socket, a timer or another thread wants something. */
static void rest(void *ctx, int64_t until_ms) {
  curl_transport *t = ctx;
  int64_t wake_ms = until_ms;
  if (tess__due_next_ms(&t->deadlines) < wake_ms) wake_ms = tess__due_next_ms(&t->deadlines);
  if (tess__due_next_ms(&t->lookups) < wake_ms) wake_ms = tess__due_next_ms(&t->lookups);
  int64_t sleep_ms = 60000;
  if (wake_ms != TESS_NEVER_MS) {
    sleep_ms = wake_ms - tess__driver_now_ms();
    if (sleep_ms < 0) sleep_ms = 0;
    if (sleep_ms > 60000) sleep_ms = 60000;
  }
  pthread_mutex_lock(&t->driver.lock);
  bool busy = t->commands != NULL;
  pthread_mutex_unlock(&t->driver.lock);
  if (!busy) curl_multi_poll(t->multi, NULL, 0, (int)sleep_ms, NULL);
}

static void wake(void *ctx) {
  curl_multi_wakeup(((curl_transport *)ctx)->multi);
}

static void end_all(void *ctx) {
  curl_transport *t = ctx;
  obey(t);
  while (t->active != NULL)
    end_request(t, t->active, TESS_CANCELED, "the transport was freed");
  while (t->behind != NULL)
    drop(t, t->behind);
}

/* ---- tess_transport_ops ---- */

static void enqueue(curl_transport *t, request *r) {
  if (r->queued) return;
  r->queued = true;
  r->next_command = NULL;
  *t->commands_end = r;
  t->commands_end = &r->next_command;
}

static tess_code transport_start(tess_transport *transport, tess_http_outgoing *outgoing,
                                 tess_status *status) {
  curl_transport *t = (curl_transport *)transport;
  if (strncasecmp(outgoing->url, "http://", 7) != 0 &&
      strncasecmp(outgoing->url, "https://", 8) != 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "\"%s\" is no http or https URL",
                           outgoing->url);
  pthread_mutex_lock(&t->driver.lock);
  request *r = t->spare;
  if (r != NULL) {
    t->spare = r->next_spare;
    t->spare_count--;
  }
  pthread_mutex_unlock(&t->driver.lock);
  CURLcode rc = CURLE_OK;
  if (r == NULL) r = tess__curl_request_new(&t->options, &t->tls, &t->lookups, &rc);
  if (r == NULL)
    return tess_status_set(status, tess__curl_code(rc), "cannot make a request: %s",
                           curl_easy_strerror(rc));

  r->outgoing = outgoing;
  r->queued = r->want_resume = false;
  r->want_start = true;
  atomic_store(&r->want_cancel, false);
  r->receive_paused = r->ended = r->body_over = false;
  r->piece = (tess_slice){0};
  r->failure = TESS_OK;
  r->error[0] = 0;
  rc = tess__curl_request_prepare(r, &t->options);
  if (rc != CURLE_OK) {
    tess__curl_request_free(r);
    return tess_status_set(status, tess__curl_code(rc), "cannot start the request: %s",
                           curl_easy_strerror(rc));
  }
  pthread_mutex_lock(&t->driver.lock);
  outgoing->transport_data = r;
  t->driver.in_flight++;
  enqueue(t, r);
  tess__driver_call(&t->driver, outgoing->caller_waits);
  pthread_mutex_unlock(&t->driver.lock);
  return TESS_OK;
}

static void transport_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  curl_transport *t = (curl_transport *)transport;
  pthread_mutex_lock(&t->driver.lock);
  request *r = outgoing->transport_data;
  if (r != NULL) {
    r->want_resume = true;
    enqueue(t, r);
    tess__driver_call(&t->driver, false);
  }
  pthread_mutex_unlock(&t->driver.lock);
}

static void transport_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  curl_transport *t = (curl_transport *)transport;
  pthread_mutex_lock(&t->driver.lock);
  request *r = outgoing->transport_data;
  if (r != NULL) {
    atomic_store(&r->want_cancel, true);
    enqueue(t, r);
    tess__driver_call(&t->driver, false);
  }
  pthread_mutex_unlock(&t->driver.lock);
}

static int64_t transport_now_ms(tess_transport *transport) {
  (void)transport;
  return tess__driver_now_ms();
}

static bool transport_wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                           int64_t until_ms) {
  return tess__driver_wait(&((curl_transport *)transport)->driver, done, ctx, until_ms);
}

static bool transport_can_wait(tess_transport *transport) {
  return tess__driver_can_wait(&((curl_transport *)transport)->driver);
}

/* What is left when the thread has ended, or was never started. */
static void dispose(curl_transport *t) {
  while (t->spare != NULL) {
    request *r = t->spare;
    t->spare = r->next_spare;
    tess__curl_request_free(r);
  }
  if (t->multi != NULL) curl_multi_cleanup(t->multi);
  tess__tls_options_cleanup(&t->tls);
  tess__driver_cleanup(&t->driver);
  free(t);
}

static void transport_free(tess_transport *transport) {
  curl_transport *t = (curl_transport *)transport;
  if (t == NULL) return;
  tess__driver_stop(&t->driver);
  dispose(t);
}

static const tess_transport_ops curl_ops = {.start = transport_start,
                                            .resume = transport_resume,
                                            .cancel = transport_cancel,
                                            .now_ms = transport_now_ms,
                                            .wait = transport_wait,
                                            .can_wait = transport_can_wait,
                                            .free = transport_free,
                                            .tells_taken = TESS__CURL_TELLS_TAKEN};

static CURLcode global_result;

static void global_init(void) {
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

tess_transport *tess_transport_curl_new(const tess_transport_curl_options *options,
                                        tess_status *status) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, global_init);
  curl_transport *t = global_result == CURLE_OK ? calloc(1, sizeof *t) : NULL;
  if (t == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "cannot set up libcurl");
    return NULL;
  }
  t->base.ops = &curl_ops;
  if (options != NULL) t->options = *options;
  t->options.tls = NULL; /* the caller's; ours is t->tls */
  if (t->options.max_connections_per_host == 0) t->options.max_connections_per_host = 16;
  if (t->options.max_connections == 0) t->options.max_connections = 256;
  if (t->options.connect_timeout_ms <= 0) t->options.connect_timeout_ms = 5000;
  int64_t *peer_ms = &t->options.peer_timeout_ms;
  if (*peer_ms <= 0) *peer_ms = 60000;
  if (*peer_ms < LEAST_PEER_TIMEOUT_MS) *peer_ms = LEAST_PEER_TIMEOUT_MS;
  if (*peer_ms > MOST_PEER_TIMEOUT_MS) *peer_ms = MOST_PEER_TIMEOUT_MS;
  if (t->options.buffer_bytes > TESS__CURL_MAX_BUFFER_BYTES)
    t->options.buffer_bytes = TESS__CURL_MAX_BUFFER_BYTES;
  t->commands_end = &t->commands;
  static const tess__driver_ops driver_ops = {work, rest, wake, end_all};
  tess__driver_init(&t->driver, &driver_ops, t);
  CURLcode rc = CURLE_OUT_OF_MEMORY;
  t->multi = curl_multi_init();
  if (t->multi == NULL ||
      (options != NULL && options->tls != NULL && !tess__tls_options_copy(&t->tls, options->tls)))
    goto failed;
  /* The first request's handle shows whether this libcurl can do what is asked. */
  t->spare = tess__curl_request_new(&t->options, &t->tls, &t->lookups, &rc);
  if (t->spare == NULL) goto failed;
  t->spare_count = 1;
  long total = (long)t->options.max_connections;
  curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  curl_multi_setopt(t->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                    (long)t->options.max_connections_per_host);
  curl_multi_setopt(t->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
  curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, total);
  if (tess__driver_start(&t->driver) != 0) goto failed;
  return &t->base;

failed:
  tess_status_set(status, tess__curl_code(rc), "cannot set up a transport: %s",
                  curl_easy_strerror(rc));
  dispose(t);
  return NULL;
}
