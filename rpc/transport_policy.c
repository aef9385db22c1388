/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter of client_policy.h: what to do is decided in retry.h, endpoints.h and
 * response_peek.h; this file carries it out. A call is one request of the client's; an
 * attempt is one request to the transport behind.
 *
 * Who calls the client's on_...: as long as attempts are under way, the thread of
 * the transport behind, for the one attempt that won; on_end comes when the last of them
 * has ended, so that nobody reads the request's body any more. Between attempts it
 * is the clerk, a thread that begins what is due, and ends calls that have nothing
 * under way. A second thread looks names up.
 *
 * Lock: `lock` guards all of it but what belongs to one attempt's thread (its peek).
 * Neither the client nor the transport behind is called with it.
 */
#include <tessera/client_policy.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/deadline.h"
#include "rpc/endpoints.h"
#include "rpc/format.h"
#include "rpc/lookup.h"
#include "rpc/response_peek.h"
#include "rpc/retry.h"
#include "rpc/wait_until.h"

typedef struct call call;
typedef struct policy policy;

typedef struct attempt {
  tess_http_outgoing out; /* first */
  call *call;
  tess__endpoint *endpoint;
  char *url;
  tess_metadata headers; /* a copy with what tells of this attempt; unused in the first */
  size_t body_next;
  tess__peek peek;
  tess_code code; /* how it ended, for the client */
  char detail[160];
  bool starting;  /* start() has not returned */
  bool live;      /* with the transport behind */
  bool answered;  /* its response is being handed on */
  bool abandoned; /* cancelled by us */
} attempt;

struct call {
  call *previous, *next;
  policy *policy;
  tess_http_outgoing *outer;
  tess__retry retry;
  attempt *attempts[TESS_POLICY_MAX_ATTEMPTS];
  unsigned live;
  attempt *winner; /* whose answer, or failure, is the call's */
  bool cancelled;
  bool busy;     /* the clerk is beginning an attempt */
  bool ending;   /* on_end is on its way */
  unsigned refs; /* the call's own, and those who use it without the lock */
};

struct policy {
  tess_transport base; /* first */
  tess_transport *behind;
  tess__retry_rules rules;
  char **names; /* of the configured endpoints */
  size_t name_count;
  pthread_t clerk;
  tess__lookup *lookup; /* NULL: names are not looked up here */

  pthread_mutex_t lock;
  pthread_cond_t changed; /* for the clerk */
  pthread_cond_t told;    /* for who waits: the client was called */
  tess__endpoints endpoints;
  tess__throttle throttle;
  call *calls;
  unsigned finishing; /* calls that are off the list, and whose end is being told */
  uint64_t random;
  bool stop;
  tess_client_policy_stats stats;
};

static policy *policy_of(tess_transport *transport) {
  return (policy *)transport;
}

static int64_t now_of(policy *p) {
  return p->behind->ops->now_ms(p->behind);
}

/* The client was told something: who waits looks whether it is what it waits for. */
static void tell_waiters(policy *p) {
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->told);
  pthread_mutex_unlock(&p->lock);
}

