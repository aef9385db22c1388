/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names looked up again and again: on a timer, and when somebody is in a hurry
 * because one of them does not answer. A thread of its own, because lookups block.
 *
 * Threads: new and free by one; hurry by any.
 */
#ifndef TESSERA_RPC_LOOKUP_H
#define TESSERA_RPC_LOOKUP_H

#include <tessera/client_policy.h>

enum { TESS__LOOKUP_MAX_ADDRESSES = 64, TESS__LOOKUP_LEAST_MS = 1000 };

typedef struct tess__lookup tess__lookup;

typedef struct tess__lookup_options {
  const char *const *urls; /* "http://host:port/..."; borrowed. Addresses are not looked up */
  size_t url_count;
  int64_t refresh_ms;
  tess_resolver resolver; /* resolve NULL: tess_resolver_system */
  /* On the lookup's thread: where url number `index` leads now, "address:port". Not
   * called for a lookup that failed. */
  void (*found)(void *ctx, size_t index, const char *const *connect_to, size_t count);
  void *ctx;
} tess__lookup_options;

/* NULL: no memory or no thread. The first round begins at once. */
tess__lookup *tess__lookup_new(const tess__lookup_options *options);
/* The next round soon: at most one in TESS__LOOKUP_LEAST_MS. */
void tess__lookup_hurry(tess__lookup *lookup);
/* Waits for a lookup under way. NULL is fine. */
void tess__lookup_free(tess__lookup *lookup);

/* Splits "http://host:port/..." into host (without brackets) and port ("80" and "443"
 * where there is none). False: it is no such URL or does not fit. */
bool tess__lookup_split(const char *url, char host[256], char port[6]);

#endif
