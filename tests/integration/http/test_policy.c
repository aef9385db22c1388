/* SPDX-License-Identifier: Apache-2.0
 *
 * Client policy over libcurl against real servers: endpoints that die and come back, or
 * accept and never answer, names that lead to an address, many threads.
 */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tessera/client.h>
#include <tessera/client_policy.h>
#include <tessera/transport_curl.h>

#include "tessera/test/v1/echo.rpc.pb-c.h"
#include "tests/integration/http/rpc_site.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

enum { SITES = 3 };
static rpc_site sites[SITES];
static char urls[SITES][64];
static const char *endpoints[SITES] = {urls[0], urls[1], urls[2]};
static tess_transport *curl, *policy;
static const tess_transport_curl_options *curl_options; /* NULL: the defaults */
static tess_client *client;

static void make(tess_client_policy_options options) {
  tess_status status = TESS_STATUS_INIT;
  for (int i = 0; i < SITES; i++) {
    rpc_site_init(&sites[i]);
    rpc_site_start(&sites[i], (tess_http_server_options){.cors_origin = NULL});
    snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%d", sites[i].port);
  }
  curl = tess_transport_curl_new(curl_options, &status);
  options.transport = curl;
  if (options.endpoints == NULL) {
    options.endpoints = endpoints;
    options.endpoint_count = SITES;
  }
  policy = tess_client_policy_new(&options, &status);
  ck_assert_msg(policy != NULL, "%s", status.message);
  const tess_client_options client_options = {
      .transport = policy, .base_url = "http://echo", .timeout_ms = 20000};
  client = tess_client_new(&client_options, &status);
  ck_assert_msg(client != NULL, "%s", status.message);
}

static void end(void) {
  tess_client_free(client);
  policy->ops->free(policy);
  curl->ops->free(curl);
  for (int i = 0; i < SITES; i++)
    if (sites[i].http != NULL) rpc_site_stop(&sites[i]);
}

static void kill_site(int i) {
  rpc_site_stop(&sites[i]);
  memset(&sites[i], 0, sizeof sites[i]);
}

/* Echo, or Get, which has no side effects. The server has no Get: that is an answer, too. */
static tess_code call(bool idempotent) {
  Tessera__Test__V1__EchoRequest request;
  tessera__test__v1__echo_request__init(&request);
  Tessera__Test__V1__EchoResponse response;
  char text[] = "hello";
  request.text = text;
  tess_status status = TESS_STATUS_INIT;
  tess_code code =
      idempotent ? tessera_test_v1_echo_service_get(client, NULL, &request, &response, &status)
                 : tessera_test_v1_echo_service_echo(client, NULL, &request, &response, &status);
  if (code == TESS_OK) {
    ck_assert_str_eq(response.text, "hello");
    tess_client_clear_response(client, &tessera_test_v1_echo_service_methods_pb_c[0], &response);
  }
  tess_status_cleanup(&status);
  return code;
}

START_TEST(balance) {
  make((tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN});
  for (int i = 0; i < 30; i++)
    ck_assert_int_eq(call(false), TESS_OK);
  for (int i = 0; i < SITES; i++)
    ck_assert_int_eq(atomic_load(&sites[i].echoes), 10);
  end();
}
END_TEST

START_TEST(a_dead_endpoint_costs_nothing_but_a_retry) {
  make((tess_client_policy_options){
      .balance = TESS_BALANCE_ROUND_ROBIN,
      .retry = {.max_attempts = 3, .initial_backoff_ms = 5, .all_methods = true},
      .throttle = {.max_tokens = 100},
      .outlier = {.consecutive_failures = 3}});
  ck_assert_int_eq(call(false), TESS_OK);
  kill_site(1);
  for (int i = 0; i < 60; i++)
    ck_assert_int_eq(call(false), TESS_OK);
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.ejected, 1);
  ck_assert_uint_ge(stats.retries, 3);
  ck_assert_uint_le(stats.retries, 6); /* then nobody asks it any more */
  end();
}
END_TEST

START_TEST(not_twice_unless_declared) {
  make((tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 5}});
  kill_site(0);
  ck_assert_int_eq(call(false), TESS_UNAVAILABLE); /* may not be repeated ... */
  ck_assert_int_eq(call(false), TESS_OK);          /* ... and pick-first goes on */
  kill_site(1);
  ck_assert_int_eq(call(true), TESS_UNIMPLEMENTED); /* repeated, and answered by the third */
  end();
}
END_TEST

static bool resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                    void *to) {
  (void)ctx;
  ck_assert_str_eq(host, "echo.invalid");
  found(to, "127.0.0.1");
  return true;
}

