/* SPDX-License-Identifier: Apache-2.0
 *
 * A request of the module (http_post) on its way to a worker.
 *
 * The body goes out from the module's memory where that may be kept, else from
 * a copy. The response comes into one buffer: for a large one, where the engine
 * has stable memory, the transport is paused after the first bytes until the
 * module thread has made a block of the module's memory for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/host_headers.h"
#include "server/host_internal.h"

static tess__post *from_outgoing(tess_http_outgoing *outgoing) {
  return (tess__post *)outgoing;
}

static void post_event(tess__post *post, unsigned flags) {
  pthread_mutex_lock(&post->host->lock);
  tess__event_post(post->host, &post->event, flags);
  pthread_mutex_unlock(&post->host->lock);
}

/* ---- the transport's side ---- */

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  tess__post *post = from_outgoing(outgoing);
  while (post->next_piece < post->piece_count) {
    *slice = post->pieces[post->next_piece++];
    if (slice->size > 0) return TESS_BODY_DATA;
  }
  return TESS_BODY_END;
}

static bool rewind_body(tess_http_outgoing *outgoing) {
  from_outgoing(outgoing)->next_piece = 0;
  return true;
}

/* The response cannot be taken: what comes is dropped until the module thread
 * has cancelled the request. */
static void give_up(tess__post *post, const char *why) {
  if (post->too_large) return;
  post->too_large = true;
  snprintf(post->detail, sizeof post->detail, "%s", why);
  post_event(post, TESS__CANCELLED);
}

static void give_up_large(tess__post *post) {
  post->over_told = post->most_told && post->status == 200; /* an error may be longer */
  give_up(post, post->over_told ? "the response is larger than it can be"
                                : "the response is larger than this server takes");
}

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  tess__post *post = from_outgoing(outgoing);
  free(post->response_headers);
  post->status = status;
  post->response_headers = tess_host_headers_text(headers, &post->response_headers_size);
  post->response_length = content_length;
  if (post->response_headers == NULL) {
    give_up(post, "no memory for the response's headers");
  } else if (content_length >= 0 && (uint64_t)content_length > post->most) {
    give_up_large(post);
  }
}

/* Asks for a block, and keeps the bytes that came too early. False: no memory. */
static bool ask_for_block(tess__post *post, const tess_chunk *chunk) {
  size_t length = (size_t)post->response_length;
  post->block_asked = true;
  if (!tess__charge(post->host, length)) return false;
  post->body.charged = length;
  post->first_bytes = malloc(chunk->size + 1);
  if (post->first_bytes == NULL) return false;
  if (chunk->size > 0) memcpy(post->first_bytes, chunk->data, chunk->size);
  post->first_size = chunk->size;
  post_event(post, TESS__WANTS_BLOCK);
  return true;
}

static bool wants_block(tess__post *post) {
  if (post->block_asked || post->response_length < (int64_t)TESS__LARGE_BYTES) return false;
  pthread_mutex_lock(&post->host->lock);
  bool wants = post->host->has_blocks && post->handle != 0;
  pthread_mutex_unlock(&post->host->lock);
  return wants;
}

static bool append(tess__post *post, const tess_chunk *chunk) {
  tess__body *body = &post->body;
  size_t most = post->most;
  size_t needed = body->size + chunk->size;
  if (needed > body->capacity) {
    if (body->guest != 0) return false; /* more than its length said */
    size_t wanted = needed;
    if (post->response_length >= 0 && (size_t)post->response_length > wanted) {
      wanted = (size_t)post->response_length;
    } else if (post->most_told) {
      wanted = most; /* never a second block */
    } else if (body->capacity > 0 && 2 * body->capacity > wanted) {
      wanted = 2 * body->capacity < most ? 2 * body->capacity : most;
    }
    if (tess__body_reserve(post->host, body, wanted) != TESS_OK) return false;
  }
  if (chunk->size > 0) memcpy(body->data + body->size, chunk->data, chunk->size);
  body->size = needed;
  return true;
}