/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
static double draw(policy *p) {
  uint64_t z = (p->random += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* ---- calls ---- */

static void attempt_free(attempt *a) {
  if (a == NULL) return;
  tess__peek_cleanup(&a->peek);
  tess_metadata_cleanup(&a->headers);
  free(a->url);
  free(a);
}

/* Locked. */
static void call_unref(call *c) {
  if (--c->refs > 0) return;
  for (unsigned i = 0; i < TESS_POLICY_MAX_ATTEMPTS; i++)
    attempt_free(c->attempts[i]);
  free(c);
}

/* Locked; unlocks while the client is called. The call is gone from the list then. */
static void end_call(policy *p, call *c, tess_code code, const char *detail) {
  tess_http_outgoing *outer = c->outer;
  c->ending = true;
  c->retry.next_ms = TESS_NEVER_MS;
  outer->transport_data = NULL;
  if (c->previous != NULL)
    c->previous->next = c->next;
  else
    p->calls = c->next;
  if (c->next != NULL) c->next->previous = c->previous;
  p->finishing++;
  pthread_mutex_unlock(&p->lock);
  outer->ops->on_end(outer, code, detail);
  pthread_mutex_lock(&p->lock);
  p->finishing--;
  call_unref(c);
  pthread_cond_broadcast(&p->told);
}

/* The winner's head and what was kept of its body. */
static bool hand_on(attempt *a, const tess_metadata *headers) {
  tess_http_outgoing *outer = a->call->outer;
  a->answered = true;
  outer->ops->on_head(outer, a->peek.status, headers, a->peek.content_length);
  if (a->peek.body.size == 0) return true;
  tess_chunk chunk = {.data = a->peek.body.data, .size = a->peek.body.size};
  return outer->ops->on_body(outer, &chunk);
}

/* Everything has ended: tells the client what the winner brought. Locked. */
static void conclude(policy *p, call *c) {
  attempt *a = c->winner;
  if (c->cancelled) {
    end_call(p, c, TESS_CANCELED, "canceled");
    return;
  }
  if (a == NULL) {
    end_call(p, c, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return;
  }
  if (!a->answered && a->code == TESS_OK) {
    c->ending = true; /* nobody else touches it while the lock is away */
    pthread_mutex_unlock(&p->lock);
    hand_on(a, &a->peek.headers);
    pthread_mutex_lock(&p->lock);
  }
  end_call(p, c, a->code, a->detail[0] != '\0' ? a->detail : NULL);
}

/* Gives up the attempts other than `keep`. Locked; unlocks. */
static void cancel_others(policy *p, call *c, const attempt *keep) {
  c->refs++;
  for (unsigned i = 0; i < TESS_POLICY_MAX_ATTEMPTS; i++) {
    attempt *a = c->attempts[i];
    /* Who starts it looks again. */
    if (a == NULL || a == keep || !a->live || a->starting || a->abandoned) continue;
    a->abandoned = true;
    pthread_mutex_unlock(&p->lock);
    p->behind->ops->cancel(p->behind, &a->out);
    pthread_mutex_lock(&p->lock);
  }
  call_unref(c);
}

/* ---- an attempt, as the transport behind sees it ---- */

static attempt *attempt_of(tess_http_outgoing *outgoing) {
  return (attempt *)outgoing;
}

static tess_http_body_state attempt_next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  attempt *a = attempt_of(outgoing);
  tess_http_outgoing *outer = a->call->outer;
  if (outer->body == NULL) {
    tess_http_body_state state = outer->ops->next_body(outer, slice);
    tell_waiters(a->call->policy); /* there is room for more */
    return state;
  }
  if (a->body_next == outer->body_count) return TESS_BODY_END;
  *slice = outer->body[a->body_next++];
  return TESS_BODY_DATA;
}

static bool attempt_rewind_body(tess_http_outgoing *outgoing) {
  attempt *a = attempt_of(outgoing);
  tess_http_outgoing *outer = a->call->outer;
  if (outer->body == NULL) return outer->ops->rewind_body(outer);
  a->body_next = 0;
  return true;
}

/* The first attempt that has an answer is the call's. */
static bool win(attempt *a) {
  call *c = a->call;
  policy *p = c->policy;
  pthread_mutex_lock(&p->lock);
  bool won = c->winner == NULL && !a->abandoned;
  if (won) {
    c->winner = a;
    c->retry.next_ms = TESS_NEVER_MS;
    cancel_others(p, c, a);
  }
  pthread_mutex_unlock(&p->lock);
  return won;
}

static void attempt_on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                            int64_t content_length) {
  attempt *a = attempt_of(outgoing);
  bool decided = tess__peek_head(&a->peek, status, headers, content_length);
  /* Where there is no other attempt to come, and where the client is still sending,
   * it gets the headers at once. */
  const call *c = a->call;
  if (!decided && (c->retry.max_attempts == 1 || c->outer->content_length < 0))
    decided = a->peek.decided = true;
  if (decided && win(a)) {
    hand_on(a, headers);
    tell_waiters(c->policy);
  }
}

static bool attempt_on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  attempt *a = attempt_of(outgoing);
  tess_http_outgoing *outer = a->call->outer;
  bool go_on = true;
  if (a->answered) {
    go_on = outer->ops->on_body(outer, chunk);
    tell_waiters(a->call->policy);
    return go_on;
  }
  if (!a->peek.decided && tess__peek_body(&a->peek, chunk->data, chunk->size) && win(a)) {
    go_on = hand_on(a, &a->peek.headers);
    if (a->peek.body.failed) go_on = outer->ops->on_body(outer, chunk);
    tell_waiters(a->call->policy);
  }
  tess_chunk_release(chunk); /* nothing, where it was taken */
  return go_on;
}

