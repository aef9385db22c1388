/* SPDX-License-Identifier: Apache-2.0
 *
 * A transport behind the client policy that is played by the test: it sees the
 * attempts as they begin, and answers, breaks and cancels them as it likes. And a
 * client in front of it.
 *
 *   tess_transport *policy = policy_new((tess_client_policy_options){...});
 *   request *r = request_new(true);
 *   start(policy, r);
 *   respond_ok(0);               the first attempt; wait_begun(2) waits for a second
 *   wait_end(policy, r);
 *   request_free(r);
 */
#ifndef TESSERA_TESTS_UNIT_POLICY_PLAYED_H
#define TESSERA_TESTS_UNIT_POLICY_PLAYED_H

#include <pthread.h>
#include <stdatomic.h>

#include <tessera/client_policy.h>

/* ---- the transport behind ---- */

enum { PLAYED_MAX = 4096 };

typedef struct played_attempt {
  tess_http_outgoing *outgoing;
  char url[100], connect_to[64], before[8], timeout[32], grpc_timeout[32];
  bool cancelled, ended;
  unsigned cancels; /* so often */
} played_attempt;

extern pthread_mutex_t played_lock; /* of all of these */
extern played_attempt played[PLAYED_MAX];
extern unsigned played_count;
extern bool played_refuses;
extern const char *played_answers; /* attempts whose URL holds it are answered at once */
extern void (*played_in_start)(unsigned index); /* called before each start returns */
extern void (*played_in_cancel)(void);          /* called by each cancel */
extern tess_transport played_behind;

int64_t clock_ms(void);
void pause_ms(int ms);
/* Until so many attempts have begun. */
void wait_begun(unsigned count);
/* Until attempt number `index` is cancelled. */
void wait_cancelled(unsigned index);
/* The beginning of a response: its head alone. */
void respond_head(unsigned index, int status, const char *type);
/* Bytes of its body, and its end. */
void respond_rest(unsigned index, const void *body, size_t size);
/* Each ends attempt number `index`, once it has begun. */
void respond(unsigned index, int status, const char *type, const char *name, const char *value,
             const void *body, size_t size);
void respond_ok(unsigned index);
void respond_unavailable(unsigned index, const char *name, const char *value);
void end_with(unsigned index, tess_code code);
/* Ends what was cancelled, as a transport does; how many. */
unsigned end_cancelled(void);

/* ---- the client ---- */

typedef struct request {
  tess_http_outgoing out; /* first */
  tess_metadata headers;
  tess_slice body[2];
  unsigned next;
  int status;
  char text[128];
  size_t size;
  tess_code code;
  char detail[200]; /* "": none */
  atomic_int ends;
  unsigned sent; /* how often next_body came to the body's end */
  bool can_rewind;
} request;

extern tess_transport *played_cancel_in_rewind; /* a policy whose call is cancelled there */
extern tess_transport *played_cancel_in_head;   /* the same */

request *request_new(bool idempotent);
/* It has ended, once. */
void request_free(request *r);
void wait_end(tess_transport *transport, request *r);

/* ---- policies ---- */

extern const char *const played_three[3];

/* In front of played_behind, and three endpoints, where the options name none. */
tess_transport *policy_new(tess_client_policy_options options);
void start(tess_transport *policy, request *r);

#endif
