/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers that compute before they return, on a clock of the test's own: what they
 * learn meanwhile of the deadline and of a client that goes, and how their calls end.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "http_driver.h"

#include <string.h>

#define ECHO "/tessera.test.v1.EchoService/Echo"
#define LATER "/tessera.test.v1.EchoService/EchoLater"
#define REPEAT "/tessera.test.v1.EchoService/Repeat"
#define CONCAT "/tessera.test.v1.EchoService/Concat"
#define HI "\x0a\x02hi"
#define FRAMED "\0\0\0\0\x04" HI

/* What is outside, and how the handlers shall behave. */
typedef struct world {
  int64_t now_ms;
  int64_t gone_at_ms;
  tess_code gone;
  int clocks, looks;
  int64_t work_ms; /* in steps of 10 */
  bool asks;       /* stops when it is told */
  tess_code answer;
  bool told;
  tess_code send;
  int messages, half_closes, cancels, ends, afters;
  tess_code why;
  tess_code after_code;
  bool after_cancelled;
} world;

static int64_t world_now(void *ctx) {
  world *w = ctx;
  w->clocks++;
  return w->now_ms;
}

static tess_code world_gone(void *ctx, int64_t now_ms) {
  world *w = ctx;
  w->looks++;
  ck_assert_int_eq(now_ms, w->now_ms);
  return now_ms >= w->gone_at_ms ? w->gone : TESS_OK;
}

static tess_code compute(world *w, const tess_call *call) {
  for (int64_t i = 0; i < w->work_ms && !w->told; i += 10) {
    w->now_ms += 10;
    if (w->asks) w->told = tess_call_is_cancelled(call);
  }
  return w->answer;
}

static tess_code echo(void *ctx, tess_call *call, const echo_request *request,
                      echo_response *response) {
  response->text = request->text;
  return compute(ctx, call);
}

static void on_cancel(void *ctx, tess_call *call, tess_code why) {
  world *w = ctx;
  w->cancels++;
  w->why = why;
  tess_call_finish(call, why, NULL);
}

static void on_end(void *ctx) {
  ((world *)ctx)->ends++;
}

/* Replies within the handler, and says so with TESS_LATER. */
static tess_code echo_later(void *ctx, tess_call *call, const echo_request *request,
                            echo_response *response) {
  static const tess_call_events events = {.on_cancel = on_cancel, .on_end = on_end};
  tess_call_set_events(call, &events, ctx);
  response->text = request->text;
  compute(ctx, call);
  tess_call_reply(call, response);
  return TESS_LATER;
}

static tess_code repeat(void *ctx, tess_call *call, const echo_request *request) {
  static const tess_call_events events = {.on_cancel = on_cancel, .on_end = on_end};
  world *w = ctx;
  echo_response response;
  tessera__test__v1__echo_response__init(&response);
  response.text = request->text;
  tess_call_set_events(call, &events, ctx);
  ck_assert_int_eq(tess_call_send(call, &response), TESS_OK);
  tess_code code = compute(w, call);
  w->send = tess_call_send(call, &response);
  return code;
}

static void on_message(void *ctx, tess_call *call, const void *message) {
  world *w = ctx;
  (void)message;
  w->messages++;
  compute(w, call);
}

static void on_half_close(void *ctx, tess_call *call) {
  world *w = ctx;
  w->half_closes++;
  if (w->messages == 0) compute(w, call);
  echo_response response;
  tessera__test__v1__echo_response__init(&response);
  w->send = tess_call_send(call, &response);
  tess_call_finish(call, TESS_OK, NULL);
}

static tess_code concat(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = on_message,
                                          .on_half_close = on_half_close,
                                          .on_cancel = on_cancel,
                                          .on_end = on_end};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

static void after(void *ctx, tess_call *call, const tess_status *status) {
  world *w = ctx;
  w->afters++;
  w->after_code = status->code;
  w->after_cancelled = tess_call_is_cancelled(call);
}