static tess__endpoint_outcome outcome_of(tess_code transport, tess_code code) {
  const uint32_t bad = TESS_CODE_BIT(TESS_UNKNOWN) | TESS_CODE_BIT(TESS_DEADLINE_EXCEEDED) |
                       TESS_CODE_BIT(TESS_INTERNAL) | TESS_CODE_BIT(TESS_UNAVAILABLE) |
                       TESS_CODE_BIT(TESS_DATA_LOSS);
  if (transport == TESS_CANCELED) return TESS__ENDPOINT_NOTHING;
  if (transport == TESS_UNAVAILABLE) return TESS__ENDPOINT_UNREACHABLE;
  return code > 0 && (bad & TESS_CODE_BIT(code)) != 0 ? TESS__ENDPOINT_FAILED : TESS__ENDPOINT_GOOD;
}

/* An attempt failed before anything of it was handed on. True: the call goes on. */
static bool goes_on(policy *p, attempt *a, tess_code code, tess__pushback pushback) {
  call *c = a->call;
  if (c->cancelled || c->winner != NULL || p->stop) return c->live > 0;
  uint64_t refused = p->throttle.refused;
  bool go_on = tess__retry_failed(&c->retry, &p->rules, &p->throttle, code, pushback, c->live,
                                  now_of(p), c->outer->deadline_ms, draw(p));
  p->stats.throttled += p->throttle.refused - refused;
  return go_on;
}

static void attempt_on_end(tess_http_outgoing *outgoing, tess_code transport, const char *detail) {
  attempt *a = attempt_of(outgoing);
  call *c = a->call;
  policy *p = c->policy;
  tess__pushback pushback = {0};
  tess_code code = transport;
  if (transport == TESS_OK && !a->answered) code = tess__peek_end(&a->peek, &pushback);
  pthread_mutex_lock(&p->lock);
  c->refs++;
  a->live = false;
  c->live--;
  a->code = transport;
  if (detail != NULL) tess__format(a->detail, sizeof a->detail, "%s", detail);
  tess__endpoints_report(&p->endpoints, a->endpoint, outcome_of(transport, code), now_of(p));
  if (transport == TESS_UNAVAILABLE && p->lookup != NULL) tess__lookup_hurry(p->lookup);
  bool failed = code != TESS_OK && !a->answered && !a->abandoned;
  if (code == TESS_OK) tess__retry_succeeded(&p->rules, &p->throttle);
  if (failed && goes_on(p, a, code, pushback)) {
    pthread_cond_signal(&p->changed); /* at next_ms, or when the others end */
    call_unref(c);
    pthread_mutex_unlock(&p->lock);
    return;
  }
  if (c->winner == NULL && !a->abandoned) {
    c->winner = a;
    c->retry.next_ms = TESS_NEVER_MS;
    cancel_others(p, c, a);
  }
  if (c->live == 0 && !c->busy && !c->ending &&
      (c->winner != NULL || c->cancelled || c->retry.next_ms == TESS_NEVER_MS))
    conclude(p, c);
  call_unref(c);
  pthread_mutex_unlock(&p->lock);
}

