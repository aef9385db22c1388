/* SPDX-License-Identifier: Apache-2.0
 *
 * See call_events.h. Events only write down what happened; step acts on it.
 */
#include "tests/conformance/call_events.h"

static void lock(const conf_run *run) {
  if (run->owner->lock != NULL) run->owner->lock(run->owner->ctx);
}

/* Something happened: step is due. */
static void signal_and_unlock(const conf_run *run) {
  run->owner->signal(run->owner->ctx);
  if (run->owner->unlock != NULL) run->owner->unlock(run->owner->ctx);
}

/* ---- events ---- */

static bool on_message(void *ctx, const void *message) {
  conf_run *run = ctx;
  lock(run);
  conf_keep(run->result, run->method, message);
  run->enough = run->test->cancel == CONF_CANCEL_AFTER_RESPONSES &&
                run->result->payload_count >= run->test->cancel_after;
  bool go_on = !run->enough;
  signal_and_unlock(run);
  return go_on;
}

static void on_writable(void *ctx) {
  conf_run *run = ctx;
  lock(run);
  run->blocked = false;
  signal_and_unlock(run);
}

static void finish(conf_run *run, const tess_status *status) {
  if (tess_status_copy(&run->result->status, status) != TESS_OK)
    run->result->status.code = status->code;
  run->ended = true;
  run->call = NULL;
}

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  conf_run *run = ctx;
  (void)trailers; /* they are in the result */
  lock(run);
  finish(run, status);
  signal_and_unlock(run);
}

static void on_done(void *ctx, const tess_status *status) {
  conf_run *run = ctx;
  lock(run);
  finish(run, status);
  if (status->code == TESS_OK) conf_keep(run->result, run->method, run->response);
  signal_and_unlock(run);
}

/* ---- steps ---- */

void conf_run_start(conf_run *run, const conf_case *test, tess_client *client,
                    const tess_method *method, conf_result *result, const conf_owner *owner) {
  *run = (conf_run){.test = test,
                    .method = method,
                    .client = client,
                    .result = result,
                    .owner = owner,
                    .options = conf_call_options(test, result),
                    .cancel_at_ms = TESS_NEVER_MS};
  run->response = conf_alloc(test->arena, method->response->size);
}

static void start_unary(conf_run *run, int64_t now_ms) {
  run->options.arena = run->test->arena; /* the response lives as long as the result */
  run->closed = true;
  if (run->test->cancel != CONF_CANCEL_NEVER) run->cancel_at_ms = now_ms + run->test->cancel_after;
  if (tess_client_unary_start(run->client, run->method, &run->options,
                              conf_request(run->test, run->method, 0), run->response, on_done, run,
                              &run->call, &run->result->status) != TESS_OK)
    run->ended = true;
  if (run->ended) run->call = NULL; /* it may have ended before it returned */
}

static void start_stream(conf_run *run, int64_t now_ms) {
  static const tess_client_stream_events events = {
      .on_message = on_message, .on_writable = on_writable, .on_end = on_end};
  run->next_at_ms = now_ms + run->test->request_delay_ms;
  if (tess_client_stream_start(run->client, run->method, &run->options, &events, run, &run->call,
                               &run->result->status) != TESS_OK)
    run->ended = true;
  if (run->ended) run->call = NULL;
}

/* No more requests from here: cancelled, or closed and cancelled later. */
static void close_stream(conf_run *run, int64_t now_ms) {
  const conf_case *test = run->test;
  run->closed = true;
  if (test->cancel == CONF_CANCEL_BEFORE_CLOSE_SEND) {
    tess_client_call_cancel(run->call);
    return;
  }
  if (test->cancel == CONF_CANCEL_AFTER_CLOSE_SEND_MS)
    run->cancel_at_ms = now_ms + test->cancel_after;
  if (test->cancel == CONF_CANCEL_AFTER_RESPONSES && test->cancel_after == 0) run->enough = true;
  tess_client_stream_close_send(run->call);
}

/* Sends what is due. */
static void send_messages(conf_run *run, int64_t now_ms) {
  const conf_case *test = run->test;
  while (!run->ended && !run->closed && !run->blocked && now_ms >= run->next_at_ms) {
    if (run->sent == test->message_count) {
      close_stream(run, now_ms);
      return;
    }
    run->blocked = true; /* before on_writable can come */
    tess_code code = tess_client_stream_send(run->call, conf_request(test, run->method, run->sent));
    if (run->ended) return;
    if (code == TESS_WOULD_BLOCK) return;
    run->blocked = false;
    if (code != TESS_OK) { /* the server has ended the stream: its end is on its way */
      close_stream(run, now_ms);
      return;
    }
    run->sent++;
    run->next_at_ms = run->sent < test->message_count ? now_ms + test->request_delay_ms : now_ms;
  }
}

int64_t conf_run_step(conf_run *run, int64_t now_ms) {
  if (!run->started) {
    run->started = true;
    (run->method->stream_kind == TESS_UNARY ? start_unary : start_stream)(run, now_ms);
  }
  if (run->method->stream_kind != TESS_UNARY) send_messages(run, now_ms);
  if (!run->ended && (run->enough || now_ms >= run->cancel_at_ms)) {
    run->enough = false;
    run->cancel_at_ms = TESS_NEVER_MS;
    tess_client_call_cancel(run->call);
  }
  if (run->ended) {
    if (run->method->stream_kind != TESS_UNARY)
      run->result->unsent_requests = run->test->message_count - run->sent;
    /* A call with one response fails as a whole. */
    if (run->method->stream_kind == TESS_CLIENT_STREAM && run->result->status.code != TESS_OK)
      run->result->payload_count = 0;
    return CONF_RUN_OVER;
  }
  int64_t wake_ms = run->cancel_at_ms;
  if (!run->closed && !run->blocked && run->next_at_ms < wake_ms) wake_ms = run->next_at_ms;
  return wake_ms;
}
