/* SPDX-License-Identifier: Apache-2.0
 *
 * Client policy: several endpoints, retries, hedging, outlier ejection. A filter in
 * front of a transport: every client, unary or stream, gets it without a change.
 *
 *   const char *endpoints[] = {"http://10.0.0.1:8081", "http://10.0.0.2:8081"};
 *   tess_client_policy_options policy = {.transport = curl, .endpoints = endpoints,
 *       .endpoint_count = 2, .balance = TESS_BALANCE_ROUND_ROBIN,
 *       .retry = {.max_attempts = 3}, .outlier = {.consecutive_failures = 5}};
 *   tess_transport *transport = tess_client_policy_new(&policy, &status);
 *   tess_client_options options = {.transport = transport, .base_url = "http://say"};
 *
 * Everything is off where its options are zero. docs/client-policy.md explains it
 * to users. Sources: gRFC A6, "gRPC Retry Design"
 * (https://github.com/grpc/proposal/blob/master/A6-client-retries.md); Envoy,
 * "Outlier detection", per_try_timeout.
 *
 * What may be sent again: a request whose method is declared IDEMPOTENT or
 * NO_SIDE_EFFECTS (all of them with retry.all_methods), as long as nothing of its
 * response was handed on, and where its body can be sent again (a stream of
 * requests only before its first byte left). The call's deadline bounds all
 * attempts together.
 *
 * Threads: safe from any thread. Link with tessera-policy.
 */
#ifndef TESSERA_CLIENT_POLICY_H
#define TESSERA_CLIENT_POLICY_H

#include <tessera/http.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TESS_POLICY_MAX_ENDPOINTS 256u
#define TESS_POLICY_MAX_ATTEMPTS 5u /* gRFC A6 */

/* Bit of a code in a set of codes. */
#define TESS_CODE_BIT(code) (1u << (code))

/* Who gets an attempt. A retry or hedge goes where its call has not been, as long as
 * there is such an endpoint that is not ejected. */
typedef enum tess_balance {
  TESS_BALANCE_PICK_FIRST = 0, /* the first that answers, until it cannot be reached */
  TESS_BALANCE_ROUND_ROBIN = 1,
  /* Fewest requests in flight, ties by turns. A failure counts as one: of those that are
   * counted half are forgotten each second. */
  TESS_BALANCE_LEAST_LOADED = 2
} tess_balance;

/* Zero means the default. */
typedef struct tess_retry_options {
  unsigned max_attempts;      /* with the first; 0 and 1: no retries; at most 5 */
  int64_t initial_backoff_ms; /* default 100 */
  int64_t max_backoff_ms;     /* default 10000 */
  double multiplier;          /* default 1.6; each pause is varied by 20 % */
  uint32_t codes;             /* TESS_CODE_BIT of what is retried; default UNAVAILABLE */
  bool all_methods;           /* also those that are not declared idempotent */
  /* How long an attempt may take from its beginning, connecting and sending included,
   * until the head of its response has come; from then on, while a stream flows, the
   * call's deadline alone counts. Over a transport that tells_taken (that over libcurl) it
   * begins when the attempt no longer waits for a place among the connections, nor for the
   * addresses of a name. 0: no limit but that. Who runs out of it is cancelled,
   * has failed with UNAVAILABLE, whatever `codes` says, and counts so for its endpoint.
   * Holds for calls that may be tried again or hedged, their last attempt too, except
   * streams of requests: their response may rightly wait for the last of these. What the
   * server is told is the smaller of this and the call's time; with streams the call's. Who
   * was told this and answers DEADLINE_EXCEEDED, however early, has run out of it. */
  int64_t attempt_timeout_ms;
} tess_retry_options;

/* Several attempts at once, of idempotent methods alone: the first answer counts,
 * the others are cancelled. Takes the place of retries. */
typedef struct tess_hedge_options {
  unsigned max_attempts; /* with the first; 0 and 1: no hedging; at most 5 */
  int64_t delay_ms;      /* between attempts; 0: all at once */
  uint32_t codes;        /* failures that do not end the call; default UNAVAILABLE */
} tess_hedge_options;

/* The budget of retries and hedges (A6, "throttling"): a bucket of max_tokens, one
 * less for each failure, ratio more for each success; no retries and no hedges
 * while it is half empty or less. */
typedef struct tess_throttle_options {
  double max_tokens; /* default 10; negative: no budget */
  double ratio;      /* default 0.1 */
} tess_throttle_options;

/* Envoy's rule: an endpoint that fails so often in a row gets nothing for a time
 * that grows with each ejection. Failures: no answer, or one that speaks of the
 * server: unknown, deadline_exceeded, internal, unavailable, data_loss. */
typedef struct tess_outlier_options {
  unsigned consecutive_failures; /* 0: nobody is ejected; Envoy: 5 */
  int64_t base_ejection_ms;      /* default 30000, times the number of ejections */
  int64_t max_ejection_ms;       /* default 300000 */
  unsigned max_ejected_percent;  /* default 10; one may always be ejected, never the last */
} tess_outlier_options;

/* Who turns host names into addresses. Called from a thread of the policy's own; may
 * take its time. `found` is called for each address ("10.0.0.1", "fe80::1"). False: it
 * failed, and what was known before stays. */
typedef struct tess_resolver {
  bool (*resolve)(void *ctx, const char *host, void (*found)(void *to, const char *address),
                  void *to);
  void *ctx;
} tess_resolver;

/* getaddrinfo: the addresses that the system knows. */
extern const tess_resolver tess_resolver_system;

typedef struct tess_client_policy_options {
  tess_transport *transport;    /* carries the attempts; borrowed, outlives the policy */
  const char *const *endpoints; /* "http://host:port[/prefix]"; copied */
  size_t endpoint_count;        /* 1 to TESS_POLICY_MAX_ENDPOINTS */
  tess_balance balance;
  tess_retry_options retry;
  tess_hedge_options hedge;
  tess_throttle_options throttle;
  tess_outlier_options outlier;
  /* Names of endpoints are looked up so often, and when an endpoint does not answer
   * (at most once a second); each address is then an endpoint. 0: the transport
   * looks names up. */
  int64_t dns_refresh_ms;
  tess_resolver resolver; /* resolve NULL: tess_resolver_system */
  uint64_t seed;          /* of the jitter; 0: from the clock */
} tess_client_policy_options;

/* Counters, for people and metrics. */
typedef struct tess_client_policy_stats {
  uint64_t calls;
  uint64_t attempts;
  uint64_t retries;
  uint64_t hedges;
  uint64_t throttled; /* retries and hedges that the budget forbade */
  uint64_t ejections;
  unsigned endpoints; /* at present */
  unsigned ejected;   /* of these */
  uint64_t timeouts;  /* attempts that ran out of retry.attempt_timeout_ms */
} tess_client_policy_stats;

/* NULL on error: invalid_argument or memory. The result's ops->free ends what is in
 * flight and waits for it. */
tess_transport *tess_client_policy_new(const tess_client_policy_options *options,
                                       tess_status *status);
void tess_client_policy_stats_get(tess_transport *policy, tess_client_policy_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
