/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/policy_call.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/deadline.h"
#include "rpc/format.h"

enum { HTTP_OK = 200 };

typedef tess__policy_attempt attempt;
typedef tess__policy_call call;
typedef tess__policy policy;

int64_t tess__policy_now_ms(policy *p) {
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
void tess__policy_call_unref(call *c) {
  if (--c->refs > 0) return;
  for (unsigned i = 0; i < TESS_POLICY_MAX_ATTEMPTS; i++)
    attempt_free(c->attempts[i]);
  free(c);
}

/* Locked. */
void tess__policy_enter(policy *p, call *c) {
  c->refs++;
  p->finishing++; /* the call may end meanwhile, and the policy's owner free it */
}

/* Locked. */
void tess__policy_leave(policy *p, call *c) {
  if (--p->finishing == 0 && p->stop) pthread_cond_broadcast(&p->told);
  tess__policy_call_unref(c);
}

/* Locked. */
void tess__policy_unlink(call *c) {
  policy *p = c->policy;
  if (c->previous != NULL)
    c->previous->next = c->next;
  else
    p->calls = c->next;
  if (c->next != NULL) c->next->previous = c->previous;
  tess__due_remove(&p->due, &c->due);
}

/* Locked; unlocks while the client is called. The call is gone from the list then. */
static void end_call(policy *p, call *c, tess_code code, const char *detail) {
  tess_http_outgoing *outer = c->outer;
  c->ending = true;
  c->retry.next_ms = TESS_NEVER_MS;
  outer->transport_data = NULL;
  tess__policy_unlink(c);
  p->finishing++;
  pthread_mutex_unlock(&p->lock);
  outer->ops->on_end(outer, code, detail);
  pthread_mutex_lock(&p->lock);
  p->finishing--;
  tess__policy_call_unref(c);
  pthread_cond_broadcast(&p->told);
}

/* The winner's head and what was kept of its body. The client may cancel the call there, and
 * the transport behind end it at once: the caller has entered it. */
static bool hand_on(attempt *a, const tess_metadata *headers) {
  call *c = a->call;
  policy *p = c->policy;
  tess_http_outgoing *outer = c->outer;
  a->answered = true;
  outer->ops->on_head(outer, a->peek.status, headers, a->peek.content_length);
  if (a->peek.body.size == 0) return true;
  pthread_mutex_lock(&p->lock);
  bool cancelled = c->cancelled;
  pthread_mutex_unlock(&p->lock);
  if (cancelled) return true;
  tess_chunk chunk = {.data = a->peek.body.data, .size = a->peek.body.size};
  return outer->ops->on_body(outer, &chunk);
}

/* What ended the call, for people, with the attempts that ran out of their time; and of one
 * that ran out of its own what the last of its attempts had failed with. */
static const char *tell_end(const call *c, const attempt *a, char *text, size_t size) {
  const char *detail = a->detail[0] != '\0' ? a->detail : tess_code_name(a->code);
  if (a->code == TESS_DEADLINE_EXCEEDED && c->failure[0] != '\0')
    tess__format(text, size, "%s after %u attempts; the last: %s", detail, c->retry.attempts,
                 c->failure);
  else if (a->code != TESS_OK && c->timeouts != 0)
    tess__format(text, size, "%s (%u of %u attempts timed out)", detail, c->timeouts,
                 c->retry.attempts);
  else
    return a->detail[0] != '\0' ? a->detail : NULL;
  return text;
}

/* Everything has ended: tells the client what the winner brought. Locked. */
void tess__policy_conclude(policy *p, call *c) {
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
  char text[2 * TESS__POLICY_DETAIL_BYTES + 64];
  end_call(p, c, a->code, tell_end(c, a, text, sizeof text));
}

/* Gives up the attempts other than `keep`. Locked; unlocks. */
void tess__policy_cancel_others(policy *p, call *c, const attempt *keep) {
  tess__policy_enter(p, c);
  for (unsigned i = 0; i < TESS_POLICY_MAX_ATTEMPTS; i++) {
    attempt *a = c->attempts[i];
    /* Who starts it looks again. */
    if (a == NULL || a == keep || !a->live || a->starting || a->abandoned) continue;
    a->abandoned = true;
    if (a->timed_out) continue; /* cancelled before */
    pthread_mutex_unlock(&p->lock);
    p->behind->ops->cancel(p->behind, &a->out);
    pthread_mutex_lock(&p->lock);
  }
  tess__policy_leave(p, c);
}

/* ---- out of time ---- */

static bool is_timed(const attempt *a) {
  return a->answer_by_ms != TESS_NEVER_MS;
}

/* When an attempt whose time begins now runs out of it. Who still sends may be answered when
 * that is done. */
static int64_t answer_by(const call *c, int64_t now_ms) {
  if (c->outer->content_length < 0) return TESS_NEVER_MS;
  return tess__retry_answer_by(&c->retry, &c->policy->rules, now_ms, c->outer->deadline_ms);
}

/* The attempt of the call that runs out of its time first; NULL: none can. Locked. */
static attempt *first_to_be_late(const call *c) {
  attempt *first = NULL;
  for (unsigned i = 0; i < c->retry.attempts; i++) {
    attempt *a = c->attempts[i];
    if (!a->live || !a->taken || a->abandoned || a->timed_out || a->has_head) continue;
    if (first == NULL || a->answer_by_ms < first->answer_by_ms) first = a;
  }
  return first != NULL && is_timed(first) ? first : NULL;
}

/* Locked. */
attempt *tess__policy_late_attempt(call *c, int64_t now_ms) {
  attempt *a = first_to_be_late(c);
  return a != NULL && a->answer_by_ms <= now_ms ? a : NULL;
}

/* When the clerk has something to do for it. Locked. */
static int64_t due_ms(const call *c) {
  if (c->busy || c->ending) return TESS_NEVER_MS; /* whoever has it plans, or ends it */
  /* The end of its attempts ends it. */
  if (c->cancelled) return c->live == 0 ? INT64_MIN : TESS_NEVER_MS;
  const attempt *a = first_to_be_late(c);
  return a != NULL && a->answer_by_ms < c->retry.next_ms ? a->answer_by_ms : c->retry.next_ms;
}

/* Locked. */
void tess__policy_plan(call *c) {
  policy *p = c->policy;
  int64_t at_ms = due_ms(c);
  tess__due_put(&p->due, &c->due, at_ms);
  if (at_ms < p->wake_ms) pthread_cond_signal(&p->changed);
}

/* Locked; unlocks. */
void tess__policy_time_out(policy *p, attempt *a) {
  call *c = a->call;
  a->timed_out = true;
  tess__policy_enter(p, c);
  pthread_mutex_unlock(&p->lock);
  p->behind->ops->cancel(p->behind, &a->out);
  pthread_mutex_lock(&p->lock);
  tess__policy_leave(p, c);
}

/* From now on the call's deadline alone counts. */
static void stop_timing(attempt *a) {
  policy *p = a->call->policy;
  pthread_mutex_lock(&p->lock);
  a->has_head = true;
  pthread_mutex_unlock(&p->lock);
}

/* Did it run out of its time? Also where the server was the first to notice: the time that
 * it was told is the only one that it can have run out of, whatever our clock says of it.
 * Whoever hands a part of it on, or keeps some back for its answer, says so early. Locked. */
static bool ran_out(const attempt *a, tess_code transport, tess_code code) {
  if (a->timed_out) return true;
  return transport == TESS_OK && code == TESS_DEADLINE_EXCEEDED && a->told && !a->answered;
}

/* ---- an attempt, as the transport behind sees it ---- */

static attempt *attempt_of(tess_http_outgoing *outgoing) {
  return (attempt *)outgoing;
}

/* An attempt took the last of a body that the client has whole: the client learns of it
 * as from any transport, by being asked to the end; of the first one that it is of use
 * to. Nobody else asks it. */
static void tell_sent(attempt *a) {
  call *c = a->call;
  policy *p = c->policy;
  pthread_mutex_lock(&p->lock);
  bool tell = !c->told_sent && !a->abandoned && !a->timed_out;
  if (tell) c->told_sent = true;
  pthread_mutex_unlock(&p->lock);
  tess_slice piece;
  while (tell && c->outer->ops->next_body(c->outer, &piece) == TESS_BODY_DATA) {
  }
}

static tess_http_body_state attempt_next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  attempt *a = attempt_of(outgoing);
  tess_http_outgoing *outer = a->call->outer;
  if (outer->body == NULL) {
    tess_http_body_state state = outer->ops->next_body(outer, slice);
    tell_waiters(a->call->policy); /* there is room for more */
    return state;
  }
  if (a->body_next == outer->body_count) {
    tell_sent(a);
    return TESS_BODY_END;
  }
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

/* The first attempt that has an answer is the call's. True: it is entered, until handed_on. */
static bool win(attempt *a) {
  call *c = a->call;
  policy *p = c->policy;
  pthread_mutex_lock(&p->lock);
  bool won = c->winner == NULL && !a->abandoned && !a->timed_out;
  if (won) {
    c->winner = a;
    c->retry.next_ms = TESS_NEVER_MS;
    tess__policy_cancel_others(p, c, a);
    tess__policy_enter(p, c);
  }
  pthread_mutex_unlock(&p->lock);
  return won;
}

static void handed_on(policy *p, call *c) {
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->told);
  tess__policy_leave(p, c);
  pthread_mutex_unlock(&p->lock);
}