static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  tess__post *post = from_outgoing(outgoing);
  bool go_on = true;
  if (post->too_large) {
    /* dropped */
  } else if (wants_block(post)) {
    go_on = false;
    if (!ask_for_block(post, chunk)) {
      give_up(post, "no memory for the response");
      go_on = true;
    }
  } else if (chunk->size > post->most - post->body.size) {
    give_up_large(post);
  } else if (!append(post, chunk)) {
    give_up(post, "no room for the response");
  }
  tess_chunk_release(chunk);
  return go_on;
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  tess__post *post = from_outgoing(outgoing);
  tess_module_host *host = post->host;
  post->end_code = code;
  if (!post->too_large && detail != NULL) {
    snprintf(post->detail, sizeof post->detail, "%s", detail);
  }
  pthread_mutex_lock(&host->lock);
  post->ended = true;
  tess__event_post(host, &post->event, TESS__COMPLETE);
  pthread_cond_broadcast(&host->happened); /* whoever waits in http_cancel */
  pthread_mutex_unlock(&host->lock);
  /* From here on it may be freed. */
}

static const tess_http_outgoing_ops post_ops = {
    .next_body = next_body,
    .rewind_body = rewind_body,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
};

/* ---- start and end ---- */

static void post_free(tess__post *post) {
  tess_module_host *host = post->host;
  tess__uncharge(host, post->charged);
  if (post->kept != NULL) tess__instance_unpin(host, post->kept);
  tess_metadata_cleanup(&post->headers);
  free(post->url);
  free(post->pieces);
  free(post->copy);
  free(post->response_headers);
  free(post->first_bytes);
  free(post);
}

/* The body: as it lies, or copied into one buffer. */
static bool take_pieces(tess__post *post, const tess_slice *pieces, size_t count, bool keep) {
  tess_module_host *host = post->host;
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += pieces[i].size;
  post->outgoing.content_length = (int64_t)total;
  if (total > host->options.max_message_bytes) return false;
  keep = keep && total >= TESS__LARGE_BYTES;
  post->pieces = malloc((keep ? count : 1) * sizeof *pieces);
  if (post->pieces == NULL) return false;
  if (keep) {
    memcpy(post->pieces, pieces, count * sizeof *pieces);
    post->piece_count = count;
    post->kept = host->instance;
    tess__instance_pin(host, post->kept);
    return true;
  }
  if (!tess__charge(host, total)) return false;
  post->charged = total;
  post->copy = malloc(total + 1);
  if (post->copy == NULL) return false;
  uint8_t *at = post->copy;
  for (size_t i = 0; i < count; i++) {
    if (pieces[i].size > 0) memcpy(at, pieces[i].data, pieces[i].size);
    at += pieces[i].size;
  }
  post->pieces[0] = (tess_slice){post->copy, total};
  post->piece_count = total > 0 ? 1 : 0;
  return true;
}

/* Takes the header out that says how much of the response the module wants. */
static void take_limit(tess__post *post) {
  tess_metadata *headers = &post->headers;
  post->most = post->host->options.max_message_bytes;
  const tess_metadata_entry *entry = tess_metadata_find(headers, TESS_ABI_MAX_RESPONSE_BYTES, 0);
  if (entry == NULL) return;
  const unsigned long long told = strtoull(entry->value, NULL, 10);
  if (told > 0 && told < post->most) {
    post->most = (size_t)told;
    post->most_told = true;
  }
  const size_t at = (size_t)(entry - headers->entries);
  headers->count--;
  memmove(&headers->entries[at], &headers->entries[at + 1], (headers->count - at) * sizeof *entry);
}

static tess__post *post_new(tess_module_host *host, tess_transport *transport, tess_slice url,
                            tess_slice headers, const tess_slice *pieces, size_t count,
                            double timeout_ms, bool keep) {
  tess__post *post = calloc(1, sizeof *post);
  if (post == NULL) return NULL;
  post->host = host;
  post->transport = transport;
  post->event.kind = TESS__EVENT_POST;
  post->response_length = -1;
  tess_metadata_init(&post->headers, NULL, TESS__MAX_HEADER_BYTES);
  post->url = malloc(url.size + 1);
  if (post->url != NULL) {
    memcpy(post->url, url.data, url.size);
    post->url[url.size] = '\0';
  }
  if (post->url == NULL || tess_host_headers_parse(headers, &post->headers) != TESS_OK ||
      !take_pieces(post, pieces, count, keep)) {
    post_free(post);
    return NULL;
  }
  take_limit(post);
  post->outgoing.ops = &post_ops;
  post->outgoing.method = "POST";
  post->outgoing.url = post->url;
  post->outgoing.headers = &post->headers;
  post->outgoing.body = post->pieces;
  post->outgoing.body_count = post->piece_count;
  post->outgoing.deadline_ms = TESS_NEVER_MS;
  if (timeout_ms > 0 && timeout_ms < 1e15)
    post->outgoing.deadline_ms = transport->ops->now_ms(transport) + (int64_t)(timeout_ms + 0.999);
  return post;
}

