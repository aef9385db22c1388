/* SPDX-License-Identifier: Apache-2.0 */
#include "stubs.h"

#include <stdio.h>
#include <string.h>

#include "nasty/v1/services.rpc.pb-c.h"
#include "nopackage.rpc.pb-c.h"

/* ---- server ---- */

static tess_code ping(void *ctx, tess_call *call, const Ping *request, Ping *response) {
  (void)call;
  ((stub_state *)ctx)->calls++;
  response->number = request->number + 1;
  return TESS_OK;
}

static tess_code answer_with(tess_call *call, const char *word, const char *text,
                             Nasty__V1__Local *response) {
  char line[128];
  int size = snprintf(line, sizeof line, "%s:%s", word, text);
  response->text = tess_arena_strndup(tess_call_arena(call), line, (size_t)size);
  return response->text ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

static tess_code say_register(void *ctx, tess_call *call, const Nasty__V1__Local *request,
                              Nasty__V1__Local *response) {
  ((stub_state *)ctx)->calls++;
  return answer_with(call, "register", request->text, response);
}

static tess_code say_capital_register(void *ctx, tess_call *call, const Nasty__V1__Local *request,
                                      Nasty__V1__Local *response) {
  ((stub_state *)ctx)->calls++;
  return answer_with(call, "Register", request->text, response);
}

static tess_code job(void *ctx, tess_call *call, const Nasty__V1__Local *request,
                     Nasty__V1__Local *response) {
  (void)response;
  stub_state *state = ctx;
  state->later = call;
  snprintf(state->later_text, sizeof state->later_text, "%.30s%.30s", request->text, request->text);
  return TESS_LATER;
}

static void reply_later(stub_state *state) {
  Nasty__V1__Local response;
  nasty__v1__local__init(&response);
  response.text = state->later_text;
  nasty_v1_words_job_reply(state->later, &response);
}

static tess_code register_services(tess_server *server, stub_state *state) {
  static const echo_handlers echo = {.ping = ping};
  static const nasty_v1_words_handlers words = {
      .register_ = say_register, .register__ = say_capital_register, .job = job};
  tess_code code = echo_register(server, &echo, state);
  return code == TESS_OK ? nasty_v1_words_register(server, &words, state) : code;
}

/* ---- client ---- */

static tess_code call_ping(tess_client *client, int32_t number, int32_t *answer,
                           tess_status *status) {
  Ping request, response;
  ping__init(&request);
  request.number = number;
  tess_code code = echo_ping(client, NULL, &request, &response, status);
  *answer = response.number;
  echo_ping_response_clear(client, &response);
  return code;
}

static tess_code call_say(tess_client *client, bool capital, const char *text, char *answer,
                          size_t size, tess_status *status) {
  char copy[64];
  snprintf(copy, sizeof copy, "%s", text);
  Nasty__V1__Local request, response;
  nasty__v1__local__init(&request);
  request.text = copy;
  tess_code code = capital ? nasty_v1_words_register__(client, NULL, &request, &response, status)
                           : nasty_v1_words_register_(client, NULL, &request, &response, status);
  snprintf(answer, size, "%s", response.text);
  nasty_v1_words_register__response_clear(client, &response);
  return code;
}

static tess_code call_unhandled(tess_client *client, tess_status *status) {
  Nasty__V1__Local request, response;
  nasty__v1__local__init(&request);
  return nasty_v1_words_delete(client, NULL, &request, &response, status);
}

static struct started {
  Nasty__V1__Local request, response;
  char text[64];
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
  nasty__v1__local__init(&started.request);
  snprintf(started.text, sizeof started.text, "%s", text);
  started.request.text = started.text;
  return nasty_v1_words_job_start(client, NULL, &started.request, &started.response, done, &started,
                                  NULL, status);
}

static void job_result(tess_client *client, unsigned *ended, tess_code *code, char *answer,
                       size_t size) {
  *ended = started.ended;
  *code = started.code;
  snprintf(answer, size, "%s", started.ended && started.response.text ? started.response.text : "");
  if (started.ended) nasty_v1_words_job_response_clear(client, &started.response);
}

const stub_side stubs_protobuf_c = {"protobuf-c", register_services, reply_later, call_ping,
                                    call_say,     call_unhandled,    job_start,   job_result};
