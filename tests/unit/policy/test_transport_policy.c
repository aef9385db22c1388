/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter in front of a transport, which is played by the test: it sees the
 * attempts as they begin, and answers, breaks and cancels them as it likes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <tessera/client_policy.h>

#include "tests/unit/rpc/suite.h"

/* ---- the transport behind ---- */

enum { MAX_STARTED = 4096 };

typedef struct started {
  tess_http_outgoing *outgoing;
  char url[100], connect_to[64], before[8], timeout[32];
  bool cancelled, ended;
} started;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static started begun[MAX_STARTED];
static unsigned begun_count;
static bool refuses;

static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void copy(char *to, size_t size, const char *text) {
  size_t length = text != NULL ? strlen(text) : 0;
  if (length >= size) length = size - 1;
  if (length > 0) memcpy(to, text, length);
  to[length] = '\0';
}

static tess_code behind_start(tess_transport *transport, tess_http_outgoing *outgoing,
                              tess_status *status) {
  (void)transport;
  pthread_mutex_lock(&lock);
  bool no = refuses || begun_count == MAX_STARTED;
  if (!no) {
    started *s = &begun[begun_count++];
    *s = (started){.outgoing = outgoing};
    copy(s->url, sizeof s->url, outgoing->url);
    copy(s->connect_to, sizeof s->connect_to, outgoing->connect_to);
    copy(s->before, sizeof s->before,
         tess_metadata_get(outgoing->headers, "grpc-previous-rpc-attempts"));
    copy(s->timeout, sizeof s->timeout, tess_metadata_get(outgoing->headers, "connect-timeout-ms"));
  }
  pthread_mutex_unlock(&lock);
  return no ? tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no room") : TESS_OK;
}

static void behind_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  (void)outgoing;
}

static void (*in_cancel)(void); /* called by it */

static void behind_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  pthread_mutex_lock(&lock);
  for (unsigned i = 0; i < begun_count; i++)
    if (begun[i].outgoing == outgoing) begun[i].cancelled = true;
  pthread_mutex_unlock(&lock);
  if (in_cancel != NULL) in_cancel();
}

static int64_t behind_now_ms(tess_transport *transport) {
  (void)transport;
  return clock_ms();
}

static const tess_transport_ops behind_ops = {behind_start,  behind_resume, behind_cancel,
                                              behind_now_ms, NULL,          NULL};
static tess_transport behind = {&behind_ops};

static void wait_begun(unsigned count) {
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&lock);
    bool enough = begun_count >= count;
    pthread_mutex_unlock(&lock);
    if (enough) return;
    pause_ms(5);
  }
  ck_abort_msg("attempt %u did not begin", count);
}

/* Marks it over; NULL: it was already. */
static tess_http_outgoing *take(unsigned index) {
  pthread_mutex_lock(&lock);
  tess_http_outgoing *o = begun[index].ended ? NULL : begun[index].outgoing;
  begun[index].ended = true;
  pthread_mutex_unlock(&lock);
  return o;
}

static void respond(unsigned index, int status, const char *type, const char *name,
                    const char *value, const void *body, size_t size) {
  wait_begun(index + 1);
  tess_http_outgoing *o = take(index);
  ck_assert_ptr_nonnull(o);
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, "content-type", type), TESS_OK);
  if (name != NULL) ck_assert_int_eq(tess_metadata_add(&headers, name, value), TESS_OK);
  o->ops->on_head(o, status, &headers, (int64_t)size);
  tess_metadata_cleanup(&headers);
  for (size_t at = 0; at < size; at += 3) { /* in small pieces */
    union {
      const void *in;
      uint8_t *out;
    } data = {(const char *)body + at};
    tess_chunk chunk = {.data = data.out, .size = size - at < 3 ? size - at : 3};
    o->ops->on_body(o, &chunk);
  }
  o->ops->on_end(o, TESS_OK, NULL);
}

static void respond_ok(unsigned index) {
  respond(index, 200, "application/proto", NULL, NULL, "answer", 6);
}

static void respond_unavailable(unsigned index, const char *name, const char *value) {
  const char *body = "{\"code\":\"unavailable\",\"message\":\"later\"}";
  respond(index, 503, "application/json", name, value, body, strlen(body));
}

static void end_with(unsigned index, tess_code code) {
  wait_begun(index + 1);
  tess_http_outgoing *o = take(index);
  ck_assert_ptr_nonnull(o);
  o->ops->on_end(o, code, "broken");
}