static void run(world *w, const http_request_text *request, http_answer *answer,
                tess_code expected) {
  static const tessera_test_v1_echo_service_handlers handlers = {
      .echo = echo, .echo_later = echo_later, .repeat = repeat, .concat = concat};
  static http_run r;
  http_request_text text = *request;
  text.outlook = (tess_http_outlook){world_now, world_gone, w};
  tess_server *server = tess_server_new(NULL);
  ck_assert_int_eq(tessera_test_v1_echo_service_register(server, &handlers, w), TESS_OK);
  ck_assert_int_eq(
      tess_server_add_interceptor(server, &(tess_server_interceptor){.after = after, .ctx = w}),
      TESS_OK);
  w->now_ms = 1000;
  /* The adapter's own time stands still while it drives: as if all were one step. */
  ck_assert(http_begin(&r, tess_server_http_handler(server), &text, 1000));
  *answer = r.answer;
  http_end(&r);
  ck_assert_int_eq(w->afters, 1);
  ck_assert_int_eq(w->after_code, expected);
  ck_assert_int_eq(w->after_cancelled, expected != w->answer);
  tess_server_counts counts;
  tess_server_get_counts(server, &counts);
  ck_assert_uint_eq(counts.calls_inflight, 0);
  ck_assert_uint_eq(counts.calls_finished[expected], 1);
  tess_server_free(server);
  answer->body[answer->body_size < sizeof answer->body ? answer->body_size : 0] = '\0';
}

static bool body_holds(const http_answer *answer, const char *text) {
  for (size_t i = 0; i + strlen(text) <= answer->body_size; i++)
    if (memcmp(answer->body + i, text, strlen(text)) == 0) return true;
  return false;
}

static const http_request_text unary = {
    .path = ECHO,
    .headers = "content-type: application/proto\nconnect-timeout-ms: 200\n",
    .body = HI,
    .body_size = 4};
static const http_request_text grpc_web = {
    .path = ECHO,
    .headers = "content-type: application/grpc-web+proto\ngrpc-timeout: 200m\n",
    .body = FRAMED,
    .body_size = 9};
static const http_request_text server_stream = {
    .path = REPEAT,
    .headers = "content-type: application/connect+proto\nconnect-timeout-ms: 200\n",
    .body = FRAMED,
    .body_size = 9};

START_TEST(the_deadline_is_seen) {
  for (int asks = 0; asks < 2; asks++) {
    http_answer answer;
    world w = {.work_ms = 3000, .asks = asks != 0, .gone_at_ms = TESS_NEVER_MS};
    run(&w, &unary, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.told, asks);
    ck_assert_int_eq(w.now_ms, asks != 0 ? 1200 : 4000);
    ck_assert_int_eq(answer.status, 504);
    ck_assert(body_holds(&answer, "deadline_exceeded"));
    ck_assert(body_holds(&answer, "the deadline passed"));

    w = (world){.work_ms = 3000, .asks = asks != 0, .gone_at_ms = TESS_NEVER_MS};
    run(&w, &grpc_web, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.told, asks);
    ck_assert_int_eq(answer.status, 200);
    ck_assert(body_holds(&answer, "grpc-status: 4") || body_holds(&answer, "grpc-status:4"));

    w = (world){.work_ms = 3000, .asks = asks != 0, .gone_at_ms = TESS_NEVER_MS};
    run(&w, &server_stream, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.told, asks);
    ck_assert_int_eq(w.send, asks != 0 ? TESS_DEADLINE_EXCEEDED : TESS_OK);
    ck_assert(body_holds(&answer, "deadline_exceeded"));
    ck_assert_int_eq(w.cancels, 0); /* it has returned */
    ck_assert_int_eq(w.ends, 1);
  }
}
END_TEST