static const tess_http_outgoing_ops attempt_ops = {
    attempt_next_body, attempt_rewind_body, attempt_on_head, attempt_on_body, attempt_on_end};

/* ---- an attempt's beginning ---- */

/* "http://any/path" with the authority and prefix of the endpoint. */
static char *url_at(const char *endpoint, const char *url) {
  const char *path = strstr(url, "://");
  path = strchr(path != NULL ? path + 3 : url, '/');
  if (path == NULL) path = "/";
  size_t base = strlen(endpoint), rest = strlen(path);
  char *text = malloc(base + rest + 1);
  if (text == NULL) return NULL;
  memcpy(text, endpoint, base);
  memcpy(text + base, path, rest + 1);
  return text;
}

/* The client's headers, with the time that is left and how often it was tried. */
static tess_code headers_again(attempt *a, const tess_http_outgoing *outer, unsigned before,
                               int64_t now_ms) {
  char text[TESS__DECIMAL_BYTES + 1];
  int64_t left = outer->deadline_ms == TESS_NEVER_MS ? -1 : outer->deadline_ms - now_ms;
  if (left < 1 && outer->deadline_ms != TESS_NEVER_MS) left = 1;
  tess_code code = TESS_OK;
  for (size_t i = 0; code == TESS_OK && i < outer->headers->count; i++) {
    const tess_metadata_entry *e = &outer->headers->entries[i];
    size_t size = 0;
    if (left >= 0 && strcmp(e->name, "connect-timeout-ms") == 0)
      size = tess__connect_timeout_format(text, left);
    else if (left >= 0 && strcmp(e->name, "grpc-timeout") == 0)
      size = tess__grpc_timeout_format(text, left);
    code = size > 0 ? tess_metadata_add_n(&a->headers, e->name, strlen(e->name), text, size)
                    : tess_metadata_add_n(&a->headers, e->name, strlen(e->name), e->value,
                                          e->value_size);
  }
  tess__format(text, sizeof text, "%u", before);
  if (code == TESS_OK) code = tess_metadata_add(&a->headers, "grpc-previous-rpc-attempts", text);
  return code;
}

