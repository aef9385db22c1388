/* SPDX-License-Identifier: Apache-2.0
 *
 * The module thread: takes events, calls the module's exports, runs its loop,
 * and starts a new instance when one has died.
 */
#include "server/module_host.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/host_internal.h"

#define MAX_LOG_BYTES 1024
/* Share of the bytes in flight that may stay warm. */
#define WARM_SHARE 4

int64_t tess__now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tess__log(tess_module_host *host, int level, const char *format, ...) {
  char line[MAX_LOG_BYTES];
  if (host->options.log == NULL) return;
  va_list list;
  va_start(list, format);
  vsnprintf(line, sizeof line, format, list);
  va_end(list);
  /* What the module or a peer wrote must not forge lines or move the cursor. */
  for (char *c = line; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
  }
  host->options.log(host->options.ctx, level, line);
}

/* ---- events ---- */

void tess__event_post(tess_module_host *host, tess__event *event, unsigned flags) {
  event->flags |= flags;
  if (event->queued) return;
  event->queued = true;
  event->next = NULL;
  if (host->last != NULL) {
    host->last->next = event;
  } else {
    host->first = event;
    pthread_cond_signal(&host->changed);
  }
  host->last = event;
}

/* lock held */
static tess__event *event_take(tess_module_host *host, unsigned *flags) {
  tess__event *event = host->first;
  if (event == NULL) return NULL;
  host->first = event->next;
  if (host->first == NULL) host->last = NULL;
  event->queued = false;
  *flags = event->flags;
  event->flags = 0;
  return event;
}

/* ---- requests ---- */

void tess__request_settle(tess__request *request) {
  tess_module_host *host = request->host;
  pthread_mutex_lock(&host->lock);
  bool forget = request->id != 0 && request->replied && request->kept == 0 &&
                !request->event.queued && request->body.guest == 0;
  if (forget) {
    tess_slots_remove(&host->requests, request->id);
    request->id = 0;
  }
  pthread_mutex_unlock(&host->lock);
  if (forget) tess__request_unref(request);
}

static void mark_replied(tess__request *request) {
  pthread_mutex_lock(&request->host->lock);
  request->replied = true;
  pthread_mutex_unlock(&request->host->lock);
}

/* The host answers for the module, and counts it. */
void tess__request_fail_counted(tess__request *request, tess_code code, const char *message) {
  pthread_mutex_lock(&request->host->lock);
  request->replied = true;
  request->host->counts.requests_failed++;
  pthread_mutex_unlock(&request->host->lock);
  tess__request_fail(request, code, message);
}

void tess__fail_all(tess_module_host *host, tess_code code, const char *message) {
  for (uint32_t i = 0; i < host->requests.capacity; i++) {
    pthread_mutex_lock(&host->lock);
    tess__request *request = tess_slots_at(&host->requests, i);
    if (request != NULL) atomic_fetch_add(&request->references, 1);
    pthread_mutex_unlock(&host->lock);
    if (request == NULL) continue;
    tess__request_fail(request, code, message);
    tess__request_unref(request);
  }
}

static tess_slice text(const char *s) {
  return (tess_slice){s, strlen(s)};
}

/* Most memory of a module, where it is given no less. */
#define MODULE_MEMORY_BYTES (UINT64_C(1) << 32)

/* Says both numbers: what is needed, and what there is. */
static void refuse_for_memory(tess__request *request, uint64_t bytes) {
  const uint64_t given = request->host->options.memory_limit;
  char why[192];
  snprintf(why, sizeof why,
           "the request of %" PRIu64 " bytes does not fit into the module's memory of %" PRIu64
           " (--memory-limit) beside what it holds",
           bytes, given != 0 ? given : MODULE_MEMORY_BYTES);
  tess__request_fail_counted(request, TESS_RESOURCE_EXHAUSTED, why);
}

