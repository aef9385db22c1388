/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/endpoints.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/deadline.h"
#include "rpc/fnv.h"

/* A failure counts as a request in flight; of those that are remembered half are
 * forgotten in so long. Longer than the pause before a retry, so that a server that
 * fails fast is not asked by everybody at once; short beside an ejection. */
#define RECENT_MS 1000

bool tess__endpoints_init(tess__endpoints *set, tess_balance balance,
                          const tess_outlier_options *outlier) {
  *set = (tess__endpoints){.balance = balance, .outlier = *outlier};
  tess_outlier_options *o = &set->outlier;
  if (o->base_ejection_ms == 0) o->base_ejection_ms = 30000;
  if (o->max_ejection_ms == 0) o->max_ejection_ms = 300000;
  if (o->max_ejected_percent == 0) o->max_ejected_percent = 10;
  return o->base_ejection_ms > 0 && o->max_ejection_ms >= o->base_ejection_ms &&
         o->max_ejected_percent <= 100 && (unsigned)balance <= TESS_BALANCE_LEAST_LOADED;
}

static void endpoint_free(tess__endpoint *endpoint) {
  free(endpoint->url);
  free(endpoint->connect_to);
  free(endpoint);
}

void tess__endpoints_cleanup(tess__endpoints *set) {
  for (size_t i = 0; i < set->count; i++)
    endpoint_free(set->items[i]);
  free(set->items);
  *set = (tess__endpoints){0};
}

static uint64_t id_of(const char *url, const char *connect_to) {
  const uint64_t of_url = tess__fnv(TESS__FNV_BASIS, url, strlen(url) + 1);
  return tess__fnv(of_url, connect_to, connect_to != NULL ? strlen(connect_to) : 0);
}

/* Up to `max`, which is at most twice as many as the set may keep. */
static tess_code add_up_to(tess__endpoints *set, size_t max, size_t source, const char *url,
                           const char *connect_to) {
  if (set->count >= max) return TESS_RESOURCE_EXHAUSTED;
  if (set->items == NULL) {
    set->items = calloc(2 * TESS_POLICY_MAX_ENDPOINTS, sizeof(tess__endpoint *));
    if (set->items == NULL) return TESS_RESOURCE_EXHAUSTED;
  }
  tess__endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (endpoint == NULL) return TESS_RESOURCE_EXHAUSTED;
  endpoint->id = id_of(url, connect_to);
  endpoint->source = source;
  endpoint->url = strdup(url);
  if (connect_to != NULL) endpoint->connect_to = strdup(connect_to);
  if (endpoint->url == NULL || (connect_to != NULL && endpoint->connect_to == NULL)) {
    endpoint_free(endpoint);
    return TESS_RESOURCE_EXHAUSTED;
  }
  size_t at = set->count;
  while (at > 0 && set->items[at - 1]->source > source)
    at--;
  memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof set->items[0]);
  set->items[at] = endpoint;
  if (set->next >= at && at < set->count) set->next++;
  set->count++;
  return TESS_OK;
}

tess_code tess__endpoints_add(tess__endpoints *set, size_t source, const char *url,
                              const char *connect_to) {
  return add_up_to(set, TESS_POLICY_MAX_ENDPOINTS, source, url, connect_to);
}

static void remove_at(tess__endpoints *set, size_t index) {
  tess__endpoint *endpoint = set->items[index];
  memmove(&set->items[index], &set->items[index + 1],
          (set->count - index - 1) * sizeof set->items[0]);
  set->count--;
  if (set->next > index) set->next--;
  if (set->next >= set->count) set->next = 0;
  endpoint->gone = true;
  if (endpoint->in_flight == 0) endpoint_free(endpoint);
}

static bool is_in(const char *text, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (text != NULL && strcmp(text, list[i]) == 0) return true;
  return false;
}

static bool has(const tess__endpoints *set, size_t source, const char *connect_to) {
  for (size_t i = 0; i < set->count; i++) {
    const tess__endpoint *e = set->items[i];
    if (e->source == source && e->connect_to != NULL && strcmp(e->connect_to, connect_to) == 0)
      return true;
  }
  return false;
}

tess_code tess__endpoints_replace(tess__endpoints *set, size_t source, const char *url,
                                  const char *const *connect_to, size_t count) {
  if (count == 0) return TESS_OK;
  tess_code code = TESS_OK;
  size_t kept = 0, max = TESS_POLICY_MAX_ENDPOINTS;
  for (size_t i = 0; i < set->count; i++) /* those that go make room, afterwards */
    max += set->items[i]->source == source && !is_in(set->items[i]->connect_to, connect_to, count);
  for (size_t i = 0; i < count; i++) {
    tess_code added =
        has(set, source, connect_to[i]) ? TESS_OK : add_up_to(set, max, source, url, connect_to[i]);
    if (added == TESS_OK)
      kept++;
    else
      code = added;
  }
  if (kept == 0) return code;
  for (size_t i = set->count; i-- > 0;) {
    const tess__endpoint *e = set->items[i];
    if (e->source == source && !is_in(e->connect_to, connect_to, count)) remove_at(set, i);
  }
  return code;
}

/* ---- choosing ---- */

static bool is_ejected(const tess__endpoint *endpoint, int64_t now_ms) {
  return endpoint->ejected_until_ms > now_ms;
}