/* Locked; unlocks while the transport begins. An error: the attempt did not begin. */
static tess_code begin_attempt(policy *p, call *c, tess_status *status) {
  tess_http_outgoing *outer = c->outer;
  unsigned index = c->retry.attempts;
  tess__endpoint *tried[TESS_POLICY_MAX_ATTEMPTS];
  for (unsigned i = 0; i < index; i++)
    tried[i] = c->attempts[i]->endpoint;
  int64_t now_ms = now_of(p);
  attempt *a = calloc(1, sizeof *a);
  if (a == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  c->attempts[index] = a;
  tess__peek_init(&a->peek);
  tess_metadata_init(&a->headers, NULL, 0);
  a->call = c;
  a->out = *outer;
  a->out.ops = &attempt_ops;
  a->out.caller_waits = false;
  a->out.transport_data = NULL;
  a->endpoint = tess__endpoints_pick(&p->endpoints, tried, index, now_ms);
  tess__retry_started(&c->retry, &p->rules, &p->throttle, now_ms);
  tess_code code = TESS_OK;
  if (index > 0) {
    code = headers_again(a, outer, index, now_ms);
    a->out.headers = &a->headers;
  }
  a->url = url_at(a->endpoint->url, outer->url);
  a->out.url = a->url;
  a->out.connect_to = a->endpoint->connect_to; /* lives as long as the attempt */
  if (a->url == NULL) code = TESS_RESOURCE_EXHAUSTED;
  if (code == TESS_OK) {
    p->stats.attempts++;
    if (index > 0) *(c->retry.hedging ? &p->stats.hedges : &p->stats.retries) += 1;
    a->live = a->starting = true;
    c->live++;
    pthread_mutex_unlock(&p->lock);
    code = p->behind->ops->start(p->behind, &a->out, status);
    pthread_mutex_lock(&p->lock);
    a->starting = false;
    if (code == TESS_OK) {
      if (c->cancelled || (c->winner != NULL && c->winner != a)) cancel_others(p, c, c->winner);
      return TESS_OK;
    }
    a->live = false;
    c->live--;
  }
  tess__endpoints_report(&p->endpoints, a->endpoint, TESS__ENDPOINT_NOTHING, now_ms);
  a->code = code;
  tess__format(a->detail, sizeof a->detail, "%s",
               status != NULL && status->message != NULL ? status->message : tess_code_name(code));
  return code;
}

/* ---- the clerk ---- */

/* A call whose next attempt is due, or that only waits for its end. */
static call *due_call(policy *p, int64_t now_ms, int64_t *wake_ms) {
  *wake_ms = TESS_NEVER_MS;
  for (call *c = p->calls; c != NULL; c = c->next) {
    if (c->busy || c->ending) continue;
    if (c->cancelled) {
      if (c->live == 0) return c;
      continue; /* the end of its attempts ends it */
    }
    if (c->retry.next_ms <= now_ms) return c;
    if (c->retry.next_ms < *wake_ms) *wake_ms = c->retry.next_ms;
  }
  return NULL;
}

/* The body was given to the attempt before: it must begin again. False: the call is
 * over. Locked; unlocks while the client is called. */
static bool rewind_for_next(policy *p, call *c) {
  if (c->live > 0 || c->outer->body != NULL) return true;
  c->busy = true;
  pthread_mutex_unlock(&p->lock);
  bool again = c->outer->ops->rewind_body(c->outer);
  pthread_mutex_lock(&p->lock);
  c->busy = false;
  if (again && !c->cancelled) return true;
  c->winner = c->attempts[c->retry.attempts - 1];
  conclude(p, c);
  return false;
}

static void attend(policy *p, call *c) {
  if (c->cancelled) {
    conclude(p, c);
    return;
  }
  if (!rewind_for_next(p, c)) return;
  tess_status status = TESS_STATUS_INIT;
  c->busy = true;
  c->refs++;
  c->retry.next_ms = TESS_NEVER_MS;
  unsigned index = c->retry.attempts;
  tess_code code = begin_attempt(p, c, &status);
  c->busy = false;
  tess_status_cleanup(&status);
  if (code != TESS_OK && c->winner == NULL && c->live == 0) {
    c->winner = c->attempts[index];
    c->retry.next_ms = TESS_NEVER_MS;
  }
  /* It may have ended meanwhile, by one who left that to us. */
  if (c->live == 0 && c->retry.next_ms == TESS_NEVER_MS && !c->ending) conclude(p, c);
  call_unref(c);
}

static void *clerk_run(void *ctx) {
  policy *p = ctx;
  pthread_mutex_lock(&p->lock);
  while (!p->stop || p->calls != NULL) {
    int64_t wake_ms, now_ms = now_of(p);
    call *c = due_call(p, now_ms, &wake_ms);
    if (c != NULL)
      attend(p, c);
    else
      tess__cond_wait_ms(&p->changed, &p->lock,
                         wake_ms == TESS_NEVER_MS ? TESS_NEVER_MS : wake_ms - now_ms);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* ---- names ---- */

static void on_looked_up(void *ctx, size_t source, const char *const *connect_to, size_t count) {
  policy *p = ctx;
  pthread_mutex_lock(&p->lock);
  /* Memory that is short leaves it as it was. */
  (void)tess__endpoints_replace(&p->endpoints, source, p->names[source], connect_to, count);
  pthread_mutex_unlock(&p->lock);
}

/* ---- the transport ---- */

static tess_code policy_start(tess_transport *transport, tess_http_outgoing *outer,
                              tess_status *status) {
  policy *p = policy_of(transport);
  call *c = calloc(1, sizeof *c);
  if (c == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  c->policy = p;
  c->outer = outer;
  c->refs = 2; /* ours, too */
  bool whole = outer->body != NULL || outer->content_length == 0;
  pthread_mutex_lock(&p->lock);
  tess__retry_begin(&c->retry, &p->rules, outer->idempotent, true, whole);
  c->busy = true;
  c->next = p->calls;
  if (c->next != NULL) c->next->previous = c;
  p->calls = c;
  outer->transport_data = c;
  p->stats.calls++;
  tess_code code = begin_attempt(p, c, status);
  c->busy = false;
  if (code != TESS_OK) {
    outer->transport_data = NULL;
    if (c->previous != NULL)
      c->previous->next = c->next;
    else
      p->calls = c->next;
    if (c->next != NULL) c->next->previous = c->previous;
    c->refs--; /* its own; ours is left */
  } else if (c->live == 0 && !c->ending && c->retry.next_ms == TESS_NEVER_MS) {
    conclude(p, c); /* it has ended already, while it was ours */
  } else if (c->retry.next_ms != TESS_NEVER_MS) {
    pthread_cond_signal(&p->changed);
  }
  call_unref(c);
  pthread_mutex_unlock(&p->lock);
  return code;
}

static void policy_resume(tess_transport *transport, tess_http_outgoing *outer) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  call *c = outer->transport_data;
  attempt *a = NULL;
  if (c != NULL) {
    a = c->winner;
    for (unsigned i = 0; a == NULL && i < TESS_POLICY_MAX_ATTEMPTS; i++)
      if (c->attempts[i] != NULL && c->attempts[i]->live) a = c->attempts[i];
    c->refs++;
  }
  pthread_mutex_unlock(&p->lock);
  if (c == NULL) return;
  if (a != NULL) p->behind->ops->resume(p->behind, &a->out);
  pthread_mutex_lock(&p->lock);
  call_unref(c);
  pthread_mutex_unlock(&p->lock);
}

static void policy_cancel(tess_transport *transport, tess_http_outgoing *outer) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  call *c = outer->transport_data;
  if (c != NULL && !c->ending) {
    c->cancelled = true; /* its attempt may be starting: then that sees it */
    c->retry.next_ms = TESS_NEVER_MS;
    cancel_others(p, c, NULL);
    pthread_cond_signal(&p->changed); /* the clerk ends it, where nothing is under way */
  }
  pthread_mutex_unlock(&p->lock);
}

static int64_t policy_now_ms(tess_transport *transport) {
  return now_of(policy_of(transport));
}

static bool policy_wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                        int64_t until_ms) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  bool is_done;
  while (!(is_done = done(ctx))) {
    int64_t left = until_ms == TESS_NEVER_MS ? TESS_NEVER_MS : until_ms - now_of(p);
    if (left <= 0) break;
    tess__cond_wait_ms(&p->told, &p->lock, left);
  }
  pthread_mutex_unlock(&p->lock);
  return is_done;
}

