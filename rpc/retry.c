/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/retry.h"

#include "rpc/deadline.h"

/* A6: a pause is varied by so much. */
#define JITTER 0.2

/* A server that asks for a longer pause will not be asked again: a call without a
 * deadline would wait for as long as anybody says. */
#define LONGEST_PUSHBACK_MS 600000

static bool fill_attempts(unsigned *attempts) {
  if (*attempts == 0) *attempts = 1;
  return *attempts <= TESS_POLICY_MAX_ATTEMPTS;
}

bool tess__retry_rules_fill(tess__retry_rules *rules, const tess_client_policy_options *options,
                            const char **why) {
  *rules = (tess__retry_rules){options->retry, options->hedge, options->throttle};
  tess_retry_options *r = &rules->retry;
  tess_hedge_options *h = &rules->hedge;
  tess_throttle_options *t = &rules->throttle;
  *why = "a call takes at most 5 attempts";
  if (!fill_attempts(&r->max_attempts) || !fill_attempts(&h->max_attempts)) return false;
  *why = "retries and hedging exclude each other";
  if (r->max_attempts > 1 && h->max_attempts > 1) return false;
  if (r->initial_backoff_ms == 0) r->initial_backoff_ms = 100;
  if (r->max_backoff_ms == 0) r->max_backoff_ms = 10000;
  if (r->multiplier == 0) r->multiplier = 1.6;
  if (r->codes == 0) r->codes = TESS_CODE_BIT(TESS_UNAVAILABLE);
  if (h->codes == 0) h->codes = TESS_CODE_BIT(TESS_UNAVAILABLE);
  if (t->max_tokens == 0) t->max_tokens = 10;
  if (t->ratio == 0) t->ratio = 0.1;
  *why = "a pause, a delay or a timeout is negative, or the multiplier is less than 1";
  if (r->initial_backoff_ms < 0 || r->max_backoff_ms < 0 || !(r->multiplier >= 1) ||
      r->attempt_timeout_ms < 0 || h->delay_ms < 0)
    return false;
  *why = "the budget takes max_tokens up to 1000 and a ratio above 0";
  return t->max_tokens <= 1000 && t->ratio > 0;
}

/* ---- the budget ---- */

static bool is_open(const tess__retry_rules *rules, const tess__throttle *throttle) {
  return rules->throttle.max_tokens < 0 || throttle->tokens > rules->throttle.max_tokens / 2;
}

static void count_failure(tess__throttle *throttle) {
  throttle->tokens = throttle->tokens > 1 ? throttle->tokens - 1 : 0;
}

void tess__retry_succeeded(const tess__retry_rules *rules, tess__throttle *throttle) {
  double tokens = throttle->tokens + rules->throttle.ratio;
  throttle->tokens = tokens < rules->throttle.max_tokens ? tokens : rules->throttle.max_tokens;
}

/* ---- one call ---- */

void tess__retry_begin(tess__retry *retry, const tess__retry_rules *rules, bool idempotent,
                       bool may_repeat, bool may_hedge) {
  *retry = (tess__retry){.max_attempts = 1, .next_ms = TESS_NEVER_MS};
  if (rules->hedge.max_attempts > 1 && idempotent && may_hedge) {
    retry->hedging = true;
    retry->max_attempts = rules->hedge.max_attempts;
  } else if (may_repeat && (idempotent || rules->retry.all_methods)) {
    retry->max_attempts = rules->retry.max_attempts;
  }
}

void tess__retry_started(tess__retry *retry, const tess__retry_rules *rules,
                         tess__throttle *throttle, int64_t now_ms) {
  retry->attempts++;
  retry->next_ms = TESS_NEVER_MS;
  if (!retry->hedging || retry->attempts >= retry->max_attempts) return;
  if (is_open(rules, throttle))
    retry->next_ms = tess__deadline_after(now_ms, rules->hedge.delay_ms);
  else
    throttle->refused++;
}