/* The request is complete: to the module with it. */
static tess_engine_outcome deliver(tess_module_host *host, tess__request *request) {
  if (host->instance == NULL) {
    tess__request_fail_counted(request, TESS_UNAVAILABLE, "the module is being restarted");
    return tess__body_drop(host, &request->body);
  }
  if (request->body.guest != 0 && request->body.instance != host->instance) {
    tess__request_fail_counted(request, TESS_INTERNAL, "the module was restarted");
    return tess__body_drop(host, &request->body);
  }
  const uint64_t bytes = request->body.size;
  tess_engine_body body = tess__body_give(host, &request->body);
  if (bytes > 0 && body.chunk.data == NULL) {
    tess__request_fail_counted(request, TESS_RESOURCE_EXHAUSTED, "no memory for the request");
    return TESS_ENGINE_DONE;
  }
  pthread_mutex_lock(&host->lock);
  request->delivered = true;
  int32_t id = request->id;
  pthread_mutex_unlock(&host->lock);
  tess_engine *engine = host->instance->engine;
  tess__watchdog_enter(host, engine);
  tess_engine_outcome outcome =
      engine->ops->on_request(engine, id, text(request->method), text(request->path),
                              (tess_slice){request->headers, request->headers_size}, &body);
  tess__watchdog_leave(host);
  if (outcome == TESS_ENGINE_REFUSED) {
    refuse_for_memory(request, bytes);
    return TESS_ENGINE_DONE;
  }
  return outcome;
}

static tess_engine_outcome make_block(tess_module_host *host, tess__request *request) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  if (host->instance == NULL) {
    tess__request_fail_counted(request, TESS_UNAVAILABLE, "the module is being restarted");
    return outcome;
  }
  outcome = tess__body_to_guest(host, &request->body, (size_t)request->content_length);
  if (outcome == TESS_ENGINE_REFUSED) {
    refuse_for_memory(request, (uint64_t)request->content_length);
    return TESS_ENGINE_DONE;
  }
  if (outcome == TESS_ENGINE_DONE) tess__request_block_answered(request);
  return outcome;
}

typedef tess_engine_outcome (*id_export)(tess_engine *engine, int32_t id);

static tess_engine_outcome call_with_id(tess_module_host *host, id_export export, int32_t id) {
  tess__watchdog_enter(host, host->instance->engine);
  tess_engine_outcome outcome = export(host->instance->engine, id);
  tess__watchdog_leave(host);
  return outcome;
}

static tess_engine_outcome cancelled(tess_module_host *host, tess__request *request) {
  if (!request->delivered) {
    mark_replied(request);
    return tess__body_drop(host, &request->body);
  }
  if (request->replied) return TESS_ENGINE_DONE;
  mark_replied(request);
  pthread_mutex_lock(&host->lock);
  host->counts.requests_cancelled++;
  pthread_mutex_unlock(&host->lock);
  if (host->instance == NULL) return TESS_ENGINE_DONE;
  return call_with_id(host, host->instance->engine->ops->on_cancel, request->id);
}

static tess_engine_outcome parts_sent(tess_module_host *host, tess__request *request) {
  pthread_mutex_lock(&host->lock);
  uint32_t sent = request->sent;
  request->sent = 0;
  request->kept -= sent;
  pthread_mutex_unlock(&host->lock);
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  for (uint32_t i = 0; i < sent && host->instance != NULL && outcome == TESS_ENGINE_DONE; i++) {
    outcome = call_with_id(host, host->instance->engine->ops->on_sent, request->id);
  }
  return outcome;
}

static tess_engine_outcome request_happened(tess_module_host *host, tess__request *request,
                                            unsigned flags) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  atomic_fetch_add(&request->references, 1);
  if ((flags & TESS__CANCELLED) != 0) {
    outcome = cancelled(host, request);
  } else if ((flags & TESS__WANTS_BLOCK) != 0) {
    outcome = make_block(host, request);
  } else if ((flags & TESS__COMPLETE) != 0) {
    outcome = deliver(host, request);
  } else if ((flags & TESS__WRITABLE) != 0 && request->delivered && !request->replied &&
             host->instance != NULL) {
    outcome = call_with_id(host, host->instance->engine->ops->on_writable, request->id);
  }
  if ((flags & TESS__SENT) != 0 && outcome == TESS_ENGINE_DONE) {
    outcome = parts_sent(host, request);
  }
  tess__request_settle(request);
  tess__request_unref(request);
  return outcome;
}

