/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter of client_policy.h: takes calls in, and has a clerk who begins what is
 * due. What to do is decided in retry.h, endpoints.h and response_peek.h; what goes on
 * with a call stands in policy_call.h, threads and lock included.
 */
#include <tessera/client_policy.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/policy_call.h"
#include "rpc/wait_until.h"

typedef tess__policy_call call;
typedef tess__policy policy;

static policy *policy_of(tess_transport *transport) {
  return (policy *)transport;
}

/* ---- the clerk ---- */

/* A call whose next attempt is due, or that only waits for its end, or one of whose
 * attempts is out of time; NULL: nothing is due. */
static call *due_call(policy *p, int64_t now_ms) {
  while (tess__due_next_ms(&p->due) <= now_ms) {
    call *c = p->due.first->of;
    tess__policy_plan(c); /* what was due may have gone */
    if (c->due.queued && c->due.at_ms <= now_ms) return c;
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
  tess__policy_conclude(p, c);
  return false;
}

static void attend(policy *p, call *c, int64_t now_ms) {
  if (c->cancelled) {
    tess__policy_conclude(p, c);
    return;
  }
  if (c->retry.next_ms > now_ms) {
    tess__policy_time_out(p, tess__policy_late_attempt(c, now_ms));
    return;
  }
  if (!rewind_for_next(p, c)) return;
  tess_status status = TESS_STATUS_INIT;
  c->busy = true;
  c->refs++;
  c->retry.next_ms = TESS_NEVER_MS;
  unsigned index = c->retry.attempts;
  tess_code code = tess__policy_begin_attempt(p, c, &status);
  c->busy = false;
  tess_status_cleanup(&status);
  if (code != TESS_OK && c->winner == NULL && c->live == 0) {
    c->winner = c->attempts[index];
    c->retry.next_ms = TESS_NEVER_MS;
  }
  /* It may have ended meanwhile, by one who left that to us. */
  if (c->live == 0 && c->retry.next_ms == TESS_NEVER_MS && !c->ending)
    tess__policy_conclude(p, c);
  else
    tess__policy_plan(c);
  tess__policy_call_unref(c);
}

static void *clerk_run(void *ctx) {
  policy *p = ctx;
  pthread_mutex_lock(&p->lock);
  while (!p->stop || p->calls != NULL) {
    int64_t now_ms = tess__policy_now_ms(p);
    call *c = due_call(p, now_ms);
    if (c != NULL) {
      attend(p, c, now_ms);
      continue;
    }
    p->wake_ms = tess__due_next_ms(&p->due);
    tess__cond_wait_ms(&p->changed, &p->lock,
                       p->wake_ms == TESS_NEVER_MS ? TESS_NEVER_MS : p->wake_ms - now_ms);
    p->wake_ms = INT64_MIN; /* it looks before it waits again: nobody need wake it */
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
  c->due.of = c;
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
  tess_code code = tess__policy_begin_attempt(p, c, status);
  c->busy = false;
  if (code != TESS_OK) {
    outer->transport_data = NULL;
    tess__policy_unlink(c);
    c->refs--; /* its own; ours is left */
  } else if (c->live == 0 && !c->ending && c->retry.next_ms == TESS_NEVER_MS) {
    tess__policy_conclude(p, c); /* it has ended already, while it was ours */
  } else {
    tess__policy_plan(c);
  }
  tess__policy_call_unref(c);
  pthread_mutex_unlock(&p->lock);
  return code;
}

static void policy_resume(tess_transport *transport, tess_http_outgoing *outer) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  call *c = outer->transport_data;
  tess__policy_attempt *a = NULL;
  if (c != NULL) {
    a = c->winner;
    for (unsigned i = 0; a == NULL && i < TESS_POLICY_MAX_ATTEMPTS; i++)
      if (c->attempts[i] != NULL && c->attempts[i]->live) a = c->attempts[i];
    tess__policy_enter(p, c);
  }
  pthread_mutex_unlock(&p->lock);
  if (c == NULL) return;
  if (a != NULL) p->behind->ops->resume(p->behind, &a->out);
  pthread_mutex_lock(&p->lock);
  tess__policy_leave(p, c);
  pthread_mutex_unlock(&p->lock);
}

/* Locked; unlocks. */
static void give_up(policy *p, call *c) {
  c->cancelled = true; /* its attempt may be starting: then that sees it */
  c->retry.next_ms = TESS_NEVER_MS;
  tess__policy_enter(p, c);
  tess__policy_cancel_others(p, c, NULL);
  tess__policy_plan(c); /* the clerk ends it, where nothing is under way */
  tess__policy_leave(p, c);
}

static void policy_cancel(tess_transport *transport, tess_http_outgoing *outer) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  call *c = outer->transport_data;
  if (c != NULL && !c->ending) give_up(p, c);
  pthread_mutex_unlock(&p->lock);
}

