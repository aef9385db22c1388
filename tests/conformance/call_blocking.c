/* SPDX-License-Identifier: Apache-2.0
 *
 * A call of the suite through the client's blocking functions.
 */
#include "tests/conformance/call.h"

#include <pthread.h>
#include <time.h>

typedef struct test_call {
  const conf_case *test;
  tess_client *client;
  const tess_method *method;
  tess_call_options options;
  conf_result *result;
} test_call;

static void sleep_ms(uint32_t ms) {
  struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0) {
  }
}

/* ---- unary ---- */

typedef struct completion {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool done;
  tess_status *status;
} completion;

static void on_done(void *ctx, const tess_status *status) {
  completion *self = ctx;
  pthread_mutex_lock(&self->lock);
  tess_status_copy(self->status, status);
  self->done = true;
  pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

/* Started, cancelled after a while unless it is done, and waited for. The lock is
 * held while it is cancelled: the call lives until on_done returns. */
static tess_code cancelled_unary(test_call *call, const void *request, void *response) {
  tess_status *status = &call->result->status;
  completion end = {
      .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .status = status};
  tess_client_call *handle = NULL;
  tess_code code = tess_client_unary_start(call->client, call->method, &call->options, request,
                                           response, on_done, &end, &handle, status);
  if (code != TESS_OK) return code;
  sleep_ms(call->test->cancel_after);
  pthread_mutex_lock(&end.lock);
  if (!end.done) tess_client_call_cancel(handle);
  while (!end.done)
    pthread_cond_wait(&end.changed, &end.lock);
  pthread_mutex_unlock(&end.lock);
  return status->code;
}

static void run_unary(test_call *call) {
  void *request = conf_request(call->test, call->method, 0);
  void *response = conf_alloc(call->test->arena, call->method->response->size);
  call->options.arena = call->test->arena; /* the response lives as long as the result */
  tess_code code = call->test->cancel != CONF_CANCEL_NEVER
                       ? cancelled_unary(call, request, response)
                       : tess_client_unary(call->client, call->method, &call->options, request,
                                           response, &call->result->status);
  if (code == TESS_OK) conf_keep(call->result, call->method, response);
}

/* ---- streams ---- */

/* Sends all messages, as long as the stream lasts. */
static void send_all(test_call *call, tess_client_stream *stream) {
  const conf_case *test = call->test;
  for (size_t i = 0; i < test->message_count; i++) {
    sleep_ms(test->request_delay_ms);
    tess_status unsent = TESS_STATUS_INIT; /* read tells why */
    tess_code code = tess_client_stream_write(stream, conf_request(test, call->method, i), &unsent);
    tess_status_cleanup(&unsent);
    if (code != TESS_OK) {
      call->result->unsent_requests = test->message_count - i;
      return;
    }
  }
}

static void receive_all(test_call *call, tess_client_stream *stream) {
  const conf_case *test = call->test;
  void *response = conf_alloc(test->arena, call->method->response->size);
  for (;;) {
    if (test->cancel == CONF_CANCEL_AFTER_RESPONSES &&
        call->result->payload_count == test->cancel_after)
      tess_client_stream_cancel(stream);
    if (tess_client_stream_read(stream, response, &call->result->status) != TESS_OK) return;
    conf_keep(call->result, call->method, response);
    tess_client_clear_response(call->client, call->method, response);
  }
}

static void run_stream(test_call *call) {
  const conf_case *test = call->test;
  tess_client_stream *stream =
      tess_client_stream_open(call->client, call->method, &call->options, &call->result->status);
  if (stream == NULL) return;
  send_all(call, stream);
  if (test->cancel == CONF_CANCEL_BEFORE_CLOSE_SEND)
    tess_client_stream_cancel(stream);
  else
    tess_client_stream_done_writing(stream, NULL);
  if (test->cancel == CONF_CANCEL_AFTER_CLOSE_SEND_MS) {
    sleep_ms(test->cancel_after);
    tess_client_stream_cancel(stream);
  }
  receive_all(call, stream);
  tess_client_stream_close(stream);
  /* A call with one response fails as a whole. */
  if (call->method->stream_kind == TESS_CLIENT_STREAM && call->result->status.code != TESS_OK)
    call->result->payload_count = 0;
}

void conf_run_case(const conf_case *test, tess_client *client, tess_transport *transport,
                   const tess_method *method, conf_result *result) {
  (void)transport;
  test_call call = {.test = test,
                    .client = client,
                    .method = method,
                    .options = conf_call_options(test, result),
                    .result = result};
  (method->stream_kind == TESS_UNARY ? run_unary : run_stream)(&call);
}
