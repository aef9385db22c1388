/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/http/rpc_site.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tessera/test/v1/echo.rpc.pb-c.h"

enum { PIECE = 16384 };
static uint8_t piece[PIECE];

static tess_code echo(void *ctx, tess_call *call, const Tessera__Test__V1__EchoRequest *request,
                      Tessera__Test__V1__EchoResponse *response) {
  rpc_site *s = ctx;
  (void)call;
  atomic_fetch_add(&s->echoes, 1);
  response->text = request->text;
  return TESS_OK;
}

/* ---- Repeat ---- */

typedef struct repeat_state {
  rpc_site *site;
  uint32_t left;
} repeat_state;

static void send_more(void *state, tess_call *call) {
  repeat_state *r = state;
  Tessera__Test__V1__EchoResponse response;
  tessera__test__v1__echo_response__init(&response);
  response.data = (ProtobufCBinaryData){PIECE, piece};
  while (r->left > 0) {
    tess_code code = tess_call_send(call, &response);
    if (code != TESS_OK) return; /* on_writable, or on_cancel */
    r->left--;
  }
  tess_call_finish(call, TESS_OK, NULL);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  repeat_state *r = state;
  atomic_fetch_add(&r->site->canceled, 1);
  tess_call_finish(call, why, NULL);
}

static tess_code repeat(void *ctx, tess_call *call, const Tessera__Test__V1__EchoRequest *request) {
  static const tess_call_events events = {
      .on_writable = send_more, .on_cancel = on_cancel, .on_end = free};
  repeat_state *r = calloc(1, sizeof *r);
  if (r == NULL) return TESS_RESOURCE_EXHAUSTED;
  *r = (repeat_state){ctx, request->count};
  atomic_fetch_add(&r->site->streams, 1);
  tess_call_set_events(call, &events, r);
  send_more(r, call);
  return TESS_LATER;
}

/* ---- Concat: forgets what it hears ---- */

static void on_half_close(void *state, tess_call *call) {
  Tessera__Test__V1__EchoResponse response;
  tessera__test__v1__echo_response__init(&response);
  (void)state;
  tess_code code = tess_call_send(call, &response);
  tess_call_finish(call, code, NULL);
}

static void on_concat_cancel(void *state, tess_call *call, tess_code why) {
  rpc_site *s = state;
  atomic_fetch_add(&s->canceled, 1);
  tess_call_finish(call, why, NULL);
}

static tess_code concat(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_half_close = on_half_close,
                                          .on_cancel = on_concat_cancel};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

/* ---- life ---- */

void rpc_site_init(rpc_site *s) {
  static const tessera_test_v1_echo_service_handlers handlers = {
      .echo = echo, .repeat = repeat, .concat = concat};
  memset(s, 0, sizeof *s);
  s->server = tess_server_new(&(tess_server_options){.stream_window_bytes = 4 * PIECE});
  ck_assert_ptr_nonnull(s->server);
  ck_assert_int_eq(tessera_test_v1_echo_service_register(s->server, &handlers, s), TESS_OK);
}

void rpc_site_start(rpc_site *s, tess_http_server_options options) {
  tess_status status = TESS_STATUS_INIT;
  options.listen = "127.0.0.1:0";
  if (options.handler.open == NULL) options.handler = tess_server_http_handler(s->server);
  s->http = tess_http_server_start(&options, &status);
  ck_assert_msg(s->http != NULL, "%s", status.message != NULL ? status.message : "?");
  s->port = atoi(strrchr(tess_http_server_url(s->http), ':') + 1);
}

void rpc_site_stop(rpc_site *s) {
  tess_http_server_free(s->http);
  tess_server_free(s->server);
}