static tess_engine_outcome stats_wanted(tess_module_host *host, tess__stats_wait *wait) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  size_t size = 0;
  if (host->instance != NULL) {
    tess_engine *engine = host->instance->engine;
    tess__watchdog_enter(host, engine);
    outcome = engine->ops->stats(engine, wait->text, wait->room, &size);
    tess__watchdog_leave(host);
    if (outcome != TESS_ENGINE_TRAPPED) wait->memory_bytes = engine->ops->memory_bytes(engine);
  }
  pthread_mutex_lock(&host->lock);
  wait->size = outcome == TESS_ENGINE_DONE ? size : 0;
  wait->done = true;
  bool abandoned = wait->abandoned;
  pthread_cond_broadcast(&host->happened);
  pthread_mutex_unlock(&host->lock);
  if (abandoned) free(wait);
  return outcome;
}

static tess_engine_outcome happened(tess_module_host *host, tess__event *event, unsigned flags) {
  void *owner = event;
  switch (event->kind) {
    case TESS__EVENT_REQUEST:
      owner = (char *)event - offsetof(tess__request, event);
      return request_happened(host, owner, flags);
    case TESS__EVENT_POST:
      owner = (char *)event - offsetof(tess__post, event);
      return tess__post_happened(host, owner, flags);
    case TESS__EVENT_STATS:
      owner = (char *)event - offsetof(tess__stats_wait, event);
      return stats_wanted(host, owner);
  }
  return TESS_ENGINE_DONE;
}

/* ---- imports ---- */

/* A request that the module may still answer, with a reference; or NULL. */
static tess__request *find_request(tess_module_host *host, int32_t id) {
  pthread_mutex_lock(&host->lock);
  tess__request *request = tess_slots_get(&host->requests, id);
  if (request != NULL && (!request->delivered || request->replied)) request = NULL;
  if (request != NULL) atomic_fetch_add(&request->references, 1);
  pthread_mutex_unlock(&host->lock);
  return request;
}

static int32_t import_http_reply(void *ctx, int32_t id, int32_t status, tess_slice headers,
                                 const tess_slice *pieces, size_t piece_count, int32_t flags,
                                 bool keep) {
  tess__request *request = find_request(ctx, id);
  if (request == NULL) return -1;
  bool more = (flags & TESS_ABI_REPLY_MORE) != 0;
  int32_t result = tess__reply_begin(request, status, headers, pieces, piece_count, more, keep);
  tess__request_settle(request);
  tess__request_unref(request);
  return result;
}

static int32_t import_http_reply_more(void *ctx, int32_t id, const tess_slice *pieces,
                                      size_t piece_count, int32_t flags, bool keep) {
  tess__request *request = find_request(ctx, id);
  if (request == NULL) return -1;
  bool more = (flags & TESS_ABI_REPLY_MORE) != 0;
  int32_t result = tess__reply_continue(request, pieces, piece_count, more, keep);
  tess__request_settle(request);
  tess__request_unref(request);
  return result;
}

static int32_t import_http_post(void *ctx, tess_slice url, tess_slice headers,
                                const tess_slice *pieces, size_t piece_count, double timeout_ms,
                                bool keep) {
  return tess__post_start(ctx, url, headers, pieces, piece_count, timeout_ms, keep);
}

static void import_http_cancel(void *ctx, int32_t handle) {
  tess__post_cancel(ctx, handle);
}

static void import_log(void *ctx, int32_t level, tess_slice line) {
  if (level < TESS_ABI_LOG_DEBUG || level > TESS_ABI_LOG_ERROR) level = TESS_ABI_LOG_INFO;
  int size = line.size < MAX_LOG_BYTES - 16 ? (int)line.size : MAX_LOG_BYTES - 16;
  tess__log(ctx, level, "module: %.*s", size, (const char *)line.data);
}

/* ---- the thread ---- */

/* Everything that happened so far. */
static void handle_events(tess_module_host *host) {
  for (;;) {
    unsigned flags = 0;
    pthread_mutex_lock(&host->lock);
    tess__event *event = event_take(host, &flags);
    pthread_mutex_unlock(&host->lock);
    if (event == NULL) return;
    if (happened(host, event, flags) != TESS_ENGINE_TRAPPED) continue;
    tess__instance_trapped(host);
    tess__instance_restart(host); /* at once: the next event may be a request */
  }
}