/* Ends what was cancelled, as a transport does. */
static unsigned end_cancelled(void) {
  unsigned ended = 0;
  for (unsigned i = 0; i < begun_count; i++) {
    pthread_mutex_lock(&lock);
    bool due = begun[i].cancelled && !begun[i].ended;
    pthread_mutex_unlock(&lock);
    if (due) end_with(i, TESS_CANCELED);
    ended += due;
  }
  return ended;
}

/* ---- the client ---- */

typedef struct request {
  tess_http_outgoing out; /* first */
  tess_metadata headers;
  tess_slice body[2];
  unsigned next;
  int status;
  char text[128];
  size_t size;
  tess_code code;
  atomic_int ends;
  bool can_rewind;
} request;

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  request *r = (request *)outgoing;
  if (r->next == 2) return TESS_BODY_END;
  *slice = r->body[r->next++];
  return TESS_BODY_DATA;
}

static tess_transport *cancel_in_rewind; /* a policy whose call is cancelled there */

static bool rewind_body(tess_http_outgoing *outgoing) {
  request *r = (request *)outgoing;
  if (cancel_in_rewind != NULL) cancel_in_rewind->ops->cancel(cancel_in_rewind, outgoing);
  if (r->can_rewind) r->next = 0;
  return r->can_rewind;
}

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  request *r = (request *)outgoing;
  (void)content_length;
  ck_assert_int_eq(r->status, 0);
  ck_assert_ptr_nonnull(tess_metadata_get(headers, "content-type"));
  r->status = status;
}

static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  request *r = (request *)outgoing;
  ck_assert_int_ne(r->status, 0);
  ck_assert_uint_lt(r->size + chunk->size, sizeof r->text);
  memcpy(r->text + r->size, chunk->data, chunk->size);
  r->size += chunk->size;
  return true;
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  request *r = (request *)outgoing;
  (void)detail;
  r->code = code;
  atomic_fetch_add(&r->ends, 1);
}

static const tess_http_outgoing_ops request_ops = {next_body, rewind_body, on_head, on_body,
                                                   on_end};

static request *request_new(bool idempotent) {
  request *r = calloc(1, sizeof *r);
  ck_assert_ptr_nonnull(r);
  tess_metadata_init(&r->headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&r->headers, "x-mine", "1"), TESS_OK);
  r->body[0] = (tess_slice){"ab", 2};
  r->body[1] = (tess_slice){"cd", 2};
  r->can_rewind = true;
  r->out = (tess_http_outgoing){.ops = &request_ops,
                                .method = "POST",
                                .url = "http://say/pkg.Service/Say",
                                .headers = &r->headers,
                                .content_length = 4,
                                .body = r->body,
                                .body_count = 2,
                                .deadline_ms = TESS_NEVER_MS,
                                .idempotent = idempotent};
  return r;
}

static void request_free(request *r) {
  ck_assert_int_eq(atomic_load(&r->ends), 1);
  tess_metadata_cleanup(&r->headers);
  free(r);
}

static bool has_ended(void *ctx) {
  return atomic_load(&((request *)ctx)->ends) > 0;
}

static void wait_end(tess_transport *transport, request *r) {
  ck_assert_msg(transport->ops->wait(transport, has_ended, r, clock_ms() + 30000),
                "it never ended");
}

/* ---- policies ---- */

static const char *const three[] = {"http://a:1", "http://b:2/prefix/", "https://c:3"};

static tess_transport *policy_new(tess_client_policy_options options) {
  options.transport = &behind;
  if (options.endpoints == NULL) {
    options.endpoints = three;
    options.endpoint_count = 3;
  }
  options.seed = 1;
  begun_count = 0;
  tess_status status = TESS_STATUS_INIT;
  tess_transport *policy = tess_client_policy_new(&options, &status);
  ck_assert_msg(policy != NULL, "%s", status.message);
  return policy;
}

static void start(tess_transport *policy, request *r) {
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(policy->ops->start(policy, &r->out, &status), TESS_OK);
}

