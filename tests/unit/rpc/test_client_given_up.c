/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges that the client ends by itself: the body behind a failure is long; and one whose
 * transport ends it at once, within an event.
 */
#include "tests/unit/run_case.h"

#include "unary_fixture.h"

#include <stdlib.h>
#include <string.h>

#define HTML "content-type: text/html\n"
#define CONNECT "content-type: application/connect+proto\n"

enum { SHORT = 60 * 1024, LONG = 80 * 1024 };
static uint8_t page[LONG];

typedef struct ending {
  int ends;
  tess_code code;
  char message[128];
} ending;

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  ending *end = ctx;
  (void)trailers;
  end->ends++;
  end->code = status->code;
  strncpy(end->message, status->message != NULL ? status->message : "", sizeof end->message - 1);
}

static const tess_client_stream_events ends_alone = {.on_end = on_end};

static void send_hi(tess_client_call *call) {
  static char text[] = "hi";
  echo_request request;
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  ck_assert_int_eq(tess_client_stream_send(call, &request), TESS_OK);
}

/* A stream's one answer. */
static void repeat(fixture *f, ending *end) {
  tess_client_call *call;
  *end = (ending){0};
  ck_assert_int_eq(
      tessera_test_v1_echo_service_repeat_start(f->client, NULL, &ends_alone, end, &call, NULL),
      TESS_OK);
  send_hi(call);
  ck_assert_int_eq(tess_client_stream_close_send(call), TESS_OK);
  tess_transport_memory_run(f->transport, 1);
  ck_assert_int_eq(end->ends, 1);
}

/* What failed with its head is read to the end where that is near, so that its connection
 * may be used again; no more of an endless body than that is. The head's error stays. */
START_TEST(a_long_body_behind_a_failure) {
  static const struct {
    int status;
    const char *headers;
    tess_code unary, stream;
    const char *message;
  } cases[] = {
      {502, HTML, TESS_UNAVAILABLE, TESS_UNAVAILABLE, "HTTP status 502"},
      {200, HTML, TESS_UNKNOWN, TESS_UNKNOWN, "unexpected content type \"text/html\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int form = 0; form < 8; form++) {
      bool is_long = (form & 1) != 0, untold = (form & 2) != 0, is_stream = (form & 4) != 0;
      fixture f;
      memset(&f, 0, sizeof f);
      set_up_with(&f, (tess_client_options){0}, 1000, false);
      f.canned = (canned){.status = cases[i].status,
                          .headers = cases[i].headers,
                          .body = page,
                          .body_size = is_long ? LONG : SHORT,
                          .no_content_length = untold};
      echo_response response;
      if (is_stream) {
        ending end;
        repeat(&f, &end);
        ck_assert_int_eq(end.code, cases[i].stream);
        ck_assert_str_eq(end.message, cases[i].message);
      } else {
        ck_assert_int_eq(echo(&f, NULL, &response), cases[i].unary);
        ck_assert_str_eq(f.status.message, cases[i].message);
      }
      ck_assert_msg(f.canned.aborts == is_long, "case %zu, form %d", i, form);
      tear_down(&f);
    }
}
END_TEST

/* Nor of a stream that has ended, well or not. */
START_TEST(a_long_body_behind_the_end) {
  static const char failed[] = "\2\0\0\0\x1c{\"error\":{\"code\":\"aborted\"}}";
  static const char good[] = "\2\0\0\0\2{}";
  for (int well = 0; well < 2; well++) {
    uint8_t *body = calloc(1, LONG);
    ck_assert_ptr_nonnull(body);
    memcpy(body, well ? good : failed, well ? sizeof good - 1 : sizeof failed - 1);
    fixture f;
    memset(&f, 0, sizeof f);
    set_up_with(&f, (tess_client_options){0}, 1000, false);
    f.canned = (canned){.status = 200,
                        .headers = CONNECT,
                        .body = body,
                        .body_size = LONG,
                        .no_content_length = true};
    ending end;
    repeat(&f, &end);
    ck_assert_int_eq(end.code, well ? TESS_INTERNAL : TESS_ABORTED);
    ck_assert_int_eq(f.canned.aborts, 1);
    tear_down(&f);
    free(body);
  }
}
END_TEST

/* ---- ended at once ---- */

/* Ends what is cancelled there and then. */
typedef struct prompt_transport {
  tess_transport base; /* first */
  tess_http_outgoing *known;
} prompt_transport;

static tess_code prompt_start(tess_transport *transport, tess_http_outgoing *outgoing,
                              tess_status *status) {
  (void)status;
  ((prompt_transport *)transport)->known = outgoing;
  return TESS_OK;
}

static void prompt_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  (void)outgoing;
}

