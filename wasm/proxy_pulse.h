/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a worker still there? While it holds work and was silent for
 * TESS_PULSE_EVERY_MS it is asked what it is (Describe). Whatever it says to that is
 * a sign of life, an error too; silence for TESS_PULSE_ANSWER_MS means that it is
 * gone or frozen, and so does a second refusal in a row: one alone may come from a
 * worker whose connections are all taken. So a worker that falls silent with a tile
 * is known after about six seconds, however long the tile may take.
 *
 * The same question, asked early, learns how large a message the worker takes and how fast it
 * is before it gets work, or where that seems to have changed. Silence to that says nothing:
 * it is forgotten in time for the next question.
 *
 * A worker must answer Describe while it computes.
 *
 * Ownership: embedded in its proxy; the call borrows it until its end. Threads: one;
 * ended calls come in through the proxy's queue.
 */
#ifndef TESSERA_WASM_PROXY_PULSE_H
#define TESSERA_WASM_PROXY_PULSE_H

#include "wasm/proxy_blocks.h"

#define TESS_PULSE_EVERY_MS 2000.0
#define TESS_PULSE_ANSWER_MS 4000.0

typedef struct tess_proxy_pulse {
  tess_proxy_end end; /* first */
  const tess_proxy_calls *calls;
  bool asking;
  bool early;      /* the question under way is */
  bool refused;    /* the last question was */
  double asked_ms; /* when */
  double heard_ms; /* the last sign of life, or when the work began */
  tess_arena arena;
  tess_metadata headers; /* of the answer: there was one, whatever it says */
  tess_call_options options;
  tess_proxy_limit limit;
  tess_client_call *call;
  tessera_matmul_v1_DescribeRequest request;
  tessera_matmul_v1_DescribeResponse response;
} tess_proxy_pulse;

typedef enum tess_pulse_news {
  TESS_PULSE_LIVES,
  TESS_PULSE_UNSURE, /* ask again */
  TESS_PULSE_SILENT
} tess_pulse_news;

void tess_proxy_pulse_init(tess_proxy_pulse *pulse, const tess_proxy_calls *calls);
/* It was heard of, or gets its first work. */
void tess_proxy_pulse_heard(tess_proxy_pulse *pulse, double now_ms);
/* Asks early, if no question is under way. */
void tess_proxy_pulse_ask(tess_proxy_pulse *pulse, double now_ms);
/* It holds work: asks, if it is time. Milliseconds until there is something to do; < 0:
 * not before an answer. */
double tess_proxy_pulse_step(tess_proxy_pulse *pulse, double now_ms);
/* Takes the end of the question. */
tess_pulse_news tess_proxy_pulse_ended(tess_proxy_pulse *pulse, double now_ms);
/* Nobody waits for the answer any more. */
void tess_proxy_pulse_cancel(tess_proxy_pulse *pulse);
void tess_proxy_pulse_cleanup(tess_proxy_pulse *pulse);

#endif