START_TEST(plain) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN});
  const char *urls[] = {"http://a:1/pkg.Service/Say", "http://b:2/prefix/pkg.Service/Say",
                        "https://c:3/pkg.Service/Say", "http://a:1/pkg.Service/Say"};
  for (unsigned i = 0; i < 4; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(begun[i].url, urls[i]);
    ck_assert_str_eq(begun[i].before, "");
    if (i == 3)
      respond_unavailable(i, NULL, NULL); /* no retries: as it comes */
    else
      respond_ok(i);
    ck_assert_int_eq(r->status, i == 3 ? 503 : 200);
    ck_assert_int_eq(r->code, TESS_OK);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

START_TEST(retries) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 20}});
  request *r = request_new(true);
  r->out.deadline_ms = clock_ms() + 60000;
  ck_assert_int_eq(tess_metadata_add(&r->headers, "connect-timeout-ms", "61000"), TESS_OK);
  int64_t began = clock_ms();
  start(policy, r);
  tess_slice piece;
  ck_assert_int_eq(begun[0].outgoing->ops->next_body(begun[0].outgoing, &piece), TESS_BODY_DATA);
  end_with(0, TESS_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  wait_begun(2);
  ck_assert_int_ge(clock_ms() - began, 15); /* 20 ms, less a fifth */
  ck_assert_str_eq(begun[1].url, "http://b:2/prefix/pkg.Service/Say");
  ck_assert_str_eq(begun[1].before, "1");
  ck_assert_str_ne(begun[1].timeout, "61000"); /* what is left */
  ck_assert_int_le(atoi(begun[1].timeout), 60000);
  ck_assert_int_eq(begun[1].outgoing->ops->next_body(begun[1].outgoing, &piece), TESS_BODY_DATA);
  ck_assert_mem_eq(piece.data, "ab", 2); /* from its beginning */
  respond_unavailable(1, NULL, NULL);
  ck_assert_int_eq(r->status, 0);
  wait_begun(3);
  ck_assert_str_eq(begun[2].before, "2");
  respond_ok(2);
  ck_assert_int_eq(r->status, 200);
  ck_assert_str_eq(r->text, "answer");
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.retries, 2);
  ck_assert_uint_eq(stats.attempts, 3);
  request_free(r);
  /* All fail: the last failure is the call's, head and body. */
  begun_count = 0;
  r = request_new(true);
  start(policy, r);
  for (unsigned i = 0; i < 3; i++)
    respond_unavailable(i, NULL, NULL);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 503);
  ck_assert_ptr_nonnull(strstr(r->text, "later"));
  ck_assert_uint_eq(begun_count, 3);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(not_retried) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  for (int way = 0; way < 5; way++) {
    begun_count = 0;
    request *r = request_new(way != 0);
    if (way == 4) { /* a stream of requests whose beginning is gone */
      r->out.body = NULL;
      r->out.content_length = -1;
      r->can_rewind = false;
    }
    start(policy, r);
    if (way == 1)
      respond_unavailable(0, "grpc-retry-pushback-ms", "-1");
    else if (way == 2)
      respond(0, 400, "application/json", NULL, NULL, "{\"code\":\"invalid_argument\"}", 27);
    else if (way == 3)
      respond(0, 200, "application/connect+proto", NULL, NULL, "\0\0\0\0\1x\2\0\0\0\2{}",
              13); /* a message has been handed on */
    else
      end_with(0, TESS_UNAVAILABLE);
    wait_end(policy, r);
    ck_assert_uint_eq(begun_count, 1);
    ck_assert_int_eq(r->code, way == 0 || way == 4 ? TESS_UNAVAILABLE : TESS_OK);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

START_TEST(streams_are_retried_before_their_first_message) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  respond(0, 200, "application/connect+proto", NULL, NULL,
          "\2\0\0\0\x20{\"error\":{\"code\":\"unavailable\"}}", 37);
  respond(1, 200, "application/connect+proto", NULL, NULL, "\0\0\0\0\1x\2\0\0\0\2{}", 13);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 200);
  ck_assert_uint_eq(r->size, 13);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(hedging) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.hedge = {.max_attempts = 3, .delay_ms = 5}});
  request *r = request_new(true);
  start(policy, r);
  wait_begun(3);
  ck_assert_str_eq(begun[2].before, "2");
  ck_assert_str_ne(begun[0].url, begun[1].url);
  tess_http_outgoing *slow = begun[0].outgoing;
  respond_ok(1);
  /* The body is still lent to the others: the end comes when they have ended. */
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  ck_assert(begun[0].cancelled && begun[2].cancelled && !begun[1].cancelled);
  tess_metadata late;
  tess_metadata_init(&late, NULL, 0);
  slow->ops->on_head(slow, 200, &late, 0); /* too late: nobody hears it */
  tess_metadata_cleanup(&late);
  ck_assert_uint_eq(end_cancelled(), 2);
  ck_assert_int_eq(atomic_load(&r->ends), 1);
  ck_assert_str_eq(r->text, "answer");
  request_free(r);
  /* Not of a method that may not be called twice. */
  begun_count = 0;
  r = request_new(false);
  start(policy, r);
  pause_ms(50);
  ck_assert_uint_eq(begun_count, 1);
  respond_ok(0);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(cancelled) {
  tess_transport *policy = policy_new((tess_client_policy_options){
      .retry = {.max_attempts = 3, .initial_backoff_ms = 60000, .max_backoff_ms = 60000}});
  request *r = request_new(true);
  start(policy, r);
  policy->ops->cancel(policy, &r->out); /* on its way */
  ck_assert(begun[0].cancelled);
  ck_assert_uint_eq(end_cancelled(), 1);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
  begun_count = 0;
  r = request_new(true);
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  policy->ops->cancel(policy, &r->out); /* while it waits for its retry */
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  policy->ops->cancel(policy, &r->out); /* nothing, by now */
  request_free(r);
  /* The policy's own end ends what waits. */
  begun_count = 0;
  r = request_new(true);
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  policy->ops->free(policy);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
}
END_TEST

