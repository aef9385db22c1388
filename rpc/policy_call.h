/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the client policy: its calls and their attempts (policy_call.c), and who
 * takes calls in and begins what is due (transport_policy.c). A call is one request of
 * the client's; an attempt is one request to the transport behind.
 *
 * Who calls the client's on_...: as long as attempts are under way, the thread of
 * the transport behind, for the one attempt that won; on_end comes when the last of them
 * has ended, so that nobody reads the request's body any more. Between attempts it
 * is the clerk, a thread that begins what is due, gives up what takes too long, and ends
 * calls that have nothing under way. A second thread looks names up.
 *
 * An attempt that ran out of its time has failed when the transport tells its end, which
 * comes once it was cancelled, as for any other failure: until then it may still read
 * the body that the next attempt begins anew.
 *
 * Lock: `lock` guards all of it but what belongs to one attempt's thread (its peek, and
 * whether it answered).
 * Neither the client nor the transport behind is called with it.
 */
#ifndef TESSERA_RPC_POLICY_CALL_H
#define TESSERA_RPC_POLICY_CALL_H

#include <pthread.h>

#include "rpc/due.h"
#include "rpc/endpoints.h"
#include "rpc/lookup.h"
#include "rpc/response_peek.h"
#include "rpc/retry.h"

typedef struct tess__policy_call tess__policy_call;
typedef struct tess__policy tess__policy;

/* Of what ended an attempt, for people. */
enum { TESS__POLICY_DETAIL_BYTES = 160 };

typedef struct tess__policy_attempt {
  tess_http_outgoing out; /* first */
  tess__policy_call *call;
  tess__endpoint *endpoint; /* NULL: the attempt is over */
  uint64_t endpoint_id;
  char *url;
  tess_metadata headers; /* a copy with what tells of this attempt; unused in the first */
  size_t body_next;
  tess__peek peek;
  bool answered;  /* its response is being handed on; its thread's, as the peek */
  tess_code code; /* how it ended, for the client */
  char detail[TESS__POLICY_DETAIL_BYTES];
  bool starting;        /* start() has not returned */
  bool live;            /* with the transport behind */
  bool abandoned;       /* cancelled by us: nobody cares how it ends */
  int64_t answer_by_ms; /* when it runs out of the attempt timeout; TESS_NEVER_MS: it cannot */
  bool told;            /* the server knows of the attempt's time, and not of the call's */
  bool taken;           /* its time has begun: it does not wait for a connection */
  bool has_head;        /* in time: now it cannot any more; not kept where it never could */
  bool timed_out;       /* cancelled for it: what it still brings is dropped */
} tess__policy_attempt;

struct tess__policy_call {
  tess__policy_call *previous, *next;
  tess__due due; /* in policy->due, no later than the clerk has something to do for it */
  tess__policy *policy;
  tess_http_outgoing *outer;
  tess__retry retry;
  tess__policy_attempt *attempts[TESS_POLICY_MAX_ATTEMPTS];
  unsigned live;
  unsigned timeouts;                       /* attempts that ran out of their time */
  char failure[TESS__POLICY_DETAIL_BYTES]; /* the last that was tried again; "": none */
  tess__policy_attempt *winner;            /* whose answer, or failure, is the call's */
  bool told_sent;                          /* the client knows that its body was taken */
  bool cancelled;
  bool busy;     /* the clerk is beginning an attempt */
  bool ending;   /* on_end is on its way */
  unsigned refs; /* the call's own, and those who use it without the lock */
};

struct tess__policy {
  tess_transport base; /* first */
  tess_transport *behind;
  tess__retry_rules rules;
  char **names; /* of the configured endpoints */
  size_t name_count;
  pthread_t clerk;
  tess__lookup *lookup; /* NULL: names are not looked up here */

  pthread_mutex_t lock;
  pthread_cond_t changed; /* for the clerk */
  int64_t wake_ms;        /* when it looks again by itself, while it waits */
  pthread_cond_t told;    /* for who waits: the client was called */
  tess__endpoints endpoints;
  tess__throttle throttle;
  tess__policy_call *calls;
  tess__due_queue due; /* of those for whom the clerk has, or will have, something to do */
  /* Calls that are off the list and whose end is being told, and threads that give up
   * attempts. */
  unsigned finishing;
  uint64_t random;
  bool stop;
  tess_client_policy_stats stats;
};

int64_t tess__policy_now_ms(tess__policy *policy);

/* All of these with the lock, which they may give up meanwhile. */

/* Whoever calls out without the lock: the call, and the policy, stay until leave. */
void tess__policy_enter(tess__policy *policy, tess__policy_call *call);
void tess__policy_leave(tess__policy *policy, tess__policy_call *call);
/* Whenever something of the call changed that may be due sooner for it: the clerk is
 * woken, unless it looks again by then anyway. What is due later than it was may be left
 * to the clerk, who plans anew when it finds nothing to do. */
void tess__policy_plan(tess__policy_call *call);
/* Starts the call's next attempt. An error: it did not begin. */
tess_code tess__policy_begin_attempt(tess__policy *policy, tess__policy_call *call,
                                     tess_status *status);
/* Gives up the attempts other than `keep`. */
void tess__policy_cancel_others(tess__policy *policy, tess__policy_call *call,
                                const tess__policy_attempt *keep);
/* An attempt of the call that is out of time; NULL: none is. */
tess__policy_attempt *tess__policy_late_attempt(tess__policy_call *call, int64_t now_ms);
/* Gives up an attempt that is out of time: it fails when it has ended. */
void tess__policy_time_out(tess__policy *policy, tess__policy_attempt *attempt);
/* Everything has ended: tells the client what the winner brought. */
void tess__policy_conclude(tess__policy *policy, tess__policy_call *call);
/* Off the list, and nothing is due for it any more. */
void tess__policy_unlink(tess__policy_call *call);
void tess__policy_call_unref(tess__policy_call *call);

#endif
