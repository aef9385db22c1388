/* SPDX-License-Identifier: Apache-2.0 */
#include "stubs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nasty/v1/services.rpc.pb.h"
#include "nopackage.rpc.pb.h"

/* ---- server ---- */

static tess_code ping(void *ctx, tess_call *call, const Ping *request, Ping *response) {
  (void)call;
  ((stub_state *)ctx)->calls++;
  response->number = request->number + 1;
  return TESS_OK;
}

static tess_code answer_with(tess_call *call, const char *word, const char *text,
                             nasty_v1_Local *response) {
  (void)call;
  int size = snprintf(response->text, sizeof response->text, "%s:%s", word, text);
  return (size_t)size < sizeof response->text ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

static tess_code say_register(void *ctx, tess_call *call, const nasty_v1_Local *request,
                              nasty_v1_Local *response) {
  ((stub_state *)ctx)->calls++;
  return answer_with(call, "register", request->text, response);
}

static tess_code say_capital_register(void *ctx, tess_call *call, const nasty_v1_Local *request,
                                      nasty_v1_Local *response) {
  ((stub_state *)ctx)->calls++;
  return answer_with(call, "Register", request->text, response);
}

static tess_code job(void *ctx, tess_call *call, const nasty_v1_Local *request,
                     nasty_v1_Local *response) {
  (void)response;
  stub_state *state = ctx;
  state->later = call;
  snprintf(state->later_text, sizeof state->later_text, "%.30s%.30s", request->text, request->text);
  return TESS_LATER;
}

static void reply_later(stub_state *state) {
  nasty_v1_Local response = nasty_v1_Local_init_zero;
  snprintf(response.text, sizeof response.text, "%s", state->later_text);
  nasty_v1_words_job_reply(state->later, &response);
}

/* ---- streams: server ---- */

static tess_code server_stream(void *ctx, tess_call *call, const nasty_v1_Local *request) {
  (void)ctx;
  unsigned count = (unsigned)strtoul(request->text, NULL, 10);
  for (unsigned i = 0; i < count; i++) {
    nasty_v1_Outer_Inner message = nasty_v1_Outer_Inner_init_zero;
    message.has_innermost = true;
    snprintf(message.innermost.text, sizeof message.innermost.text, "%u", i);
    tess_code code = nasty_v1_kinds_server_stream_send(call, &message);
    if (code != TESS_OK) return code;
  }
  return TESS_OK;
}

static void sum_message(void *ctx, tess_call *call, const void *message) {
  (void)call;
  const nasty_v1_Scalars *scalars = message;
  ((stub_state *)ctx)->sum += scalars->f_int32;
}

static void sum_end(void *ctx, tess_call *call) {
  char text[32];
  snprintf(text, sizeof text, "sum %d", (int)((stub_state *)ctx)->sum);
  nasty_v1_Tree tree = nasty_v1_Tree_init_zero;
  memcpy(tree.name, text, sizeof text);
  tess_code code = nasty_v1_kinds_client_stream_send(call, &tree);
  tess_call_finish(call, code, NULL);
}

static tess_code client_stream(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = sum_message, .on_half_close = sum_end};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

static void bidi_message(void *ctx, tess_call *call, const void *message) {
  (void)ctx;
  const nasty_v1_Outer_Inner_Innermost *text = message;
  nasty_v1_Presence answer = nasty_v1_Presence_init_zero;
  answer.plain = (int32_t)strlen(text->text);
  if (nasty_v1_kinds_bidi_send(call, &answer) != TESS_OK)
    tess_call_finish(call, TESS_INTERNAL, "cannot send");
}

static void bidi_end(void *ctx, tess_call *call) {
  (void)ctx;
  tess_call_finish(call, TESS_OK, NULL);
}

static tess_code bidi(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = bidi_message, .on_half_close = bidi_end};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

static tess_code register_services(tess_server *server, stub_state *state) {
  static const echo_handlers echo = {.ping = ping};
  static const nasty_v1_words_handlers words = {
      .register_ = say_register, .register__ = say_capital_register, .job = job};
  static const nasty_v1_kinds_handlers kinds = {
      .server_stream = server_stream, .client_stream = client_stream, .bidi = bidi};
  tess_code code = echo_register(server, &echo, state);
  if (code == TESS_OK) code = nasty_v1_kinds_register(server, &kinds, state);
  return code == TESS_OK ? nasty_v1_words_register(server, &words, state) : code;
}

/* ---- client ---- */

static tess_code call_ping(tess_client *client, int32_t number, int32_t *answer,
                           tess_status *status) {
  Ping request = Ping_init_zero, response;
  request.number = number;
  tess_code code = echo_ping(client, NULL, &request, &response, status);
  *answer = response.number;
  echo_ping_response_clear(client, &response);
  return code;
}

static tess_code call_say(tess_client *client, bool capital, const char *text, char *answer,
                          size_t size, tess_status *status) {
  nasty_v1_Local request = nasty_v1_Local_init_zero, response;
  snprintf(request.text, sizeof request.text, "%s", text);
  tess_code code = capital ? nasty_v1_words_register__(client, NULL, &request, &response, status)
                           : nasty_v1_words_register_(client, NULL, &request, &response, status);
  snprintf(answer, size, "%s", response.text);
  nasty_v1_words_register__response_clear(client, &response);
  return code;
}

static tess_code call_unhandled(tess_client *client, tess_status *status) {
  nasty_v1_Local request = nasty_v1_Local_init_zero, response;
  return nasty_v1_words_delete(client, NULL, &request, &response, status);
}

static struct started {
  nasty_v1_Local request, response;
  unsigned ended;
  tess_code code;
} started;

static void done(void *ctx, const tess_status *status) {
  struct started *it = ctx;
  it->ended++;
  it->code = status->code;
}

static tess_code job_start(tess_client *client, const char *text, tess_status *status) {
  memset(&started, 0, sizeof started);
  snprintf(started.request.text, sizeof started.request.text, "%s", text);
  return nasty_v1_words_job_start(client, NULL, &started.request, &started.response, done, &started,
                                  NULL, status);
}

static void job_result(tess_client *client, unsigned *ended, tess_code *code, char *answer,
                       size_t size) {
  *ended = started.ended;
  *code = started.code;
  snprintf(answer, size, "%s", started.ended ? started.response.text : "");
  if (started.ended) nasty_v1_words_job_response_clear(client, &started.response);
}

/* ---- streams: client ---- */

static tess_code call_server_stream(tess_client *client, unsigned count, unsigned *received,
                                    char *last, size_t size, tess_status *status) {
  char text[16];
  snprintf(text, sizeof text, "%u", count);
  nasty_v1_Local request = nasty_v1_Local_init_zero;
  memcpy(request.text, text, sizeof text);
  tess_client_stream *stream = nasty_v1_kinds_server_stream_open(client, NULL, &request, status);
  if (!stream) return status->code;
  nasty_v1_Outer_Inner message;
  tess_code code;
  *received = 0;
  while ((code = nasty_v1_kinds_server_stream_read(stream, &message, status)) == TESS_OK) {
    ++*received;
    snprintf(last, size, "%s", message.innermost.text);
    nasty_v1_kinds_server_stream_response_clear(client, &message);
  }
  nasty_v1_kinds_server_stream_close(stream);
  return code;
}

static tess_code call_client_stream(tess_client *client, int32_t count, char *answer, size_t size,
                                    tess_status *status) {
  tess_client_stream *stream = nasty_v1_kinds_client_stream_open(client, NULL, status);
  if (!stream) return status->code;
  nasty_v1_Scalars message = nasty_v1_Scalars_init_zero;
  tess_code code = TESS_OK;
  for (int32_t i = 1; code == TESS_OK && i <= count; i++) {
    message.f_int32 = i;
    code = nasty_v1_kinds_client_stream_write(stream, &message, status);
  }
  if (code == TESS_OK) code = nasty_v1_kinds_client_stream_done_writing(stream, status);
  nasty_v1_Tree tree;
  if (code == TESS_OK) code = nasty_v1_kinds_client_stream_read(stream, &tree, status);
  if (code == TESS_OK) {
    snprintf(answer, size, "%s", tree.name);
    nasty_v1_kinds_client_stream_response_clear(client, &tree);
    code = nasty_v1_kinds_client_stream_read(stream, &tree, status);
  }
  nasty_v1_kinds_client_stream_close(stream);
  return code;
}

static tess_code call_bidi(tess_client *client, unsigned count, int32_t *sum, tess_status *status) {
  tess_client_stream *stream = nasty_v1_kinds_bidi_open(client, NULL, status);
  if (!stream) return status->code;
  tess_code code = TESS_OK;
  for (unsigned i = 0; code == TESS_OK && i < count; i++) {
    char text[] = "abcd";
    nasty_v1_Outer_Inner_Innermost message = nasty_v1_Outer_Inner_Innermost_init_zero;
    memcpy(message.text, text, sizeof text);
    code = nasty_v1_kinds_bidi_write(stream, &message, status);
  }
  if (code == TESS_OK) code = nasty_v1_kinds_bidi_done_writing(stream, status);
  nasty_v1_Presence answer;
  *sum = 0;
  while (code == TESS_OK && (code = nasty_v1_kinds_bidi_read(stream, &answer, status)) == TESS_OK) {
    *sum += answer.plain;
    nasty_v1_kinds_bidi_response_clear(client, &answer);
  }
  nasty_v1_kinds_bidi_close(stream);
  return code;
}

const stub_side stubs_nanopb = {"nanopb",           register_services,  reply_later, call_ping,
                                call_say,           call_unhandled,     job_start,   job_result,
                                call_server_stream, call_client_stream, call_bidi};
