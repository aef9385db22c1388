/* SPDX-License-Identifier: Apache-2.0
 *
 * See proxy_pulse.h.
 */
#include "wasm/proxy_pulse.h"

#include <stdatomic.h>
#include <string.h>

void tess_proxy_pulse_init(tess_proxy_pulse *pulse, const tess_proxy_calls *calls) {
  memset(pulse, 0, sizeof *pulse);
  pulse->calls = calls;
  pulse->end.proxy = calls->proxy;
  pulse->end.kind = TESS_PROXY_END_PULSE;
  tess_arena_init(&pulse->arena, calls->allocator, 0);
  tess_metadata_init(&pulse->headers, calls->allocator, 0);
  tess_status_init(&pulse->end.status, calls->allocator);
}

void tess_proxy_pulse_heard(tess_proxy_pulse *pulse, double now_ms) {
  pulse->heard_ms = now_ms;
  pulse->refused = false;
}

/* False: it could not be. */
static bool ask(tess_proxy_pulse *pulse, double now_ms, bool early) {
  tess_arena_cleanup(&pulse->arena);
  tess_metadata_clear(&pulse->headers);
  tess_status_reset(&pulse->end.status);
  atomic_store(&pulse->end.ended, false);
  pulse->options = (tess_call_options){
      .arena = &pulse->arena,
      .timeout_ms = (int64_t)(early ? TESS_PULSE_EVERY_MS : TESS_PULSE_ANSWER_MS),
      .response_headers = &pulse->headers};
  tess_proxy_limit_answer(pulse->calls, &pulse->limit, TESS_PROXY_DESCRIBE_BYTES, &pulse->options);
  memset(&pulse->request, 0, sizeof pulse->request);
  pulse->asking = true;
  pulse->early = early;
  pulse->asked_ms = now_ms;
  tess_status failure;
  tess_status_init(&failure, pulse->calls->allocator);
  tess_code code = tessera_matmul_v1_matmul_service_describe_start(
      pulse->calls->client, &pulse->options, &pulse->request, &pulse->response,
      pulse->calls->on_done, &pulse->end, &pulse->call, &failure);
  tess_status_cleanup(&failure);
  if (code != TESS_OK) pulse->asking = false;
  return code == TESS_OK;
}

void tess_proxy_pulse_ask(tess_proxy_pulse *pulse, double now_ms) {
  if (!pulse->asking) ask(pulse, now_ms, true);
}

double tess_proxy_pulse_step(tess_proxy_pulse *pulse, double now_ms) {
  if (pulse->asking) return -1;
  double due_ms = pulse->heard_ms + TESS_PULSE_EVERY_MS;
  if (now_ms < due_ms) return due_ms - now_ms;
  if (ask(pulse, now_ms, false)) return -1;
  /* Not asked, so nothing is known: later. */
  pulse->heard_ms = now_ms;
  return TESS_PULSE_EVERY_MS;
}

tess_pulse_news tess_proxy_pulse_ended(tess_proxy_pulse *pulse, double now_ms) {
  const tess_code code = pulse->end.status.code;
  pulse->asking = false;
  pulse->call = NULL;
  if (code == TESS_CANCELED) return TESS_PULSE_LIVES; /* by us */
  if (pulse->early && (code == TESS_DEADLINE_EXCEEDED || code == TESS_UNAVAILABLE))
    return TESS_PULSE_UNSURE;
  /* Heard of meanwhile: then the question was lost, or it is busy. */
  if (code == TESS_DEADLINE_EXCEEDED)
    return pulse->heard_ms > pulse->asked_ms ? TESS_PULSE_UNSURE : TESS_PULSE_SILENT;
  /* What is ending refuses new requests, and answers those that it has. */
  if (code != TESS_UNAVAILABLE || pulse->headers.count > 0) {
    tess_proxy_pulse_heard(pulse, now_ms);
    return TESS_PULSE_LIVES;
  }
  const bool again = pulse->refused;
  tess_proxy_pulse_heard(pulse, now_ms);
  pulse->refused = !again;
  return again ? TESS_PULSE_SILENT : TESS_PULSE_UNSURE;
}

void tess_proxy_pulse_cancel(tess_proxy_pulse *pulse) {
  if (pulse->asking) pulse->calls->cancel(&pulse->end, pulse->call);
}

void tess_proxy_pulse_cleanup(tess_proxy_pulse *pulse) {
  tess_arena_cleanup(&pulse->arena);
  tess_metadata_cleanup(&pulse->headers);
  tess_status_cleanup(&pulse->end.status);
}