static void attempt_on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                            int64_t content_length) {
  attempt *a = attempt_of(outgoing);
  if (is_timed(a)) stop_timing(a);
  bool decided = tess__peek_head(&a->peek, status, headers, content_length);
  /* Where there is no other attempt to come, and where the client is still sending,
   * it gets the headers at once. What they turn out to mean counts for the endpoint. */
  call *c = a->call;
  bool at_once = c->retry.max_attempts == 1 || c->outer->content_length < 0;
  if ((decided || at_once) && win(a)) {
    hand_on(a, headers);
    handed_on(c->policy, c);
  }
}

static bool attempt_on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  attempt *a = attempt_of(outgoing);
  call *c = a->call;
  policy *p = c->policy;
  tess_http_outgoing *outer = c->outer;
  bool go_on = true;
  if (a->answered) {
    if (!a->peek.decided) tess__peek_body(&a->peek, chunk->data, chunk->size);
    go_on = outer->ops->on_body(outer, chunk);
    tell_waiters(p);
    return go_on;
  }
  if (!a->peek.decided && tess__peek_body(&a->peek, chunk->data, chunk->size) && win(a)) {
    go_on = hand_on(a, &a->peek.headers);
    if (a->peek.body.failed && a->live) go_on = outer->ops->on_body(outer, chunk);
    handed_on(p, c);
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

/* An error whose body the client gave up says as much of the endpoint as a whole one. */
static bool was_refused(const attempt *a, tess_code transport) {
  return transport == TESS_CANCELED && a->answered && a->peek.status != HTTP_OK;
}

static void leave_endpoint(policy *p, attempt *a, tess__endpoint_outcome outcome) {
  tess__endpoints_report(&p->endpoints, a->endpoint, outcome, tess__policy_now_ms(p));
  a->endpoint = NULL;
}

/* An attempt failed before anything of it was handed on. True: the call goes on. */
static bool goes_on(policy *p, attempt *a, tess_code code, tess__pushback pushback) {
  call *c = a->call;
  if (c->cancelled || c->winner != NULL || p->stop) return c->live > 0;
  const tess__failure failure = {.code = code,
                                 .timed_out = a->timed_out,
                                 .pushback = pushback,
                                 .others = c->live,
                                 .now_ms = tess__policy_now_ms(p),
                                 .deadline_ms = c->outer->deadline_ms,
                                 .random = draw(p)};
  return tess__retry_failed(&c->retry, &p->rules, &p->throttle, &failure);
}

/* Whatever the transport says, an attempt that ran out of its time had no answer. */
static void note_timeout(policy *p, attempt *a) {
  const char *what = a->timed_out ? "no answer" : "the server had no answer";
  a->timed_out = true;
  a->call->timeouts++;
  p->stats.timeouts++;
  tess__format(a->detail, sizeof a->detail, "%s within %lld ms", what,
               (long long)p->rules.retry.attempt_timeout_ms);
}

/* Should the call's own time run out, it is what there is to say of it. */
static void note_failure(attempt *a, tess_code code, const char *message) {
  call *c = a->call;
  if (message == NULL) message = a->detail;
  if (code == TESS_DEADLINE_EXCEEDED) return;
  tess__format(c->failure, sizeof c->failure, "%s%s%s", tess_code_name(code),
               message[0] != '\0' ? ": " : "", message);
}

static void attempt_on_end(tess_http_outgoing *outgoing, tess_code transport, const char *detail) {
  attempt *a = attempt_of(outgoing);
  call *c = a->call;
  policy *p = c->policy;
  tess__pushback pushback = {0};
  tess_code code = transport;
  tess_status said = TESS_STATUS_INIT;
  if (transport == TESS_OK) code = tess__peek_end(&a->peek, &pushback, &said);
  pthread_mutex_lock(&p->lock);
  c->refs++;
  a->live = false;
  c->live--;
  if (detail != NULL) tess__format(a->detail, sizeof a->detail, "%s", detail);
  if (ran_out(a, transport, code)) {
    note_timeout(p, a);
    transport = code = TESS_UNAVAILABLE; /* what HTTP's 504 is */
    pushback = (tess__pushback){0};
  }
  a->code = transport;
  leave_endpoint(p, a,
                 was_refused(a, transport)
                     ? outcome_of(TESS_OK, tess_code_from_http(a->peek.status))
                     : outcome_of(transport, code));
  if (transport == TESS_UNAVAILABLE && p->lookup != NULL) tess__lookup_hurry(p->lookup);
  bool failed = code != TESS_OK && !a->answered && !a->abandoned;
  if (code == TESS_OK) tess__retry_succeeded(&p->rules, &p->throttle);
  if (failed) note_failure(a, code, said.message);
  tess_status_cleanup(&said);
  if (failed && goes_on(p, a, code, pushback)) {
    tess__policy_plan(c); /* at next_ms, or when the others end */
    tess__policy_call_unref(c);
    pthread_mutex_unlock(&p->lock);
    return;
  }
  if (c->winner == NULL && !a->abandoned) {
    c->winner = a;
    c->retry.next_ms = TESS_NEVER_MS;
    tess__policy_cancel_others(p, c, a);
  }
  if (c->live == 0 && !c->busy && !c->ending &&
      (c->winner != NULL || c->cancelled || c->retry.next_ms == TESS_NEVER_MS))
    tess__policy_conclude(p, c);
  tess__policy_call_unref(c);
  pthread_mutex_unlock(&p->lock);
}

/* Its time begins: it waited for its turn until now. */
static void attempt_on_taken(tess_http_outgoing *outgoing) {
  attempt *a = attempt_of(outgoing);
  call *c = a->call;
  policy *p = c->policy;
  if (!is_timed(a)) return;
  pthread_mutex_lock(&p->lock);
  if (!a->taken) {
    a->taken = true;
    a->answer_by_ms = answer_by(c, tess__policy_now_ms(p));
    tess__policy_plan(c);
  }
  pthread_mutex_unlock(&p->lock);
}

static const tess_http_outgoing_ops attempt_ops = {.next_body = attempt_next_body,
                                                   .rewind_body = attempt_rewind_body,
                                                   .on_head = attempt_on_head,
                                                   .on_body = attempt_on_body,
                                                   .on_end = attempt_on_end,
                                                   .on_taken = attempt_on_taken};

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

/* The header that tells the server of its time. */
static tess_code add_time(tess_metadata *headers, bool grpc_web, int64_t left_ms) {
  char text[TESS__DECIMAL_BYTES + 1];
  const char *name = grpc_web ? "grpc-timeout" : "connect-timeout-ms";
  size_t size = grpc_web ? tess__grpc_timeout_format(text, left_ms)
                         : tess__connect_timeout_format(text, left_ms);
  return tess_metadata_add_n(headers, name, strlen(name), text, size);
}

/* The client's headers, with the time that is left and how often it was tried. */
static tess_code headers_again(attempt *a, unsigned before, int64_t now_ms) {
  const tess_http_outgoing *outer = a->call->outer;
  int64_t until_ms = a->told ? a->answer_by_ms : outer->deadline_ms; /* the smaller */
  int64_t left = until_ms - now_ms > 1 ? until_ms - now_ms : 1;
  bool tell = until_ms != TESS_NEVER_MS, told = false;
  tess_code code = TESS_OK;
  for (size_t i = 0; code == TESS_OK && i < outer->headers->count; i++) {
    const tess_metadata_entry *e = &outer->headers->entries[i];
    bool grpc_web = strcmp(e->name, "grpc-timeout") == 0;
    if (tell && (grpc_web || strcmp(e->name, "connect-timeout-ms") == 0)) {
      code = add_time(&a->headers, grpc_web, left);
      told = true;
    } else {
      code = tess_metadata_add_n(&a->headers, e->name, strlen(e->name), e->value, e->value_size);
    }
  }
  if (code == TESS_OK && !told && a->told) { /* the call has no deadline */
    const char *type = tess_metadata_get(outer->headers, "content-type");
    bool grpc_web = type != NULL && strncmp(type, "application/grpc-web", 20) == 0;
    code = add_time(&a->headers, grpc_web, left);
  }
  if (code != TESS_OK || before == 0) return code;
  char text[TESS__DECIMAL_BYTES];
  tess__format(text, sizeof text, "%u", before);
  return tess_metadata_add(&a->headers, "grpc-previous-rpc-attempts", text);
}

/* Locked; unlocks while the transport begins. An error: the attempt did not begin. */
tess_code tess__policy_begin_attempt(policy *p, call *c, tess_status *status) {
  tess_http_outgoing *outer = c->outer;
  unsigned index = c->retry.attempts;
  uint64_t tried[TESS_POLICY_MAX_ATTEMPTS];
  for (unsigned i = 0; i < index; i++)
    tried[i] = c->attempts[i]->endpoint_id;
  int64_t now_ms = tess__policy_now_ms(p);
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
  a->endpoint_id = a->endpoint->id;
  tess__retry_started(&c->retry, &p->rules, &p->throttle, now_ms);
  a->answer_by_ms = answer_by(c, now_ms);
  a->told = is_timed(a) && !outer->stream; /* which the server would cut off in its flow */
  a->taken = !p->behind->ops->tells_taken;
  tess_code code = TESS_OK;
  if (index > 0 || a->told) {
    code = headers_again(a, index, now_ms);
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
      if (c->cancelled || (c->winner != NULL && c->winner != a))
        tess__policy_cancel_others(p, c, c->cancelled ? NULL : c->winner);
      return TESS_OK;
    }
    a->live = false;
    c->live--;
  }
  leave_endpoint(p, a, TESS__ENDPOINT_NOTHING);
  a->code = code;
  tess__format(a->detail, sizeof a->detail, "%s",
               status != NULL && status->message != NULL ? status->message : tess_code_name(code));
  return code;
}