/* Between two attempts, while its body is made to begin again: there is no second. */
START_TEST(cancelled_while_it_begins_again) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  r->out.body = NULL;
  r->out.content_length = -1;
  cancel_in_rewind = policy;
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  wait_end(policy, r);
  cancel_in_rewind = NULL;
  ck_assert_int_eq(r->code, TESS_CANCELED);
  ck_assert_uint_eq(begun_count, 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(a_transport_that_refuses) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  tess_status status = TESS_STATUS_INIT;
  refuses = true;
  ck_assert_int_eq(policy->ops->start(policy, &r->out, &status), TESS_RESOURCE_EXHAUSTED);
  ck_assert_str_eq(status.message, "no room");
  tess_status_cleanup(&status);
  refuses = false;
  start(policy, r);
  pthread_mutex_lock(&lock);
  refuses = true; /* the second time */
  pthread_mutex_unlock(&lock);
  end_with(0, TESS_UNAVAILABLE);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_RESOURCE_EXHAUSTED);
  refuses = false;
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Fails without an answer; with an answer that is an error; with a stream's or gRPC-Web's
 * error. Neither retries nor methods that may be repeated are needed for it. */
START_TEST(outliers) {
  static const char stream_error[] = "\2\0\0\0\43{\"error\":{\"code\":\"unavailable\"}}   ";
  static const char grpc_error[] = "\200\0\0\0\21grpc-status: 14\r\n";
  tess_transport *policy = policy_new((tess_client_policy_options){
      .balance = TESS_BALANCE_ROUND_ROBIN, .outlier = {.consecutive_failures = 2}});
  for (unsigned i = 0; i < 12; i++) {
    request *r = request_new(_i % 2 == 0);
    start(policy, r);
    if (strstr(begun[i].url, "//a:") == NULL)
      respond_ok(i);
    else if (_i < 2)
      end_with(i, TESS_UNAVAILABLE);
    else if (_i < 4)
      respond_unavailable(i, NULL, NULL);
    else if (_i < 6)
      respond(i, 200, "application/connect+proto", NULL, NULL, stream_error,
              sizeof stream_error - 1);
    else
      respond(i, 200, "application/grpc-web+proto", NULL, NULL, grpc_error, sizeof grpc_error - 1);
    request_free(r);
  }
  unsigned to_a = 0;
  for (unsigned i = 0; i < begun_count; i++)
    to_a += strstr(begun[i].url, "//a:") != NULL;
  ck_assert_uint_eq(to_a, 2);
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.ejected, 1);
  ck_assert_uint_eq(stats.ejections, 1);
  policy->ops->free(policy);
}
END_TEST

static atomic_uint phase;

static bool resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                    void *to) {
  (void)ctx;
  ck_assert_str_eq(host, "say.example");
  found(to, "10.0.0.2");
  if (atomic_load(&phase) == 0) found(to, "10.0.0.1");
  return true;
}

static unsigned endpoints_of(tess_transport *policy) {
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  return stats.endpoints;
}