START_TEST(names_lead_to_addresses) {
  static char url[64];
  static const char *name = url;
  rpc_site probe;
  rpc_site_init(&probe);
  rpc_site_start(&probe, (tess_http_server_options){.cors_origin = NULL});
  snprintf(url, sizeof url, "http://echo.invalid:%d", probe.port);
  make((tess_client_policy_options){
      .endpoints = &name, .endpoint_count = 1, .dns_refresh_ms = 20, .resolver = {resolve, NULL}});
  tess_code code = TESS_UNAVAILABLE;
  for (int i = 0; i < 500 && code != TESS_OK; i++) { /* until it has been looked up */
    code = call(false);
    if (code != TESS_OK) site_sleep_ms(10);
  }
  ck_assert_int_eq(code, TESS_OK);
  ck_assert_int_ge(atomic_load(&probe.echoes), 1);
  end();
  rpc_site_stop(&probe);
}
END_TEST

/* Streams through the policy, with a server that does not answer among the endpoints. */
START_TEST(streams) {
  make((tess_client_policy_options){
      .retry = {.max_attempts = 3, .initial_backoff_ms = 5, .all_methods = true}});
  kill_site(0);
  for (int round = 0; round < 3; round++) {
    Tessera__Test__V1__EchoRequest request;
    tessera__test__v1__echo_request__init(&request);
    Tessera__Test__V1__EchoResponse response;
    request.count = 50;
    tess_status status = TESS_STATUS_INIT;
    const tess_method *repeat = &tessera_test_v1_echo_service_methods_pb_c[3];
    ck_assert_str_eq(repeat->path, RPC_REPEAT);
    tess_client_stream *stream = tess_client_stream_open(client, repeat, NULL, &status);
    ck_assert_msg(stream != NULL, "%s", status.message);
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &status), TESS_OK);
    ck_assert_int_eq(tess_client_stream_done_writing(stream, &status), TESS_OK);
    int messages = 0;
    tess_code code;
    while ((code = tess_client_stream_read(stream, &response, &status)) == TESS_OK) {
      ck_assert_uint_eq(response.data.len, 16384);
      tess_client_clear_response(client, repeat, &response);
      messages++;
    }
    ck_assert_int_eq(code, TESS_END);
    ck_assert_int_eq(messages, 50);
    tess_client_stream_close(stream);
  }
  end();
}
END_TEST

/* Reads more answers than the client's window holds, which fills in the pause behind the
 * first. */
static void read_long_stream(long pause_ms) {
  enum { COUNT = 400 };
  Tessera__Test__V1__EchoRequest request;
  Tessera__Test__V1__EchoResponse response;
  tessera__test__v1__echo_request__init(&request);
  request.count = COUNT;
  tess_status status = TESS_STATUS_INIT;
  const tess_method *repeat = &tessera_test_v1_echo_service_methods_pb_c[3];
  tess_client_stream *stream = tess_client_stream_open(client, repeat, NULL, &status);
  ck_assert_int_eq(tess_client_stream_write(stream, &request, &status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_done_writing(stream, &status), TESS_OK);
  int messages = 0;
  while (tess_client_stream_read(stream, &response, &status) == TESS_OK) {
    tess_client_clear_response(client, repeat, &response);
    if (++messages == 1) site_sleep_ms(pause_ms);
  }
  ck_assert_msg(status.code == TESS_OK, "%s", status.message);
  ck_assert_int_eq(messages, COUNT);
  tess_client_stream_close(stream);
}

/* Reading has to make the transport go on. */
START_TEST(long_streams_of_answers) {
  make((tess_client_policy_options){.retry = {.max_attempts = 2, .all_methods = true}});
  read_long_stream(200);
  end();
}
END_TEST

START_TEST(long_streams_of_requests) {
  make((tess_client_policy_options){.retry = {.max_attempts = 2, .all_methods = true}});
  static uint8_t bytes[16384];
  Tessera__Test__V1__EchoRequest request;
  Tessera__Test__V1__EchoResponse response;
  tessera__test__v1__echo_request__init(&request);
  request.data = (ProtobufCBinaryData){sizeof bytes, bytes};
  tess_status status = TESS_STATUS_INIT;
  const tess_method *concat = &tessera_test_v1_echo_service_methods_pb_c[4];
  ck_assert_str_eq(concat->path, RPC_CONCAT);
  tess_client_stream *stream = tess_client_stream_open(client, concat, NULL, &status);
  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_done_writing(stream, &status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &status), TESS_OK);
  tess_client_clear_response(client, concat, &response);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &status), TESS_END);
  tess_client_stream_close(stream);
  end();
}
END_TEST

