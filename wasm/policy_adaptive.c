/* SPDX-License-Identifier: Apache-2.0
 *
 * The threshold rule: start here; when the median response time of the last
 * products, or the age of a product under way, passes threshold_ms, go to the
 * workers; come back when that does not pay.
 *
 * "Does not pay": over the last remote products, the workers took longer than
 * this machine would have taken at the speed its own tiles showed. "Not needed":
 * the median of what the last products would take here is under half the
 * threshold. After a return because it did not pay, the rule stays here for
 * HOLD_MS, twice as long each time in a row, up to HOLD_MAX_MS: it must not
 * flap. A single small product stays here even while the rule says workers.
 */
#include "wasm/policy.h"

#include <stddef.h>

#define WINDOW 8u
#define ENOUGH_REMOTE 3u
#define HOLD_MS 10000.0
#define HOLD_MAX_MS 300000.0
#define DEFAULT_THRESHOLD_MS 200.0

typedef struct seen {
  double elapsed_ms;
  double local_ms; /* what it took or would take here; 0: unknown */
  bool remote;
} seen;

typedef struct adaptive {
  tess_policy base;
  const tess_allocator *allocator;
  double threshold_ms;
  double local_flops_per_ms; /* 0: not known yet */
  bool remote;
  double hold_until_ms;
  double hold_ms;
  seen window[WINDOW];
  uint32_t count; /* in the window */
  uint32_t next;
} adaptive;

static double local_estimate(const adaptive *rule, uint64_t flops) {
  return rule->local_flops_per_ms > 0 ? (double)flops / rule->local_flops_per_ms : 0;
}

static double median(const double *values, uint32_t count) {
  double sorted[WINDOW];
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = i;
    for (; at > 0 && sorted[at - 1] > values[i]; at--)
      sorted[at] = sorted[at - 1];
    sorted[at] = values[i];
  }
  return count == 0 ? 0 : sorted[count / 2];
}

static void go(adaptive *rule, bool remote) {
  rule->remote = remote;
  rule->count = 0;
  rule->next = 0;
}

/* Moves between the two states by what the window holds. */
static void decide(adaptive *rule, double now_ms) {
  double values[WINDOW];
  if (!rule->remote) {
    for (uint32_t i = 0; i < rule->count; i++)
      values[i] = rule->window[i].elapsed_ms;
    if (rule->count > 0 && median(values, rule->count) > rule->threshold_ms &&
        now_ms >= rule->hold_until_ms)
      go(rule, true);
    return;
  }
  double remote_ms = 0;
  double local_ms = 0;
  uint32_t compared = 0;
  for (uint32_t i = 0; i < rule->count; i++) {
    values[i] = rule->window[i].local_ms;
    if (!rule->window[i].remote || rule->window[i].local_ms <= 0) continue;
    remote_ms += rule->window[i].elapsed_ms;
    local_ms += rule->window[i].local_ms;
    compared++;
  }
  if (compared >= ENOUGH_REMOTE && remote_ms >= local_ms) {
    rule->hold_until_ms = now_ms + rule->hold_ms;
    rule->hold_ms = rule->hold_ms * 2 > HOLD_MAX_MS ? HOLD_MAX_MS : rule->hold_ms * 2;
    go(rule, false);
  } else if (rule->count == WINDOW && median(values, WINDOW) > 0 &&
             median(values, WINDOW) < rule->threshold_ms / 2) {
    rule->hold_ms = HOLD_MS;
    go(rule, false);
  } else if (compared == WINDOW) {
    rule->hold_ms = HOLD_MS; /* it pays */
  }
}

static bool choose(tess_policy *base, const tess_policy_question *question, double now_ms) {
  adaptive *rule = (adaptive *)base;
  if (question->ready_workers == 0) return false;
  double here = local_estimate(rule, question->flops);
  if (!rule->remote) {
    /* A product that runs too long here already does not wait for the window. */
    if (question->age_ms <= rule->threshold_ms || now_ms < rule->hold_until_ms) return false;
    go(rule, true);
    return true;
  }
  return question->age_ms > 0 || here <= 0 || here >= rule->threshold_ms / 2;
}

static bool would_choose(const tess_policy *base) {
  return ((const adaptive *)base)->remote;
}

static void observe(tess_policy *base, const tess_policy_product *product, double now_ms) {
  adaptive *rule = (adaptive *)base;
  seen *entry = &rule->window[rule->next];
  entry->elapsed_ms = product->elapsed_ms;
  entry->local_ms = local_estimate(rule, product->flops);
  entry->remote = product->remote;
  rule->next = (rule->next + 1) % WINDOW;
  if (rule->count < WINDOW) rule->count++;
  decide(rule, now_ms);
}

static void observe_local_tile(tess_policy *base, uint64_t flops, double compute_ms) {
  adaptive *rule = (adaptive *)base;
  /* A clock in whole milliseconds says nothing about shorter tiles. */
  if (compute_ms < 1) return;
  double rate = (double)flops / compute_ms;
  rule->local_flops_per_ms =
      rule->local_flops_per_ms > 0 ? 0.75 * rule->local_flops_per_ms + 0.25 * rate : rate;
}

static void policy_free(tess_policy *base) {
  if (base == NULL) return;
  adaptive *rule = (adaptive *)base;
  rule->allocator->free(rule->allocator->ctx, rule);
}

tess_policy *tess_policy_adaptive_new(double threshold_ms, const tess_allocator *allocator) {
  static const tess_policy_ops ops = {choose, would_choose, observe, observe_local_tile,
                                      policy_free};
  if (allocator == NULL) allocator = tess_allocator_default();
  adaptive *rule = allocator->alloc(allocator->ctx, sizeof *rule);
  if (rule == NULL) return NULL;
  *rule = (adaptive){.base = {&ops}, .allocator = allocator, .hold_ms = HOLD_MS};
  rule->threshold_ms = threshold_ms > 0 ? threshold_ms : DEFAULT_THRESHOLD_MS;
  return &rule->base;
}
