/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of endpoints: which one gets the next attempt, and which get none for a
 * while because they fail (Envoy's outlier detection, consecutive failures). Pure:
 * the caller passes now_ms.
 *
 * An endpoint is referred to by a pointer from pick to report; one that was
 * removed meanwhile lives until then. What is remembered for longer is its id.
 * Threads: guarded by the caller.
 */
#ifndef TESSERA_RPC_ENDPOINTS_H
#define TESSERA_RPC_ENDPOINTS_H

#include <tessera/client_policy.h>

typedef struct tess__endpoint {
  uint64_t id;      /* of url and connect_to: the same when a name leads there again */
  char *url;        /* "http://host:port[/prefix]", no slash at its end */
  char *connect_to; /* "address:port", or NULL: wherever the name leads */
  size_t source;    /* of the configured endpoints, the one it comes from */
  bool gone;        /* no longer in the set */
  uint32_t in_flight;
  unsigned failures_in_row;
  unsigned recent_failures; /* as of recent_ms; halved as time passes */
  int64_t recent_ms;
  unsigned ejections; /* remembered; one is forgotten for each base time without failures */
  int64_t ejected_until_ms;
} tess__endpoint;

typedef struct tess__endpoints {
  tess_balance balance;
  tess_outlier_options outlier; /* defaults filled in */
  tess__endpoint **items;
  size_t count;
  size_t next; /* pick-first: the current one; else whose turn it is */
  uint64_t ejections;
} tess__endpoints;

/* False: an option makes no sense. */
bool tess__endpoints_init(tess__endpoints *set, tess_balance balance,
                          const tess_outlier_options *outlier);
void tess__endpoints_cleanup(tess__endpoints *set);
/* Stands behind those of its source. TESS_RESOURCE_EXHAUSTED: memory, or
 * TESS_POLICY_MAX_ENDPOINTS. */
tess_code tess__endpoints_add(tess__endpoints *set, size_t source, const char *url,
                              const char *connect_to);
/* The addresses that a source has now: new ones are added, those that are missing go,
 * the others keep their state. A source never becomes empty. TESS_RESOURCE_EXHAUSTED:
 * as many as there was room for. */
tess_code tess__endpoints_replace(tess__endpoints *set, size_t source, const char *url,
                                  const char *const *connect_to, size_t count);

/* For an attempt that begins now; counted as in flight until report. `tried`: the ids
 * of where this call has been; others that are not ejected are preferred (Envoy:
 * "previous_hosts"). NULL: the set is empty. */
tess__endpoint *tess__endpoints_pick(tess__endpoints *set, const uint64_t *tried,
                                     size_t tried_count, int64_t now_ms);
typedef enum tess__endpoint_outcome {
  TESS__ENDPOINT_GOOD,
  TESS__ENDPOINT_FAILED,
  TESS__ENDPOINT_UNREACHABLE, /* failed, and there was no answer at all */
  TESS__ENDPOINT_NOTHING      /* the attempt was given up: no news */
} tess__endpoint_outcome;
/* The attempt is over; the endpoint is not to be used again. */
void tess__endpoints_report(tess__endpoints *set, tess__endpoint *endpoint,
                            tess__endpoint_outcome outcome, int64_t now_ms);
size_t tess__endpoints_ejected(const tess__endpoints *set, int64_t now_ms);

#endif