/* Accepts connections, as the kernel does for who listens, and never answers. */
typedef struct silent {
  int listener;
  char url[64];
} silent;

static void silent_start(silent *s) {
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(listen(s->listener, 16), 0);
  ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&at, &size), 0);
  snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(at.sin_port));
}

/* Two endpoints: one silent, then a good one. */
static void make_with_silent(silent *s, tess_client_policy_options options) {
  static const char *two[2];
  silent_start(s);
  two[0] = s->url;
  two[1] = urls[0];
  options.endpoints = two;
  options.endpoint_count = 2;
  make(options);
}

static tess_client_policy_stats stats_now(void) {
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  return stats;
}

START_TEST(silence_costs_an_attempt) {
  silent s;
  make_with_silent(
      &s, (tess_client_policy_options){
              .retry = {.max_attempts = 2, .all_methods = true, .attempt_timeout_ms = 1000}});
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(call(false), TESS_OK);
  ck_assert_int_eq(atomic_load(&sites[0].echoes), 3);
  ck_assert_uint_eq(stats_now().timeouts, 1); /* then pick-first has gone on */
  ck_assert_uint_eq(stats_now().retries, 1);
  end();
  close(s.listener);
}
END_TEST

START_TEST(silence_of_a_hedge) {
  silent s;
  make_with_silent(&s,
                   (tess_client_policy_options){.retry = {.attempt_timeout_ms = 1000},
                                                .hedge = {.max_attempts = 2, .delay_ms = 15000}});
  int64_t began = policy->ops->now_ms(policy);
  ck_assert_int_eq(call(true), TESS_UNIMPLEMENTED);
  ck_assert_int_lt(policy->ops->now_ms(policy) - began, 15000);
  ck_assert_uint_eq(stats_now().timeouts, 1);
  ck_assert_uint_eq(stats_now().hedges, 1);
  end();
  close(s.listener);
}
END_TEST

START_TEST(nothing_but_silence) {
  silent both[2];
  silent_start(&both[0]);
  silent_start(&both[1]);
  const char *two[2] = {both[0].url, both[1].url};
  make((tess_client_policy_options){
      .endpoints = two,
      .endpoint_count = 2,
      .retry = {.max_attempts = 2, .initial_backoff_ms = 5, .attempt_timeout_ms = 200}});
  Tessera__Test__V1__EchoRequest request;
  tessera__test__v1__echo_request__init(&request);
  Tessera__Test__V1__EchoResponse response;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(tessera_test_v1_echo_service_get(client, NULL, &request, &response, &status),
                   TESS_UNAVAILABLE);
  ck_assert_str_eq(status.message, "no answer within 200 ms (2 of 2 attempts timed out)");
  tess_status_cleanup(&status);
  end();
  close(both[0].listener);
  close(both[1].listener);
}
END_TEST

/* The stream takes longer than an attempt may be silent: it is not cut. */
START_TEST(silence_before_a_stream) {
  silent s;
  make_with_silent(
      &s, (tess_client_policy_options){
              .retry = {.max_attempts = 2, .all_methods = true, .attempt_timeout_ms = 1000}});
  read_long_stream(1500); /* the server waits, too */
  ck_assert_uint_eq(stats_now().timeouts, 1);
  end();
  close(s.listener);
}
END_TEST

enum { TURNS = 6, TURN_MS = 300 };

/* Serves one request after another, each on a connection of its own, in TURN_MS. */
static void *serve_in_turn(void *ctx) {
  static const char answer[] =
      "HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: 0\r\n"
      "connection: close\r\n\r\n";
  const silent *s = ctx;
  for (int i = 0; i < TURNS; i++) {
    char text[4096] = "";
    size_t size = 0, wanted = sizeof text - 1;
    int fd = accept(s->listener, NULL, NULL);
    while (fd >= 0 && size < wanted) {
      ssize_t got = recv(fd, text + size, sizeof text - 1 - size, 0);
      if (got <= 0) break;
      size += (size_t)got;
      const char *head_end = strstr(text, "\r\n\r\n");
      const char *length = strstr(text, "ontent-length: ");
      if (head_end != NULL)
        wanted =
            (size_t)(head_end + 4 - text) + (length != NULL ? strtoul(length + 15, NULL, 10) : 0);
    }
    site_sleep_ms(TURN_MS);
    if (fd >= 0 && send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) break;
    if (fd >= 0) close(fd);
  }
  return NULL;
}