START_TEST(the_client_or_the_server_goes) {
  static const struct {
    tess_code gone;
    int status;
  } cases[] = {{TESS_CANCELED, 499}, {TESS_UNAVAILABLE, 503}};
  for (size_t i = 0; i < 2; i++) {
    http_answer answer;
    world w = {.work_ms = 3000, .asks = true, .gone_at_ms = 1100, .gone = cases[i].gone};
    run(&w, &unary, &answer, cases[i].gone);
    ck_assert(w.told);
    ck_assert_int_eq(w.now_ms, 1100);
    ck_assert_int_eq(answer.status, cases[i].status);
    w = (world){.work_ms = 3000, .asks = true, .gone_at_ms = 1100, .gone = cases[i].gone};
    run(&w, &server_stream, &answer, cases[i].gone);
    ck_assert_int_eq(w.send, cases[i].gone);
    /* Who does not ask is not stopped, and its answer is tried. */
    w = (world){.work_ms = 100, .gone_at_ms = 1050, .gone = cases[i].gone};
    run(&w, &unary, &answer, TESS_OK);
    ck_assert_int_eq(w.looks, 0);
    ck_assert_int_eq(answer.status, 200);
  }
}
END_TEST

START_TEST(in_time_is_in_time) {
  http_answer answer;
  world w = {.work_ms = 100, .asks = true, .gone_at_ms = TESS_NEVER_MS};
  run(&w, &unary, &answer, TESS_OK);
  ck_assert(!w.told);
  ck_assert_int_eq(answer.status, 200);
  HTTP_ASSERT_BODY(&answer, HI);
  /* One's own error stays what it is. */
  w = (world){.work_ms = 100, .gone_at_ms = TESS_NEVER_MS, .answer = TESS_NOT_FOUND};
  run(&w, &unary, &answer, TESS_NOT_FOUND);
  ck_assert_int_eq(w.clocks, 1); /* behind the handler, because of the deadline */
  /* No deadline, no question: no look at the clock. */
  http_request_text plain = unary;
  plain.headers = "content-type: application/proto\n";
  w = (world){.work_ms = 100, .gone_at_ms = TESS_NEVER_MS};
  run(&w, &plain, &answer, TESS_OK);
  ck_assert_int_eq(w.clocks, 0);
  ck_assert_int_eq(w.looks, 0);
}
END_TEST

START_TEST(replies_that_come_too_late) {
  for (int asks = 0; asks < 2; asks++) {
    http_answer answer;
    world w = {.work_ms = 3000, .asks = asks != 0, .gone_at_ms = TESS_NEVER_MS};
    http_request_text request = unary;
    request.path = LATER;
    run(&w, &request, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(answer.status, 504);
    ck_assert_int_eq(w.cancels, 0); /* it had let go of the call */
    ck_assert_int_eq(w.ends, 1);
  }
}
END_TEST

START_TEST(events_that_compute) {
  http_request_text request = server_stream;
  request.path = CONCAT;
  request.body = FRAMED FRAMED FRAMED;
  request.body_size = 27;
  for (int give = 0; give < 2; give++) {
    http_answer answer;
    request.give = give != 0;
    world w = {.work_ms = 3000, .asks = true, .gone_at_ms = TESS_NEVER_MS};
    run(&w, &request, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.messages, 1); /* no more after it was told */
    ck_assert_int_eq(w.half_closes, 0);
    ck_assert_int_eq(w.cancels, 1);
    ck_assert_int_eq(w.why, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.ends, 1);
    ck_assert(body_holds(&answer, "deadline_exceeded"));
  }
  for (int asks = 0; asks < 2; asks++) {
    http_answer answer;
    request.body = "";
    request.body_size = 0;
    request.give = false;
    request.chunked = true;
    world w = {.work_ms = 3000, .asks = asks != 0, .gone_at_ms = TESS_NEVER_MS};
    run(&w, &request, &answer, TESS_DEADLINE_EXCEEDED);
    ck_assert_int_eq(w.half_closes, 1);
    ck_assert_int_eq(w.cancels, 0);
    ck_assert_int_eq(w.ends, 1);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("computing", 60, the_deadline_is_seen, the_client_or_the_server_goes,
                   in_time_is_in_time, replies_that_come_too_late, events_that_compute);
}