static bool was_tried(const tess__endpoint *endpoint, const uint64_t *tried, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (tried[i] == endpoint->id) return true;
  return false;
}

/* The highest goes first: who is not ejected; among them, who was not tried. */
static int rank(const tess__endpoint *endpoint, const uint64_t *tried, size_t count,
                int64_t now_ms) {
  return 2 * !is_ejected(endpoint, now_ms) + !was_tried(endpoint, tried, count);
}

static void forget_failures(tess__endpoint *endpoint, int64_t now_ms) {
  int64_t halvings = (now_ms - endpoint->recent_ms) / RECENT_MS;
  if (halvings <= 0) return;
  endpoint->recent_failures = halvings < 32 ? endpoint->recent_failures >> halvings : 0;
  endpoint->recent_ms += halvings * RECENT_MS;
}

/* Failing is quick: without its failures an endpoint that fails would have the fewest
 * requests in flight, and get them all. */
static uint64_t load_of(tess__endpoint *endpoint, int64_t now_ms) {
  forget_failures(endpoint, now_ms);
  return (uint64_t)endpoint->in_flight + endpoint->recent_failures;
}

tess__endpoint *tess__endpoints_pick(tess__endpoints *set, const uint64_t *tried,
                                     size_t tried_count, int64_t now_ms) {
  size_t best = SIZE_MAX;
  int best_rank = -1;
  for (size_t i = 0; i < set->count; i++) {
    size_t at = (set->next + i) % set->count;
    tess__endpoint *e = set->items[at];
    int r = rank(e, tried, tried_count, now_ms);
    bool better = r > best_rank;
    if (r == best_rank && set->balance == TESS_BALANCE_LEAST_LOADED)
      better = load_of(e, now_ms) < load_of(set->items[best], now_ms);
    if (!better) continue;
    best = at;
    best_rank = r;
  }
  if (best == SIZE_MAX) return NULL;
  if (set->balance != TESS_BALANCE_PICK_FIRST)
    set->next = (best + 1) % set->count;
  else if (tried_count == 0) /* where one call's retry goes is not where all go */
    set->next = best;
  set->items[best]->in_flight++;
  return set->items[best];
}

/* ---- what came of it ---- */

size_t tess__endpoints_ejected(const tess__endpoints *set, int64_t now_ms) {
  size_t ejected = 0;
  for (size_t i = 0; i < set->count; i++)
    ejected += is_ejected(set->items[i], now_ms);
  return ejected;
}

static void eject(tess__endpoints *set, tess__endpoint *endpoint, int64_t now_ms) {
  size_t ejected = tess__endpoints_ejected(set, now_ms);
  bool room = ejected == 0 || (ejected + 1) * 100 <= set->outlier.max_ejected_percent * set->count;
  if (!room || ejected + 1 >= set->count || is_ejected(endpoint, now_ms)) return;
  endpoint->ejections++;
  int64_t ms = set->outlier.base_ejection_ms;
  if (endpoint->ejections > set->outlier.max_ejection_ms / ms)
    ms = set->outlier.max_ejection_ms;
  else
    ms *= endpoint->ejections;
  endpoint->ejected_until_ms = tess__deadline_after(now_ms, ms);
  endpoint->failures_in_row = 0;
  set->ejections++;
}

static void count_recent(tess__endpoint *endpoint, int64_t now_ms) {
  forget_failures(endpoint, now_ms);
  if (endpoint->recent_failures == 0) endpoint->recent_ms = now_ms;
  if (endpoint->recent_failures < UINT_MAX) endpoint->recent_failures++;
}

/* The next one for pick-first. */
static void move_on(tess__endpoints *set, const tess__endpoint *endpoint) {
  if (set->balance == TESS_BALANCE_PICK_FIRST && set->count > 0 &&
      set->items[set->next % set->count] == endpoint)
    set->next = (set->next + 1) % set->count;
}

void tess__endpoints_report(tess__endpoints *set, tess__endpoint *endpoint,
                            tess__endpoint_outcome outcome, int64_t now_ms) {
  endpoint->in_flight--;
  if (endpoint->gone) {
    if (endpoint->in_flight == 0) endpoint_free(endpoint);
    return;
  }
  switch (outcome) {
    case TESS__ENDPOINT_GOOD: {
      endpoint->failures_in_row = 0;
      int64_t well_ms = now_ms - endpoint->ejected_until_ms;
      if (endpoint->ejections > 0 && well_ms >= set->outlier.base_ejection_ms) {
        endpoint->ejections--;
        endpoint->ejected_until_ms = now_ms; /* the next is forgotten as much later */
      }
      break;
    }
    case TESS__ENDPOINT_UNREACHABLE:
    case TESS__ENDPOINT_FAILED:
      if (outcome == TESS__ENDPOINT_UNREACHABLE) move_on(set, endpoint);
      count_recent(endpoint, now_ms);
      /* What began before an ejection does not count towards the next. */
      if (is_ejected(endpoint, now_ms)) break;
      endpoint->failures_in_row++;
      if (set->outlier.consecutive_failures != 0 &&
          endpoint->failures_in_row >= set->outlier.consecutive_failures)
        eject(set, endpoint, now_ms);
      break;
    case TESS__ENDPOINT_NOTHING:
      break;
  }
}
