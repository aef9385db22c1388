/* SPDX-License-Identifier: Apache-2.0 */
#include "echo_service.h"

#include <check.h>
#include <string.h>

/* Answers with the request's own bytes and echoes x-echo metadata both ways. */
static tess_code fill(tess_call *call, const echo_request *request, echo_response *response) {
  const tess_metadata *headers = tess_call_request_headers(call);
  const char *value = tess_metadata_get(headers, "x-echo");
  if (value != NULL) {
    ck_assert_int_eq(tess_metadata_add(tess_call_response_headers(call), "x-header", value),
                     TESS_OK);
    ck_assert_int_eq(tess_metadata_add(tess_call_response_trailers(call), "x-trailer", value),
                     TESS_OK);
  }
  if (request->fail_code != 0) {
    if (request->data.len != 0)
      tess_status_add_detail(tess_call_status(call), "tessera.test.v1.EchoRequest",
                             request->data.data, request->data.len);
    tess_status *status = tess_call_status(call);
    tess_status kept = *status; /* set() drops details: put them back */
    *status = (tess_status){.allocator = kept.allocator};
    tess_status_set(status, (tess_code)request->fail_code, "%s", request->text);
    status->details = kept.details;
    status->detail_count = kept.detail_count;
    return (tess_code)request->fail_code;
  }
  response->text = request->text;
  response->data = request->data;
  return TESS_OK;
}

static tess_code echo(void *ctx, tess_call *call, const echo_request *request,
                      echo_response *response) {
  echo_state *state = ctx;
  state->unary_calls++;
  const uint8_t *data = request->data.data;
  state->data_aliased = state->body != NULL && data >= state->body &&
                        data + request->data.len <= state->body + state->body_size;
  return fill(call, request, response);
}

static void on_cancel(void *ctx, tess_call *call, tess_code why) {
  echo_state *state = ctx;
  (void)call;
  state->cancels++;
  state->cancel_why = why;
}

static void on_end(void *ctx) {
  ((echo_state *)ctx)->ends++;
}

static tess_code echo_later(void *ctx, tess_call *call, const echo_request *request,
                            echo_response *response) {
  static const tess_call_events events = {.on_cancel = on_cancel, .on_end = on_end};
  echo_state *state = ctx;
  (void)response;
  state->later = call;
  state->later_request = request;
  tess_call_set_events(call, &events, state);
  return TESS_LATER;
}

void echo_reply_later(echo_state *state) {
  tess_call *call = state->later;
  echo_response *response = tess_arena_alloc(tess_call_arena(call), sizeof *response);
  ck_assert_ptr_nonnull(response);
  tessera__test__v1__echo_response__init(response);
  tess_code code = fill(call, state->later_request, response);
  state->later = NULL;
  if (code == TESS_OK)
    tess_call_reply(call, response);
  else
    tess_call_finish(call, code, NULL);
}

/* ---- streams ---- */

static void repeat_more(echo_state *state) {
  tess_call *call = state->stream;
  while (state->repeat_left != 0) {
    echo_response response;
    tessera__test__v1__echo_response__init(&response);
    char text[] = "repeat";
    response.text = text;
    response.index = state->repeat_index;
    state->last_send = tess_call_send(call, &response);
    if (state->last_send != TESS_OK) return;
    state->repeat_index++;
    state->repeat_left--;
  }
  if (!state->keep_open) {
    state->stream = NULL;
    tess_call_finish(call, TESS_OK, NULL);
  }
}

static void on_repeat_writable(void *ctx, tess_call *call) {
  echo_state *state = ctx;
  (void)call;
  state->writable_events++;
  repeat_more(state);
}

static tess_code repeat(void *ctx, tess_call *call, const echo_request *request) {
  static const tess_call_events events = {
      .on_writable = on_repeat_writable, .on_cancel = on_cancel, .on_end = on_end};
  echo_state *state = ctx;
  echo_response unused;
  tess_code code = fill(call, request, &unused);
  if (code != TESS_OK) return code;
  state->stream = call;
  state->repeat_left = request->count;
  state->repeat_index = 0;
  tess_call_set_events(call, &events, state);
  repeat_more(state);
  return TESS_LATER;
}

static void concat_message(void *ctx, tess_call *call, const void *message) {
  echo_state *state = ctx;
  const echo_request *request = message;
  size_t size = strlen(request->text);
  state->messages++;
  ck_assert_uint_lt(state->text_size + size, sizeof state->text);
  memcpy(state->text + state->text_size, request->text, size + 1);
  state->text_size += size;
  if (state->pause_each) tess_call_pause_receiving(call);
  if (request->fail_code != 0) {
    state->stream = NULL;
    tess_call_finish(call, (tess_code)request->fail_code, request->text);
  }
}

static void concat_half_close(void *ctx, tess_call *call) {
  echo_state *state = ctx;
  state->half_closes++;
  echo_response response;
  tessera__test__v1__echo_response__init(&response);
  response.text = state->text;
  state->last_send = tess_call_send(call, &response);
  state->stream = NULL;
  tess_call_finish(call, TESS_OK, NULL);
}

static tess_code concat(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = concat_message,
                                          .on_half_close = concat_half_close,
                                          .on_cancel = on_cancel,
                                          .on_end = on_end};
  echo_state *state = ctx;
  state->stream = call;
  state->text_size = 0;
  state->text[0] = '\0';
  tess_call_set_events(call, &events, state);
  return TESS_LATER;
}

static void chat_message(void *ctx, tess_call *call, const void *message) {
  echo_state *state = ctx;
  const echo_request *request = message;
  echo_response response;
  tessera__test__v1__echo_response__init(&response);
  response.text = request->text;
  response.data = request->data;
  response.index = (uint32_t)state->messages++;
  state->last_send = tess_call_send(call, &response);
}

static void chat_half_close(void *ctx, tess_call *call) {
  echo_state *state = ctx;
  state->half_closes++;
  if (state->keep_open) return;
  state->stream = NULL;
  tess_call_finish(call, TESS_OK, NULL);
}

static tess_code chat(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = chat_message,
                                          .on_half_close = chat_half_close,
                                          .on_cancel = on_cancel,
                                          .on_end = on_end};
  echo_state *state = ctx;
  state->stream = call;
  tess_call_set_events(call, &events, state);
  return TESS_LATER;
}

void echo_register(tess_server *server, echo_state *state) {
  static const tessera_test_v1_echo_service_handlers handlers = {
      .echo = echo,
      .echo_later = echo_later,
      .get = echo,
      .repeat = repeat,
      .concat = concat,
      .chat = chat,
  };
  ck_assert_int_eq(tessera_test_v1_echo_service_register(server, &handlers, state), TESS_OK);
}