int64_t tess__retry_answer_by(const tess__retry *retry, const tess__retry_rules *rules,
                              int64_t now_ms, int64_t deadline_ms) {
  int64_t timeout_ms = rules->retry.attempt_timeout_ms;
  if (timeout_ms == 0 || retry->max_attempts == 1) return TESS_NEVER_MS;
  int64_t by_ms = tess__deadline_after(now_ms, timeout_ms);
  return by_ms < deadline_ms ? by_ms : TESS_NEVER_MS;
}

/* The pause before the next retry. */
static int64_t pause_ms(const tess__retry *retry, const tess_retry_options *rules, double random) {
  double pause = (double)rules->initial_backoff_ms;
  for (unsigned i = 0; i < retry->pauses && pause < (double)rules->max_backoff_ms; i++)
    pause *= rules->multiplier;
  if (pause > (double)rules->max_backoff_ms) pause = (double)rules->max_backoff_ms;
  pause *= 1 - JITTER + 2 * JITTER * random;
  return pause < (double)TESS_NEVER_MS ? (int64_t)pause : TESS_NEVER_MS;
}

bool tess__retry_failed(tess__retry *retry, const tess__retry_rules *rules,
                        tess__throttle *throttle, const tess__failure *failure) {
  const tess__pushback pushback = failure->pushback;
  const tess_code code = failure->code;
  uint32_t codes = retry->hedging ? rules->hedge.codes : rules->retry.codes;
  bool forbidden = pushback.said && (pushback.ms < 0 || pushback.ms > LONGEST_PUSHBACK_MS);
  bool transient = failure->timed_out || (code > 0 && (codes & TESS_CODE_BIT(code)) != 0);
  if (transient || forbidden) count_failure(throttle);
  if (!transient) return false;
  if (retry->attempts >= retry->max_attempts || forbidden) {
    retry->next_ms = TESS_NEVER_MS;
    return failure->others > 0;
  }
  if (!is_open(rules, throttle)) {
    /* A hedge that was refused as the attempt began was counted there. */
    if (!retry->hedging || retry->next_ms != TESS_NEVER_MS) throttle->refused++;
    retry->next_ms = TESS_NEVER_MS;
    return failure->others > 0;
  }
  int64_t wait = 0; /* a hedge that failed makes room for the next at once */
  if (pushback.said) {
    wait = pushback.ms;
    retry->pauses = 0;
  } else if (!retry->hedging) {
    wait = pause_ms(retry, &rules->retry, failure->random);
    retry->pauses++;
  }
  if (failure->deadline_ms != TESS_NEVER_MS && wait >= failure->deadline_ms - failure->now_ms) {
    retry->next_ms = TESS_NEVER_MS;
    return failure->others > 0;
  }
  retry->next_ms = tess__deadline_after(failure->now_ms, wait);
  return retry->next_ms != TESS_NEVER_MS || failure->others > 0;
}

/* ---- what the server said ---- */

/* A whole number of at most 15 digits. */
static bool read_number(const tess_metadata_entry *entry, int64_t *number) {
  *number = 0;
  if (entry->value_size == 0 || entry->value_size > 15) return false;
  for (size_t i = 0; i < entry->value_size; i++) {
    if (entry->value[i] < '0' || entry->value[i] > '9') return false;
    *number = *number * 10 + (entry->value[i] - '0');
  }
  return true;
}

tess__pushback tess__pushback_read(const tess_metadata *headers) {
  static const char *const names[] = {"grpc-retry-pushback-ms", "trailer-grpc-retry-pushback-ms"};
  int64_t number;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const tess_metadata_entry *entry = tess_metadata_find(headers, names[i], 0);
    if (entry == NULL) continue;
    return (tess__pushback){true, read_number(entry, &number) ? number : -1};
  }
  const tess_metadata_entry *after = tess_metadata_find(headers, "retry-after", 0);
  if (after != NULL && read_number(after, &number)) return (tess__pushback){true, number * 1000};
  return (tess__pushback){false, 0};
}