START_TEST(names) {
  const char *name = "http://say.example:81";
  tess_transport *policy =
      policy_new((tess_client_policy_options){.endpoints = &name,
                                              .endpoint_count = 1,
                                              .balance = TESS_BALANCE_ROUND_ROBIN,
                                              .dns_refresh_ms = 10,
                                              .resolver = {resolve, NULL}});
  for (int i = 0; i < 6000 && endpoints_of(policy) != 2; i++)
    pause_ms(5);
  bool seen[2] = {false, false};
  for (unsigned i = 0; i < 2; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(begun[i].url, "http://say.example:81/pkg.Service/Say");
    seen[strcmp(begun[i].connect_to, "10.0.0.1:81") == 0] = true;
    respond_ok(i);
    request_free(r);
  }
  ck_assert(seen[0] && seen[1]);
  atomic_store(&phase, 1); /* one of them is gone */
  for (int i = 0; i < 6000 && endpoints_of(policy) != 1; i++)
    pause_ms(5);
  for (unsigned i = 2; i < 6; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(begun[i].connect_to, "10.0.0.2:81");
    respond_ok(i);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

static atomic_uint leads_to; /* 0: two addresses; 1: a third */

static bool resolve_anew(void *ctx, const char *host, void (*found)(void *to, const char *address),
                         void *to) {
  (void)ctx;
  (void)host;
  if (atomic_load(&leads_to) == 1) {
    found(to, "10.0.0.3");
    return true;
  }
  found(to, "10.0.0.1");
  found(to, "10.0.0.2");
  return true;
}

static tess_transport *policy_of_names(tess_client_policy_options options, unsigned endpoints) {
  static const char *const name = "http://say.example:81";
  options.endpoints = &name;
  options.endpoint_count = 1;
  options.dns_refresh_ms = 5;
  options.resolver = (tess_resolver){resolve_anew, NULL};
  tess_transport *policy = policy_new(options);
  for (int i = 0; i < 6000 && endpoints_of(policy) != endpoints; i++)
    pause_ms(5);
  ck_assert_uint_eq(endpoints_of(policy), endpoints);
  return policy;
}

/* While a call waits for its retry its name leads elsewhere and back. */
START_TEST(a_retry_goes_elsewhere_when_names_lead_back) {
  atomic_store(&leads_to, 0);
  tess_transport *policy =
      policy_of_names((tess_client_policy_options){.retry = {.max_attempts = 2}}, 2);
  request *r = request_new(true);
  start(policy, r);
  respond_unavailable(0, "grpc-retry-pushback-ms", "1000");
  for (unsigned to = 1; to < 3; to++) {
    atomic_store(&leads_to, to % 2);
    for (int i = 0; i < 6000 && endpoints_of(policy) != (to == 1 ? 1 : 2); i++)
      pause_ms(5);
  }
  wait_begun(2);
  ck_assert_str_ne(begun[0].connect_to, begun[1].connect_to);
  respond_ok(1);
  wait_end(policy, r);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

static void *break_when_cancelled(void *ctx) {
  (void)ctx;
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&lock);
    bool due = begun[0].cancelled;
    pthread_mutex_unlock(&lock);
    if (due) break;
    pause_ms(5);
  }
  end_with(0, TESS_UNAVAILABLE);
  return NULL;
}

/* What is in flight ends for want of a server, which hurries the lookup. */
START_TEST(freed_while_a_server_is_lost) {
  atomic_store(&leads_to, 1);
  tess_transport *policy = policy_of_names((tess_client_policy_options){.seed = 1}, 1);
  request *r = request_new(true);
  start(policy, r);
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, break_when_cancelled, NULL), 0);
  policy->ops->free(policy);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
}
END_TEST

static atomic_bool is_cancelling, is_freed, was_freed_early;

/* What is cancelled ends there and then, and its call with it. */
static void end_within_cancel(void) {
  end_with(1, TESS_CANCELED);
  atomic_store(&is_cancelling, true);
  for (int i = 0; i < 60 && !atomic_load(&is_freed); i++)
    pause_ms(5);
  atomic_store(&was_freed_early, atomic_load(&is_freed));
}

static void *fail_first(void *ctx) {
  (void)ctx;
  end_with(0, TESS_INTERNAL);
  return NULL;
}

/* A thread of the transport is still giving up the call's other attempt. */
START_TEST(freed_once_nobody_is_inside) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.hedge = {.max_attempts = 2, .delay_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  wait_begun(2);
  in_cancel = end_within_cancel;
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, fail_first, NULL), 0);
  while (!atomic_load(&is_cancelling))
    pause_ms(1);
  policy->ops->free(policy);
  atomic_store(&is_freed, true);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  in_cancel = NULL;
  ck_assert(!atomic_load(&was_freed_early));
  ck_assert_int_eq(r->code, TESS_INTERNAL);
  request_free(r);
}
END_TEST