static void policy_free(tess_transport *transport) {
  policy *p = policy_of(transport);
  tess__lookup_free(p->lookup);
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  for (bool again = true; again;) { /* the list changes while the lock is away */
    again = false;
    for (call *c = p->calls; c != NULL && !again; c = c->next) {
      if (c->cancelled || c->ending) continue;
      c->cancelled = again = true;
      c->retry.next_ms = TESS_NEVER_MS;
      cancel_others(p, c, NULL);
    }
  }
  pthread_cond_signal(&p->changed);
  while (p->calls != NULL || p->finishing > 0)
    pthread_cond_wait(&p->told, &p->lock);
  pthread_cond_signal(&p->changed);
  pthread_mutex_unlock(&p->lock);
  pthread_join(p->clerk, NULL);
  tess__endpoints_cleanup(&p->endpoints);
  for (size_t i = 0; i < p->name_count; i++)
    free(p->names[i]);
  free(p->names);
  pthread_cond_destroy(&p->told);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static const tess_transport_ops policy_ops = {policy_start,  policy_resume, policy_cancel,
                                              policy_now_ms, policy_wait,   policy_free};

/* ---- made ---- */

static tess_code add_name(policy *p, const char *url, tess_status *status) {
  if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "an endpoint is http://HOST:PORT or https://..., not \"%.100s\"", url);
  size_t size = strlen(url);
  while (size > 0 && url[size - 1] == '/')
    size--;
  char *name = strndup(url, size);
  if (name == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  size_t source = p->name_count++;
  p->names[source] = name;
  tess_code code = tess__endpoints_add(&p->endpoints, source, name, NULL);
  return code == TESS_OK ? code : tess_status_set(status, code, "out of memory");
}

static tess_code fill(policy *p, const tess_client_policy_options *options, tess_status *status) {
  const char *why = "";
  if (options->transport == NULL || options->endpoint_count == 0 ||
      options->endpoint_count > TESS_POLICY_MAX_ENDPOINTS)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "a policy takes a transport and 1 to %u endpoints",
                           TESS_POLICY_MAX_ENDPOINTS);
  if (!tess__retry_rules_fill(&p->rules, options, &why))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s", why);
  if (!tess__endpoints_init(&p->endpoints, options->balance, &options->outlier))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "ejection: a value makes no sense");
  p->base.ops = &policy_ops;
  p->behind = options->transport;
  p->throttle.tokens = p->rules.throttle.max_tokens;
  p->random = options->seed != 0 ? options->seed : (uint64_t)now_of(p) ^ (uint64_t)(uintptr_t)p;
  p->names = calloc(options->endpoint_count, sizeof *p->names);
  if (p->names == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess_code code = TESS_OK;
  for (size_t i = 0; code == TESS_OK && i < options->endpoint_count; i++)
    code = add_name(p, options->endpoints[i], status);
  return code;
}