static int32_t refused(tess_module_host *host, const char *why, tess_slice url) {
  pthread_mutex_lock(&host->lock);
  host->counts.posts_refused++;
  pthread_mutex_unlock(&host->lock);
  tess__log(host, TESS_ABI_LOG_WARNING, "refused a request of the module to %.*s: %s",
            url.size < 200 ? (int)url.size : 200, (const char *)url.data, why);
  return -1;
}

int32_t tess__post_start(tess_module_host *host, tess_slice url, tess_slice headers,
                         const tess_slice *pieces, size_t piece_count, double timeout_ms,
                         bool keep) {
  tess_transport *transport = tess__host_transport(host, url);
  if (transport == NULL) return refused(host, "no configured worker", url);
  tess__post *post = post_new(host, transport, url, headers, pieces, piece_count, timeout_ms, keep);
  if (post == NULL) return refused(host, "too large, or no memory", url);
  pthread_mutex_lock(&host->lock);
  int32_t handle = tess_slots_add(&host->posts, post);
  post->handle = handle;
  if (handle != 0) {
    host->counts.posts++;
    host->posts_open++;
  }
  pthread_mutex_unlock(&host->lock);
  if (handle == 0) {
    post_free(post);
    return refused(host, "too many requests in flight", url);
  }
  tess_status status = TESS_STATUS_INIT;
  if (transport->ops->start(transport, &post->outgoing, &status) == TESS_OK) return handle;
  pthread_mutex_lock(&host->lock);
  tess_slots_remove(&host->posts, handle);
  host->posts_open--;
  pthread_mutex_unlock(&host->lock);
  post_free(post);
  int32_t result = refused(host, status.message != NULL ? status.message : "not started", url);
  tess_status_cleanup(&status);
  return result;
}

/* Ends it without an answer. Kept pieces: until the transport has let go. */
static void cancel(tess_module_host *host, tess__post *post, bool wait) {
  post->transport->ops->cancel(post->transport, &post->outgoing);
  if (!wait) return;
  /* The transport promises on_end; should it fail to, the watchdog ends this. */
  pthread_mutex_lock(&host->lock);
  while (!post->ended)
    pthread_cond_wait(&host->happened, &host->lock);
  pthread_mutex_unlock(&host->lock);
}

void tess__post_cancel(tess_module_host *host, int32_t handle) {
  pthread_mutex_lock(&host->lock);
  tess__post *post = tess_slots_get(&host->posts, handle);
  bool ended = true;
  if (post != NULL) {
    tess_slots_remove(&host->posts, handle);
    post->handle = 0;
    ended = post->ended;
  }
  pthread_mutex_unlock(&host->lock);
  if (!ended) cancel(host, post, post->kept != NULL);
}

void tess__posts_cancel_all(tess_module_host *host) {
  for (uint32_t i = 0; i < host->posts.capacity; i++) {
    pthread_mutex_lock(&host->lock);
    tess__post *post = tess_slots_at(&host->posts, i);
    bool ended = true;
    if (post != NULL) {
      tess_slots_remove(&host->posts, post->handle);
      post->handle = 0;
      ended = post->ended;
    }
    pthread_mutex_unlock(&host->lock);
    if (!ended) cancel(host, post, false);
  }
}

/* ---- the module's side ---- */

