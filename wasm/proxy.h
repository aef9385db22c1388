/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the proxy executor share; private to executor_proxy.c and these:
 *
 *   proxy_request.c  who is under way, and how requests end
 *   proxy_advance.c  names of panels, then blocks, then the call
 *   proxy_message.c  a tile as a message, and its answer
 *   proxy_calls.c    ends of calls, from the transport's thread to step()
 *
 * Threads: tess__proxy_on_call_done and _sent run on the transport's; all else on the
 * controller's.
 */
#ifndef TESSERA_WASM_PROXY_H
#define TESSERA_WASM_PROXY_H

#include <tessera/client.h>
#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/executor.h"
#include "wasm/proxy_blocks.h"
#include "wasm/proxy_pulse.h"

typedef struct tess__proxy tess__proxy;

/* One operand of a request. */
typedef struct tess__proxy_operand {
  tess_panel_ref ref; /* panel NULL: it travels as elements */
  bool put;           /* the block was sent for this request */
  bool coming;        /* it is named while it is on its way */
} tess__proxy_operand;

/* One tile under way. */
typedef struct tess__proxy_request {
  tess_proxy_end end; /* first */
  struct tess__proxy_request *next;
  struct tess__proxy_request *prev;
  tess__proxy *self;
  tess_tile_work *work; /* NULL: cancelled */
  tess__proxy_operand operands[2];
  unsigned misses;
  bool naming;  /* waits for names of its panels, whoever gives them */
  bool calling; /* the call was started: its end comes */
  bool due;     /* may go on */
  uint64_t bytes_sent;
  tessera_matmul_v1_MatmulRequest message;
  tessera_matmul_v1_TileResult result;
  tess_arena arena;      /* holds what result points to */
  tess_metadata headers; /* of the answer: there was one, whatever it says */
  tess_call_options options;
  tess_proxy_limit limit;
  tess_client_call *call;
} tess__proxy_request;

struct tess__proxy {
  tess_tile_executor base;
  const tess_allocator *allocator;
  tess_transport *transport;
  tess_client *client;
  tess_executor_sync sync;
  uint64_t max_message_bytes; /* our own; base has that of both */
  bool described;             /* it said what it is, and was not lost since */
  bool asks;                  /* is asked for it by the next step() */
  tess__proxy_request *first; /* under way, and not cancelled */
  tess_proxy_end *ended;      /* under the lock; newest first */
  tess_proxy_calls calls;
  tess_proxy_blocks blocks;
  tess_proxy_pulse pulse;
  char url[256];
};

/* ---- proxy_request.c ---- */

void tess__proxy_request_link(tess__proxy *self, tess__proxy_request *r);
void tess__proxy_request_unlink(tess__proxy *self, tess__proxy_request *r);
void tess__proxy_request_free(tess__proxy_request *r);
void tess__proxy_all_are_due(tess__proxy *self);
/* A panel that nobody needs any more is not sent on. */
void tess__proxy_let_go_of_panels(tess__proxy *self, const tess__proxy_request *leaving);
/* Tells the controller that the request failed, and frees it. Its call is not under way. */
void tess__proxy_deliver_failure(tess__proxy_request *r, tess_code code, const tess_reason *reason);
/* The call of a request ended. */
void tess__proxy_call_ended(tess__proxy_request *r);
/* The worker is gone or frozen: what it holds is to be computed elsewhere. */
void tess__proxy_fell_silent(tess__proxy *self);

/* ---- proxy_advance.c ---- */

/* Goes on as far as it goes: names, then blocks, then the call. */
tess_code tess__proxy_advance(tess__proxy_request *r, tess_reason *reason);
/* All that are due. */
void tess__proxy_advance_all(tess__proxy *self);
/* Names panels that requests wait for, as long as the slice lasts. */
void tess__proxy_name_panels(tess__proxy *self, double budget_ms);
/* The call about a block ended. */
void tess__proxy_flight_ended(tess__proxy *self, tess_proxy_end *end);

/* ---- proxy_message.c ---- */

void tess__proxy_write_message(tess__proxy_request *r);
/* Does the answer hold the tile that was asked for? Its elements as a matrix, which
 * lives as long as the request. */
tess_code tess__proxy_check_result(tess__proxy_request *r, tess_const_matrix *matrix,
                                   tess_reason *reason);
uint64_t tess__proxy_matrix_bytes(const tessera_matmul_v1_Matrix *m);

/* ---- proxy_calls.c ---- */

/* The client's done and on_sent; ctx is a tess_proxy_end. */
void tess__proxy_on_call_done(void *ctx, const tess_status *status);
void tess__proxy_on_call_sent(void *ctx);
/* Ends a call. What it borrowed is left alone when this returns; step() frees it. */
void tess__proxy_end_call(tess_proxy_end *end, tess_client_call *call);
/* Those that came since, oldest first. */
tess_proxy_end *tess__proxy_take_ended(tess__proxy *self);

#endif