/* Runs the loop once; returns when it wants to run again. */
static int64_t run_loop(tess_module_host *host) {
  double wake_in_ms = TESS_ABI_WAIT_FOR_EVENT;
  tess_engine *engine = host->instance->engine;
  tess__watchdog_enter(host, engine);
  tess_engine_outcome outcome = engine->ops->loop(engine, &wake_in_ms);
  tess__watchdog_leave(host);
  if (outcome == TESS_ENGINE_TRAPPED) {
    tess__instance_trapped(host);
    tess__instance_restart(host);
    return 0;
  }
  if (!(wake_in_ms >= 0) || wake_in_ms > 1e15) return TESS_NEVER_MS;
  return wake_in_ms == 0 ? 0 : tess__now_ms() + (int64_t)ceil(wake_in_ms);
}

/* Ends when everything is answered, cancelled and let go. */
static void shut_down(tess_module_host *host) {
  const char *message = "the server is shutting down";
  tess__fail_all(host, TESS_UNAVAILABLE, message);
  tess__instance_retire(host);
  tess__instance_clean_up(host, TESS_UNAVAILABLE, message);
  for (;;) {
    handle_events(host);
    tess__instance_bury(host);
    pthread_mutex_lock(&host->lock);
    bool done = host->posts_open == 0 && host->graveyard == NULL && host->first == NULL &&
                host->requests_open == 0;
    if (!done && host->first == NULL && (host->graveyard == NULL || host->graveyard->pins > 0)) {
      tess__cond_wait_until(&host->changed, &host->lock, tess__now_ms() + 1000);
    }
    pthread_mutex_unlock(&host->lock);
    if (done) return;
  }
}

/* Warm memory goes when it was idle for long. Returns when to wake up, wake_at
 * or earlier. */
static int64_t trim(tess_module_host *host, int64_t wake_at) {
  int64_t oldest = tess_warm_trim(host->warm, tess__now_ms() - TESS_WARM_IDLE_MS);
  if (oldest == INT64_MAX) return wake_at;
  int64_t due = oldest + TESS_WARM_IDLE_MS + 1;
  return due < wake_at ? due : wake_at;
}

static void tell_started(tess_module_host *host, tess_code code) {
  pthread_mutex_lock(&host->lock);
  host->started = true;
  host->start_code = code;
  pthread_cond_broadcast(&host->happened);
  pthread_mutex_unlock(&host->lock);
}

static void *run(void *argument) {
  tess_module_host *host = argument;
  tess_code code = tess__instance_start(host, &host->start_status);
  tell_started(host, code);
  int64_t wake_at = 0;
  for (;;) {
    pthread_mutex_lock(&host->lock);
    while (!host->stop && host->first == NULL && tess__now_ms() < wake_at) {
      bool woken = tess__cond_wait_until(&host->changed, &host->lock, wake_at);
      /* An instance may have lost its last pin. */
      if (woken && host->graveyard != NULL) break;
    }
    bool stop = host->stop;
    pthread_mutex_unlock(&host->lock);
    if (stop || code != TESS_OK) break; /* one that did not start is not tried again */
    if (host->instance == NULL) tess__instance_restart(host);
    handle_events(host);
    tess__instance_bury(host);
    wake_at = host->instance != NULL ? run_loop(host) : tess__instance_restart_at(host);
    if (wake_at > 0) wake_at = trim(host, wake_at);
  }
  shut_down(host);
  return NULL;
}

/* ---- public ---- */

static void set_defaults(tess_module_host_options *options) {
  if (options->max_message_bytes == 0) options->max_message_bytes = (size_t)1 << 30;
  if (options->max_inflight_bytes == 0) options->max_inflight_bytes = (size_t)2 << 30;
  if (options->max_requests == 0) options->max_requests = 1024;
  if (options->max_posts == 0) options->max_posts = 1024;
  if (options->stream_window_bytes == 0) options->stream_window_bytes = (size_t)1 << 20;
  if (options->watchdog_ms == 0) options->watchdog_ms = 10000;
  if (options->max_restarts_per_minute == 0) options->max_restarts_per_minute = 10;
  if (options->config == NULL) options->config = "";
  /* Lengths of the ABI have 32 bits, and one more byte shows an overlong body. */
  if (options->max_message_bytes > UINT32_MAX - 1) options->max_message_bytes = UINT32_MAX - 1;
}

