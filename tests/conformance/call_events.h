/* SPDX-License-Identifier: Apache-2.0
 *
 * A call of the suite, event by event: nothing here waits, so that it runs in a
 * WebAssembly module as well as beside threads.
 *
 *   conf_run_start(&run, &test, client, method, &result, &owner);
 *   while ((wake_at_ms = conf_run_step(&run, now_ms)) != CONF_RUN_OVER)
 *     wait for owner.signal or until wake_at_ms;
 *
 * Threads: the owner's lock must be held for every call of these functions. It
 * has to let its holder in again, because a call may end while it is cancelled.
 */
#ifndef TESSERA_CONFORMANCE_CALL_EVENTS_H
#define TESSERA_CONFORMANCE_CALL_EVENTS_H

#include "tests/conformance/call.h"

#define CONF_RUN_OVER ((int64_t)-1)

/* Whoever steps the call. */
typedef struct conf_owner {
  void (*lock)(void *ctx); /* NULL: there is one thread */
  void (*unlock)(void *ctx);
  void (*signal)(void *ctx); /* step is due; called with the lock held */
  void *ctx;
} conf_owner;

typedef struct conf_run {
  const conf_case *test;
  const tess_method *method;
  tess_client *client;
  conf_result *result;
  const conf_owner *owner;
  tess_call_options options;
  tess_client_call *call;
  void *response;
  size_t sent;
  int64_t next_at_ms;   /* when the next message goes out */
  int64_t cancel_at_ms; /* TESS_NEVER_MS: not yet, or never */
  bool started;
  bool closed; /* nothing more is sent */
  bool blocked;
  bool enough; /* as many responses as the case wants */
  bool ended;
} conf_run;

void conf_run_start(conf_run *run, const conf_case *test, tess_client *client,
                    const tess_method *method, conf_result *result, const conf_owner *owner);
/* When it wants to be called again, TESS_NEVER_MS (only after a signal), or
 * CONF_RUN_OVER: the result is complete, and the client may be freed. */
int64_t conf_run_step(conf_run *run, int64_t now_ms);

#endif