static void prompt_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  prompt_transport *self = (prompt_transport *)transport;
  if (self->known != outgoing) return;
  self->known = NULL;
  outgoing->ops->on_end(outgoing, TESS_CANCELED, NULL);
}

static int64_t prompt_now_ms(tess_transport *transport) {
  (void)transport;
  return 0;
}

static const tess_transport_ops prompt_ops = {.start = prompt_start,
                                              .resume = prompt_resume,
                                              .cancel = prompt_cancel,
                                              .now_ms = prompt_now_ms};

typedef struct writer {
  ending end; /* first */
  tess_client_call *call;
  int writable;
} writer;

static void cancel_in_writable(void *ctx) {
  writer *w = ctx;
  w->writable++;
  tess_client_call_cancel(w->call);
  ck_assert_int_eq(w->end.ends, 0); /* not within another event */
}

/* While the transport takes what there is to send: nothing of the call is used behind it. */
START_TEST(cancelled_when_it_may_write) {
  static const tess_client_stream_events events = {.on_writable = cancel_in_writable,
                                                   .on_end = on_end};
  prompt_transport prompt = {.base = {&prompt_ops}};
  tess_client *client = tess_client_new(
      &(tess_client_options){
          .transport = &prompt.base, .base_url = "http://h", .stream_window_bytes = 1},
      NULL);
  writer w = {0};
  ck_assert_int_eq(
      tessera_test_v1_echo_service_chat_start(client, NULL, &events, &w, &w.call, NULL), TESS_OK);
  send_hi(w.call);
  echo_request more;
  tessera__test__v1__echo_request__init(&more);
  ck_assert_int_eq(tess_client_stream_send(w.call, &more), TESS_WOULD_BLOCK);
  tess_http_outgoing *outgoing = prompt.known;
  tess_slice slice = {0};
  ck_assert_int_eq(outgoing->ops->next_body(outgoing, &slice), TESS_BODY_WAIT);
  ck_assert_uint_eq(slice.size, 0);
  ck_assert_int_eq(w.writable, 1);
  ck_assert_int_eq(w.end.ends, 1);
  ck_assert_int_eq(w.end.code, TESS_CANCELED);
  ck_assert_ptr_null(prompt.known);
  tess_client_free(client);
}
END_TEST

typedef struct unary_end {
  int ends;
  tess_code code;
} unary_end;

static void done(void *ctx, const tess_status *status) {
  unary_end *end = ctx;
  end->ends++;
  end->code = status->code;
}

/* A body behind a failure that is over its bound. */
START_TEST(given_up_at_once) {
  for (int told = 0; told < 2; told++) {
    prompt_transport prompt = {.base = {&prompt_ops}};
    tess_client *client = tess_client_new(
        &(tess_client_options){.transport = &prompt.base, .base_url = "http://h"}, NULL);
    unary_end end = {0};
    static char text[] = "hi";
    echo_request request;
    echo_response response;
    tessera__test__v1__echo_request__init(&request);
    request.text = text;
    ck_assert_int_eq(tessera_test_v1_echo_service_echo_start(client, NULL, &request, &response,
                                                             done, &end, NULL, NULL),
                     TESS_OK);
    tess_metadata headers;
    tess_metadata_init(&headers, NULL, 0);
    ck_assert_int_eq(tess_metadata_add(&headers, "content-type", "text/html"), TESS_OK);
    tess_http_outgoing *outgoing = prompt.known;
    outgoing->ops->on_head(outgoing, 502, &headers, told ? LONG : -1);
    tess_metadata_cleanup(&headers);
    ck_assert_int_eq(end.ends, told);
    tess_chunk chunk = {.data = page, .size = SHORT};
    if (!told) outgoing->ops->on_body(outgoing, &chunk);
    ck_assert_int_eq(end.ends, told);
    chunk = (tess_chunk){.data = page, .size = SHORT};
    if (!told) outgoing->ops->on_body(outgoing, &chunk);
    ck_assert_int_eq(end.ends, 1);
    ck_assert_int_eq(end.code, TESS_UNAVAILABLE);
    tess_client_free(client);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("client_given_up", 60, a_long_body_behind_a_failure, a_long_body_behind_the_end,
                   cancelled_when_it_may_write, given_up_at_once);
}