static tess_engine_outcome make_block(tess_module_host *host, tess__post *post) {
  tess_transport *transport = post->transport;
  tess_engine_outcome outcome = TESS_ENGINE_REFUSED;
  if (host->instance != NULL && post->handle != 0) {
    outcome = tess__body_to_guest(host, &post->body, (size_t)post->response_length);
  }
  if (outcome == TESS_ENGINE_DONE && post->first_size <= post->body.capacity) {
    memcpy(post->body.data, post->first_bytes, post->first_size);
    post->body.size = post->first_size;
    transport->ops->resume(transport, &post->outgoing);
    return TESS_ENGINE_DONE;
  }
  post->no_block = true;
  transport->ops->cancel(transport, &post->outgoing);
  return outcome == TESS_ENGINE_TRAPPED ? outcome : TESS_ENGINE_DONE;
}

static tess_engine_outcome call_on_response(tess_module_host *host, int32_t handle, int32_t status,
                                            tess_slice headers, tess_engine_body *body) {
  tess_engine *engine = host->instance->engine;
  tess__watchdog_enter(host, engine);
  tess_engine_outcome outcome = engine->ops->on_response(engine, handle, status, headers, body);
  tess__watchdog_leave(host);
  return outcome;
}

/* Hands over the response, or why there is none. */
static tess_engine_outcome deliver(tess_module_host *host, tess__post *post, int32_t handle) {
  bool whole = post->response_length < 0 || post->body.size == (size_t)post->response_length;
  bool good = post->end_code == TESS_OK && !post->too_large && !post->no_block &&
              post->status != 0 && whole;
  tess_engine_outcome outcome = TESS_ENGINE_REFUSED;
  if (good) {
    const tess_slice headers = {post->response_headers, post->response_headers_size};
    bool had_body = post->body.size > 0;
    tess_engine_body body = tess__body_give(host, &post->body);
    if (!had_body || body.chunk.data != NULL) {
      outcome = call_on_response(host, handle, post->status, headers, &body);
    }
    if (outcome != TESS_ENGINE_REFUSED) return outcome;
    post->no_block = true;
  }
  pthread_mutex_lock(&host->lock);
  host->counts.posts_failed++;
  pthread_mutex_unlock(&host->lock);
  bool late = post->end_code == TESS_DEADLINE_EXCEEDED;
  const char *why = post->no_block                        ? "the module has no memory for it"
                    : post->detail[0] != '\0'             ? post->detail
                    : late                                ? "no answer in time"
                    : post->end_code == TESS_OK && !whole ? "the response is cut short"
                                                          : tess_code_name(post->end_code);
  if (why == NULL) why = "no answer";
  uint8_t text[sizeof post->detail];
  size_t size = strlen(why) < sizeof text ? strlen(why) : sizeof text;
  memcpy(text, why, size);
  tess_engine_body body = {{text, size, NULL, NULL}, 0};
  int32_t status = post->over_told ? TESS_ABI_STATUS_TOO_LARGE
                   : late          ? TESS_ABI_STATUS_TIMEOUT
                                   : TESS_ABI_STATUS_UNREACHABLE;
  outcome = call_on_response(host, handle, status, (tess_slice){"", 0}, &body);
  if (outcome != TESS_ENGINE_REFUSED) return outcome;
  /* Not even memory for the reason: an answer without one needs none. */
  body = (tess_engine_body){{NULL, 0, NULL, NULL}, 0};
  return call_on_response(host, handle, status, (tess_slice){"", 0}, &body);
}

tess_engine_outcome tess__post_happened(tess_module_host *host, tess__post *post, unsigned flags) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  if ((flags & TESS__COMPLETE) == 0) {
    if ((flags & TESS__WANTS_BLOCK) != 0) return make_block(host, post);
    if ((flags & TESS__CANCELLED) != 0) cancel(host, post, false);
    return outcome;
  }
  pthread_mutex_lock(&host->lock);
  int32_t handle = post->handle;
  if (handle != 0) tess_slots_remove(&host->posts, handle);
  post->handle = 0;
  host->posts_open--;
  pthread_mutex_unlock(&host->lock);
  if (handle != 0 && host->instance != NULL) outcome = deliver(host, post, handle);
  if (outcome == TESS_ENGINE_TRAPPED) {
    tess__body_free(host, &post->body); /* the instance is dead, its blocks with it */
  } else {
    outcome = tess__body_drop(host, &post->body);
  }
  post_free(post);
  return outcome;
}