tess_transport *tess_client_policy_new(const tess_client_policy_options *options,
                                       tess_status *status) {
  policy *p = calloc(1, sizeof *p);
  if (p == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  bool made = fill(p, options, status) == TESS_OK;
  pthread_mutex_init(&p->lock, NULL);
  tess__cond_init(&p->changed);
  tess__cond_init(&p->told);
  bool runs = made && pthread_create(&p->clerk, NULL, clerk_run, p) == 0;
  if (made && !runs) tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no threads left");
  if (runs && options->dns_refresh_ms > 0) {
    const tess__lookup_options lookup = {(const char *const *)p->names,
                                         p->name_count,
                                         options->dns_refresh_ms,
                                         options->resolver,
                                         on_looked_up,
                                         p};
    p->lookup = tess__lookup_new(&lookup);
    if (p->lookup == NULL) {
      tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no threads left");
      policy_free(&p->base);
      return NULL;
    }
  }
  if (runs) return &p->base;
  tess__endpoints_cleanup(&p->endpoints);
  for (size_t i = 0; i < p->name_count; i++)
    free(p->names[i]);
  free(p->names);
  pthread_cond_destroy(&p->told);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  free(p);
  return NULL;
}

void tess_client_policy_stats_get(tess_transport *transport, tess_client_policy_stats *stats) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  *stats = p->stats;
  stats->ejections = p->endpoints.ejections;
  stats->endpoints = (unsigned)p->endpoints.count;
  stats->ejected = (unsigned)tess__endpoints_ejected(&p->endpoints, now_of(p));
  pthread_mutex_unlock(&p->lock);
}
