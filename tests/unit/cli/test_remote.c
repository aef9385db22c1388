/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of cli/remote.c over a transport of the test's, which ends requests at
 * times that the network makes rare.
 */
#include "cli/remote.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/wire.h"
#include "tests/unit/cli/still_transport.h"
#include "tests/unit/run_case.h"

typedef struct early {
  tess_transport transport;
  bool refuses; /* start fails; else the request ends within it */
  unsigned starts;
} early;

static tess_code start(tess_transport *transport, tess_http_outgoing *outgoing,
                       tess_status *status) {
  early *e = (early *)transport;
  e->starts++;
  if (e->refuses) return tess_status_set(status, TESS_UNAVAILABLE, "not today");
  outgoing->ops->on_end(outgoing, TESS_UNAVAILABLE, "connection refused");
  return TESS_OK;
}

static void free_transport(tess_transport *transport) {
  (void)transport;
}

static const tess_transport_ops ops = {.start = start,
                                       .resume = still_resume,
                                       .cancel = still_resume,
                                       .now_ms = still_now_ms,
                                       .wait = still_wait,
                                       .free = free_transport};

/* ---- memory that has no room for a large message ---- */

enum { LARGE_BYTES = 1 << 20 };

static void *small_alloc(void *ctx, size_t size) {
  (void)ctx;
  return size < LARGE_BYTES ? malloc(size) : NULL;
}

static void *small_realloc(void *ctx, void *ptr, size_t size) {
  (void)ctx;
  return size < LARGE_BYTES ? realloc(ptr, size) : NULL;
}

static void small_free(void *ctx, void *ptr) {
  (void)ctx;
  free(ptr);
}

static const tess_allocator small_memory = {small_alloc, small_realloc, small_free, NULL};

/* ---- calls ---- */

static bool on_message(void *ctx, const void *message) {
  (void)ctx;
  (void)message;
  ck_abort_msg("no message was sent");
}

static bool no_progress(void *ctx, cli_progress_state *state) {
  (void)ctx;
  (void)state;
  return false;
}

/* Asks with a matrix of one row and returns the code; the status must say the words. */
static tess_code ask(early *e, tess_stream_kind kind, size_t bytes, const char *words) {
  static const cli_remote_receiver receiver = {on_message, no_progress, NULL};
  tess_method method = *cli_method_multiply_tiles();
  method.stream_kind = kind;
  tess_status status = TESS_STATUS_INIT;
  cli_remote remote = {.url = "http://peer"};
  e->transport.ops = &ops;
  cli_meter_init(&remote.meter, &e->transport);
  const tess_client_options options = {
      .allocator = &small_memory, .transport = &remote.meter.transport, .base_url = "http://peer"};
  remote.client = tess_client_new(&options, &status);
  ck_assert_ptr_nonnull(remote.client);
  uint8_t *data = calloc(1, bytes);
  Tessera__Matmul__V1__Matrix a;
  Tessera__Matmul__V1__MatmulRequest request;
  tessera__matmul__v1__matrix__init(&a);
  tessera__matmul__v1__matmul_request__init(&request);
  a.data = (ProtobufCBinaryData){bytes, data};
  request.a = &a;
  const tess_call_options call = {.timeout_ms = 1000};
  tess_code code = cli_remote_stream(&remote, &method, &call, &request, &receiver, &status);
  ck_assert_int_eq(status.code, code);
  ck_assert_msg(strstr(status.message, words) != NULL, "%s", status.message);
  free(data);
  cli_remote_close(&remote);
  tess_status_cleanup(&status);
  return code;
}

/* A peer that refuses at once ends a stream before its request is sent. */
START_TEST(ends_before_it_is_sent) {
  early e = {.refuses = false};
  ck_assert_int_eq(ask(&e, TESS_BIDI_STREAM, 100, "connection refused"), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(&e, TESS_CLIENT_STREAM, 100, "connection refused"), TESS_UNAVAILABLE);
  ck_assert_uint_eq(e.starts, 2);
}
END_TEST

START_TEST(ends_while_it_is_started) {
  early e = {.refuses = false};
  ck_assert_int_eq(ask(&e, TESS_SERVER_STREAM, 100, "connection refused"), TESS_UNAVAILABLE);
  e.refuses = true;
  ck_assert_int_eq(ask(&e, TESS_SERVER_STREAM, 100, "not today"), TESS_UNAVAILABLE);
  ck_assert_uint_eq(e.starts, 2);
}
END_TEST

/* It is cancelled before it was started, and ends within the cancelling. */
START_TEST(a_request_that_has_no_room) {
  early e = {.refuses = false};
  ck_assert_int_eq(ask(&e, TESS_SERVER_STREAM, 2 * LARGE_BYTES, "could not be sent"),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(e.starts, 0);
}
END_TEST

static void advises(tess_code code, bool answered, bool timeout_is_flag, const char *expected) {
  tess_status status = TESS_STATUS_INIT;
  cli_remote remote = {.url = "http://peer", .timeout_is_flag = timeout_is_flag};
  atomic_store(&remote.meter.answered, answered);
  tess_status_set(&status, code, "why");
  ck_assert_int_eq(cli_remote_explain(&remote, &status), code);
  ck_assert_str_eq(status.message, expected);
  tess_status_cleanup(&status);
}

START_TEST(advice_fits_what_happened) {
  advises(TESS_UNAVAILABLE, false, false,
          "http://peer: unavailable: why; does a server run there?");
  advises(TESS_UNAVAILABLE, true, false, "http://peer: unavailable: why; try again later");
  advises(TESS_DEADLINE_EXCEEDED, false, true,
          "http://peer: deadline_exceeded: why; --timeout gives it longer");
  advises(TESS_DEADLINE_EXCEEDED, false, false, "http://peer: deadline_exceeded: why");
}
END_TEST

int main(void) {
  return RUN_TESTS("remote", 60, ends_before_it_is_sent, ends_while_it_is_started,
                   a_request_that_has_no_room, advice_fits_what_happened);
}