static void host_free(tess_module_host *host) {
  tess_slots_cleanup(&host->requests);
  tess_slots_cleanup(&host->posts);
  tess_status_cleanup(&host->start_status);
  pthread_cond_destroy(&host->changed);
  pthread_cond_destroy(&host->happened);
  pthread_mutex_destroy(&host->lock);
  pthread_cond_destroy(&host->watchdog.changed);
  pthread_mutex_destroy(&host->watchdog.lock);
  tess_warm_free(host->warm);
  free(host->restart_times);
  free(host->reach);
  free(host);
}

static tess_module_host *host_alloc(const tess_module_host_options *options) {
  tess_module_host *host = calloc(1, sizeof *host);
  if (host == NULL) return NULL;
  host->options = *options;
  set_defaults(&host->options);
  host->imports = (tess_engine_host){.http_post = import_http_post,
                                     .http_cancel = import_http_cancel,
                                     .http_reply = import_http_reply,
                                     .http_reply_more = import_http_reply_more,
                                     .log = import_log,
                                     .ctx = host};
  tess_status_init(&host->start_status, NULL);
  pthread_mutex_init(&host->lock, NULL);
  pthread_mutex_init(&host->watchdog.lock, NULL);
  bool ok = tess__cond_init(&host->changed) && tess__cond_init(&host->happened) &&
            tess__cond_init(&host->watchdog.changed);
  host->restart_times = calloc(host->options.max_restarts_per_minute, sizeof *host->restart_times);
  host->warm = tess_warm_new(host->options.max_inflight_bytes / WARM_SHARE);
  ok = ok && host->restart_times != NULL && host->warm != NULL &&
       tess_slots_init(&host->requests, host->options.max_requests) &&
       tess_slots_init(&host->posts, host->options.max_posts);
  if (ok) return host;
  host_free(host);
  return NULL;
}

tess_module_host *tess_module_host_new(const tess_module_host_options *options,
                                       tess_status *status) {
  tess_module_host *host = host_alloc(options);
  if (host == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the module's host");
    return NULL;
  }
  if (tess__watchdog_start(host, status) != TESS_OK) {
    host_free(host);
    return NULL;
  }
  if (pthread_create(&host->thread, NULL, run, host) != 0) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no thread for the module");
    tess__watchdog_stop(host);
    host_free(host);
    return NULL;
  }
  host->thread_started = true;
  pthread_mutex_lock(&host->lock);
  while (!host->started && !host->dead)
    pthread_cond_wait(&host->happened, &host->lock);
  bool hangs = host->dead && !host->started;
  tess_code code = host->start_code;
  pthread_mutex_unlock(&host->lock);
  if (hangs) {
    /* Its thread cannot be ended: what it uses stays. */
    tess_status_set(status, TESS_DEADLINE_EXCEEDED, "the module does not return from its start");
    return NULL;
  }
  if (code == TESS_OK) return host;
  if (status != NULL) tess_status_copy(status, &host->start_status);
  tess_module_host_free(host);
  return NULL;
}

void tess_module_host_free(tess_module_host *host) {
  if (host == NULL) return;
  pthread_mutex_lock(&host->lock);
  host->stop = true;
  pthread_cond_signal(&host->changed);
  pthread_mutex_unlock(&host->lock);
  pthread_join(host->thread, NULL);
  tess__watchdog_stop(host);
  host_free(host);
}

tess_http_handler tess_module_host_handler(tess_module_host *host) {
  return (tess_http_handler){tess__bridge_open, host};
}

bool tess_module_host_ready(void *ctx) {
  tess_module_host *host = ctx;
  pthread_mutex_lock(&host->lock);
  bool ready = host->instance != NULL && !host->dead && !host->stop;
  pthread_mutex_unlock(&host->lock);
  return ready;
}