static void *echo_once(void *ctx) {
  Tessera__Test__V1__EchoRequest request;
  tessera__test__v1__echo_request__init(&request);
  Tessera__Test__V1__EchoResponse response;
  tess_status status = TESS_STATUS_INIT;
  tess_code *code = ctx;
  *code = tessera_test_v1_echo_service_echo(client, NULL, &request, &response, &status);
  if (*code == TESS_OK)
    tess_client_clear_response(client, &tessera_test_v1_echo_service_methods_pb_c[0], &response);
  tess_status_cleanup(&status);
  return NULL;
}

/* Calls that wait for the only connection wait longer than an attempt may: that is not the
 * endpoint's silence. */
START_TEST(who_waits_for_a_connection_is_not_late) {
  enum { ATTEMPT_MS = 1000 };
  ck_assert_int_gt((TURNS - 1) * TURN_MS, ATTEMPT_MS);
  static const tess_transport_curl_options one = {.max_connections_per_host = 1};
  silent s;
  silent_start(&s);
  const char *url = s.url;
  curl_options = &one;
  make((tess_client_policy_options){
      .endpoints = &url,
      .endpoint_count = 1,
      .retry = {.max_attempts = 2, .all_methods = true, .attempt_timeout_ms = ATTEMPT_MS}});
  pthread_t server, threads[TURNS];
  tess_code codes[TURNS];
  ck_assert_int_eq(pthread_create(&server, NULL, serve_in_turn, &s), 0);
  for (int i = 0; i < TURNS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, echo_once, &codes[i]), 0);
  for (int i = 0; i < TURNS; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(codes[i], TESS_OK);
  }
  ck_assert_uint_eq(stats_now().timeouts, 0);
  ck_assert_uint_eq(stats_now().attempts, TURNS);
  shutdown(s.listener, SHUT_RDWR);
  pthread_join(server, NULL);
  end();
  close(s.listener);
}
END_TEST

static void *caller(void *ctx) {
  tess_code *failure = ctx;
  for (int i = 0; i < 100 && *failure == TESS_OK; i++)
    *failure = call(false);
  return NULL;
}

typedef struct nested {
  tess_client *client;
  Tessera__Test__V1__EchoResponse response;
  tess_code code; /* of the call inside */
  pthread_t starter;
  bool on_starter; /* the call was over before its start returned */
  _Atomic int over;
} nested;

/* On the transport's thread, which would have to carry it, or on that of who started it,
 * which may wait. */
static void call_inside(void *ctx, const tess_status *status) {
  nested *n = ctx;
  ck_assert_int_eq(status->code, TESS_OK);
  Tessera__Test__V1__EchoRequest request;
  tessera__test__v1__echo_request__init(&request);
  Tessera__Test__V1__EchoResponse response;
  n->on_starter = pthread_equal(pthread_self(), n->starter);
  n->code = tessera_test_v1_echo_service_echo(n->client, NULL, &request, &response, NULL);
  if (n->code == TESS_OK)
    tess_client_clear_response(n->client, &tessera_test_v1_echo_service_methods_pb_c[0], &response);
  atomic_store(&n->over, 1);
}

START_TEST(callbacks_cannot_wait) {
  make((tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN});
  const tess_client_options direct = {.transport = curl, .base_url = urls[0], .timeout_ms = 20000};
  tess_client *behind = tess_client_new(&direct, NULL);
  ck_assert_ptr_nonnull(behind);
  for (int through = 0; through < 2; through++) {
    nested n = {.client = through ? client : behind, .starter = pthread_self()};
    Tessera__Test__V1__EchoRequest request;
    tessera__test__v1__echo_request__init(&request);
    ck_assert_int_eq(tessera_test_v1_echo_service_echo_start(n.client, NULL, &request, &n.response,
                                                             call_inside, &n, NULL, NULL),
                     TESS_OK);
    for (int i = 0; i < 1000 && !atomic_load(&n.over); i++)
      site_sleep_ms(10);
    ck_assert_msg(atomic_load(&n.over), "it hangs");
    ck_assert_int_eq(n.code, n.on_starter ? TESS_OK : TESS_FAILED_PRECONDITION);
    tess_client_clear_response(n.client, &tessera_test_v1_echo_service_methods_pb_c[0],
                               &n.response);
  }
  tess_client_free(behind);
  end();
}
END_TEST

typedef struct given_up {
  tess_client_call *call;
  int messages;
  _Atomic int ends, code;
} given_up;

static bool give_up_on_message(void *ctx, const void *message) {
  given_up *g = ctx;
  (void)message;
  g->messages++;
  tess_client_call_cancel(g->call);
  return true;
}