static int64_t policy_now_ms(tess_transport *transport) {
  return tess__policy_now_ms(policy_of(transport));
}

/* Not who moves calls on: the clerk, or the transport behind in its callbacks. */
static bool policy_can_wait(tess_transport *transport) {
  policy *p = policy_of(transport);
  if (pthread_equal(p->clerk, pthread_self())) return false;
  return p->behind->ops->can_wait == NULL || p->behind->ops->can_wait(p->behind);
}

static bool policy_wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                        int64_t until_ms) {
  policy *p = policy_of(transport);
  if (!policy_can_wait(transport)) return done(ctx);
  pthread_mutex_lock(&p->lock);
  bool is_done;
  while (!(is_done = done(ctx))) {
    int64_t left = until_ms == TESS_NEVER_MS ? TESS_NEVER_MS : until_ms - tess__policy_now_ms(p);
    if (left <= 0) break;
    tess__cond_wait_ms(&p->told, &p->lock, left);
  }
  pthread_mutex_unlock(&p->lock);
  return is_done;
}

static void policy_free(tess_transport *transport) {
  policy *p = policy_of(transport);
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  for (call *c = p->calls; c != NULL;) {
    call *next = c->next;
    if (!c->cancelled && !c->ending) {
      c->refs++;
      give_up(p, c);
      next = c->ending ? p->calls : c->next; /* it may have left the list meanwhile */
      tess__policy_call_unref(c);
    }
    c = next;
  }
  pthread_cond_signal(&p->changed);
  while (p->calls != NULL || p->finishing > 0)
    pthread_cond_wait(&p->told, &p->lock);
  pthread_cond_signal(&p->changed);
  pthread_mutex_unlock(&p->lock);
  pthread_join(p->clerk, NULL);
  tess__lookup_free(p->lookup); /* until here attempts could end, and hurry it */
  tess__endpoints_cleanup(&p->endpoints);
  for (size_t i = 0; i < p->name_count; i++)
    free(p->names[i]);
  free(p->names);
  pthread_cond_destroy(&p->told);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static const tess_transport_ops policy_ops = {.start = policy_start,
                                              .resume = policy_resume,
                                              .cancel = policy_cancel,
                                              .now_ms = policy_now_ms,
                                              .wait = policy_wait,
                                              .can_wait = policy_can_wait,
                                              .free = policy_free};

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
  if ((unsigned)options->balance > TESS_BALANCE_LEAST_LOADED)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "balance is pick-first (0), round-robin (1) or least-loaded (2), not %d",
                           (int)options->balance);
  if (!tess__retry_rules_fill(&p->rules, options, &why))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s", why);
  if (!tess__endpoints_init(&p->endpoints, options->balance, &options->outlier))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "ejection: a value makes no sense");
  p->base.ops = &policy_ops;
  p->behind = options->transport;
  p->throttle.tokens = p->rules.throttle.max_tokens;
  p->random = options->seed != 0 ? options->seed
                                 : (uint64_t)tess__policy_now_ms(p) ^ (uint64_t)(uintptr_t)p;
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
  stats->throttled = p->throttle.refused;
  stats->ejections = p->endpoints.ejections;
  stats->endpoints = (unsigned)p->endpoints.count;
  stats->ejected = (unsigned)tess__endpoints_ejected(&p->endpoints, tess__policy_now_ms(p));
  pthread_mutex_unlock(&p->lock);
}
