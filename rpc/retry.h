/* SPDX-License-Identifier: Apache-2.0
 *
 * When a call is tried again: retries with backoff, hedging, and their budget
 * (gRFC A6), and for how long an attempt is awaited. Pure: the caller passes now_ms and
 * random numbers.
 *
 *   tess__retry_begin(&retry, &rules, idempotent);
 *   start the first attempt; tess__retry_started(&retry, now_ms);
 *   ... no head of its response at tess__retry_answer_by(...): it has failed
 *   ... an attempt failed: tess__retry_failed(..., &failure) says whether to go on
 *   ... at retry.next_ms: start another, tess__retry_started again
 *
 * Threads: none; rules and throttle of several calls are guarded by the caller.
 */
#ifndef TESSERA_RPC_RETRY_H
#define TESSERA_RPC_RETRY_H

#include <tessera/client_policy.h>

typedef struct tess__retry_rules {
  tess_retry_options retry; /* defaults filled in */
  tess_hedge_options hedge;
  tess_throttle_options throttle;
} tess__retry_rules;

/* False: a value makes no sense; *why says which. */
bool tess__retry_rules_fill(tess__retry_rules *rules, const tess_client_policy_options *options,
                            const char **why);

/* The budget. */
typedef struct tess__throttle {
  double tokens;
  uint64_t refused;
} tess__throttle;

/* What a server said about trying again. */
typedef struct tess__pushback {
  bool said;
  int64_t ms; /* < 0: do not */
} tess__pushback;

typedef struct tess__retry {
  bool hedging;
  unsigned max_attempts; /* 1: once */
  unsigned attempts;     /* started */
  unsigned pauses;       /* since the last pushback: the next pause's exponent */
  int64_t next_ms;       /* when the next attempt is due; TESS_NEVER_MS: none is */
} tess__retry;

/* may_repeat: the method, and the body, may be sent more than once; may_hedge: also
 * at the same time. */
void tess__retry_begin(tess__retry *retry, const tess__retry_rules *rules, bool idempotent,
                       bool may_repeat, bool may_hedge);
/* An attempt begins: plans the next hedge. */
void tess__retry_started(tess__retry *retry, const tess__retry_rules *rules,
                         tess__throttle *throttle, int64_t now_ms);
/* By when an attempt that begins now must have the head of its response;
 * TESS_NEVER_MS: the call's deadline comes first, or there is no attempt timeout. */
int64_t tess__retry_answer_by(const tess__retry *retry, const tess__retry_rules *rules,
                              int64_t now_ms, int64_t deadline_ms);

/* How an attempt failed, of which nothing was handed on. */
typedef struct tess__failure {
  tess_code code;
  bool timed_out; /* it ran out of the attempt timeout: that is always retried (A6) */
  tess__pushback pushback;
  unsigned others; /* attempts still under way */
  int64_t now_ms;
  int64_t deadline_ms; /* the call's */
  double random;       /* uniform in [0, 1) */
} tess__failure;

/* True: the call goes on (next_ms, or the others); false: this failure is its end. */
bool tess__retry_failed(tess__retry *retry, const tess__retry_rules *rules,
                        tess__throttle *throttle, const tess__failure *failure);
/* An attempt went well. */
void tess__retry_succeeded(const tess__retry_rules *rules, tess__throttle *throttle);

/* "grpc-retry-pushback-ms" (gRPC; anything that is no number >= 0 forbids), then
 * "retry-after" in seconds (RFC 9110, 10.2.3; a date is not read). */
tess__pushback tess__pushback_read(const tess_metadata *headers);

#endif