START_TEST(refused) {
  const char *bad = "ftp://x";
  const tess_client_policy_options wrong[] = {
      {.endpoints = three, .endpoint_count = 3},
      {.transport = &behind},
      {.transport = &behind, .endpoints = &bad, .endpoint_count = 1},
      {.transport = &behind, .endpoints = three, .endpoint_count = 3, .retry = {.max_attempts = 9}},
      {.transport = &behind, .endpoints = three, .endpoint_count = 3, .balance = (tess_balance)9}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    ck_assert_msg(tess_client_policy_new(&wrong[i], &status) == NULL, "case %zu", i);
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    tess_status_cleanup(&status);
  }
}
END_TEST

/* Whatever happens, each call ends once: a thread that plays the network at random, and
 * one that starts and cancels. */
static atomic_bool over;

static void *play(void *ctx) {
  uint32_t state = *(uint32_t *)ctx;
  for (unsigned done = 0; !atomic_load(&over) || done < begun_count;) {
    pthread_mutex_lock(&lock);
    unsigned count = begun_count;
    pthread_mutex_unlock(&lock);
    if (done == count) {
      pause_ms(1);
      continue;
    }
    unsigned at = done;
    state = state * 1664525u + 1013904223u;
    if (count - done > 1 && state >> 31) at++; /* not always in order */
    pthread_mutex_lock(&lock);
    bool ended = begun[at].ended, given_up = begun[at].cancelled;
    pthread_mutex_unlock(&lock);
    if (!ended) {
      switch (given_up ? 9 : state >> 16 & 7) {
        case 0:
        case 1:
          end_with(at, TESS_UNAVAILABLE);
          break;
        case 2:
          respond_unavailable(at, NULL, NULL);
          break;
        case 3:
          respond_unavailable(at, "grpc-retry-pushback-ms", "1");
          break;
        case 9:
          end_with(at, TESS_CANCELED);
          break;
        default:
          respond_ok(at);
      }
    }
    while (done < count && begun[done].ended)
      done++;
  }
  return NULL;
}

START_TEST(anything_may_happen) {
  bool hedge = _i % 2 == 1;
  tess_transport *policy = policy_new((tess_client_policy_options){
      .balance = (tess_balance)(_i % 3),
      .retry = {.max_attempts = hedge ? 0 : 4, .initial_backoff_ms = 1, .max_backoff_ms = 2},
      .hedge = {.max_attempts = hedge ? 3 : 0, .delay_ms = _i / 2 % 2},
      .throttle = {.max_tokens = -1},
      .outlier = {.consecutive_failures = 2, .base_ejection_ms = 5, .max_ejection_ms = 5}});
  uint32_t seed = (uint32_t)_i * 7919 + 1;
  atomic_store(&over, false);
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, play, &seed), 0);
  enum { CALLS = 300, AT_ONCE = 8 };
  request *running[AT_ONCE] = {0};
  uint32_t state = seed;
  for (int i = 0; i < CALLS; i++) {
    request **slot = &running[i % AT_ONCE];
    state = state * 1664525u + 1013904223u;
    if (*slot != NULL) {
      if (state >> 30 == 0) policy->ops->cancel(policy, &(*slot)->out);
      wait_end(policy, *slot);
      request_free(*slot);
    }
    *slot = request_new(state >> 28 & 1);
    start(policy, *slot);
    if (state >> 27 == 3) policy->ops->cancel(policy, &(*slot)->out);
  }
  for (int i = 0; i < AT_ONCE; i++) {
    wait_end(policy, running[i]);
    request_free(running[i]);
  }
  atomic_store(&over, true);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  policy->ops->free(policy);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("transport policy");
  TCase *tests = tcase_create("transport policy");
  tcase_set_timeout(tests, 100);
  tcase_add_test(tests, plain);
  tcase_add_test(tests, retries);
  tcase_add_test(tests, not_retried);
  tcase_add_test(tests, streams_are_retried_before_their_first_message);
  tcase_add_test(tests, hedging);
  tcase_add_test(tests, cancelled);
  tcase_add_test(tests, cancelled_while_it_begins_again);
  tcase_add_test(tests, a_transport_that_refuses);
  tcase_add_loop_test(tests, outliers, 0, 8);
  tcase_add_test(tests, names);
  tcase_add_test(tests, a_retry_goes_elsewhere_when_names_lead_back);
  tcase_add_test(tests, freed_while_a_server_is_lost);
  tcase_add_test(tests, freed_once_nobody_is_inside);
  tcase_add_test(tests, refused);
  tcase_add_loop_test(tests, anything_may_happen, 0, 12);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