static void note_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  given_up *g = ctx;
  (void)trailers;
  atomic_store(&g->code, status->code);
  atomic_fetch_add(&g->ends, 1);
}

/* However much more has come by then, it is not delivered, and the end says so. */
START_TEST(streams_given_up_in_an_event) {
  static const tess_client_stream_events events = {.on_message = give_up_on_message,
                                                   .on_end = note_end};
  make((tess_client_policy_options){.retry = {.max_attempts = 2, .all_methods = true}});
  const tess_client_options direct = {.transport = curl, .base_url = urls[0], .timeout_ms = 20000};
  tess_client *behind = tess_client_new(&direct, NULL);
  ck_assert_ptr_nonnull(behind);
  for (int round = 0; round < 40; round++) {
    given_up g = {0};
    Tessera__Test__V1__EchoRequest request;
    tessera__test__v1__echo_request__init(&request);
    request.count = 1 + (uint32_t)round / 2; /* all of the first ones comes at once */
    ck_assert_int_eq(tessera_test_v1_echo_service_repeat_start(round % 2 == 0 ? client : behind,
                                                               NULL, &events, &g, &g.call, NULL),
                     TESS_OK);
    ck_assert_int_eq(tess_client_stream_send(g.call, &request), TESS_OK);
    ck_assert_int_eq(tess_client_stream_close_send(g.call), TESS_OK);
    for (int i = 0; i < 1000 && atomic_load(&g.ends) == 0; i++)
      site_sleep_ms(10);
    ck_assert_int_eq(atomic_load(&g.ends), 1);
    ck_assert_int_eq(atomic_load(&g.code), TESS_CANCELED);
    ck_assert_int_eq(g.messages, 1);
  }
  tess_client_free(behind);
  end();
}
END_TEST

static void *read_to_the_end(void *ctx) {
  tess_client_stream *stream = ctx;
  Tessera__Test__V1__EchoResponse response;
  tess_code code;
  while ((code = tess_client_stream_read(stream, &response, NULL)) == TESS_OK)
    tess_client_clear_response(client, &tessera_test_v1_echo_service_methods_pb_c[3], &response);
  return code == TESS_END || code == TESS_CANCELED ? NULL : stream;
}

/* At any moment: before, between and behind what comes. */
START_TEST(streams_given_up_by_another_thread) {
  make((tess_client_policy_options){.retry = {.max_attempts = 2, .all_methods = true}});
  const tess_method *repeat = &tessera_test_v1_echo_service_methods_pb_c[3];
  for (int round = 0; round < 30; round++) {
    Tessera__Test__V1__EchoRequest request;
    tessera__test__v1__echo_request__init(&request);
    request.count = round % 3 == 0 ? 2 : 200;
    tess_status status = TESS_STATUS_INIT;
    tess_client_stream *stream = tess_client_stream_open(client, repeat, NULL, &status);
    ck_assert_msg(stream != NULL, "%s", status.message);
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &status), TESS_OK);
    ck_assert_int_eq(tess_client_stream_done_writing(stream, &status), TESS_OK);
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_to_the_end, stream), 0);
    site_sleep_ms(round % 5);
    tess_client_stream_cancel(stream);
    void *wrong = NULL;
    pthread_join(reader, &wrong);
    ck_assert_ptr_null(wrong);
    tess_client_stream_close(stream);
  }
  end();
}
END_TEST

START_TEST(many_threads) {
  make((tess_client_policy_options){
      .balance = TESS_BALANCE_LEAST_LOADED,
      .retry = {.max_attempts = 4, .initial_backoff_ms = 2, .all_methods = true},
      .throttle = {.max_tokens = 1000},
      .outlier = {.consecutive_failures = 2}});
  pthread_t threads[8];
  tess_code failures[8] = {TESS_OK};
  for (int i = 0; i < 8; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, &failures[i]), 0);
  site_sleep_ms(20);
  kill_site(2);
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(failures[i], TESS_OK);
  }
  end();
}
END_TEST

int main(void) {
  return RUN_TESTS("client policy", 120, balance, a_dead_endpoint_costs_nothing_but_a_retry,
                   not_twice_unless_declared, names_lead_to_addresses, streams,
                   long_streams_of_answers, long_streams_of_requests, silence_costs_an_attempt,
                   silence_of_a_hedge, nothing_but_silence, silence_before_a_stream,
                   who_waits_for_a_connection_is_not_late, callbacks_cannot_wait,
                   streams_given_up_in_an_event, streams_given_up_by_another_thread, many_threads);
}
