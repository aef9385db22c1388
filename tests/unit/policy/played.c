/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/policy/played.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the transport behind ---- */

pthread_mutex_t played_lock = PTHREAD_MUTEX_INITIALIZER;
played_attempt played[PLAYED_MAX];
unsigned played_count;
bool played_refuses;
const char *played_answers;
void (*played_in_start)(unsigned index);

int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pause_ms(int ms) {
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
  pthread_mutex_lock(&played_lock);
  bool no = played_refuses || played_count == PLAYED_MAX;
  unsigned index = played_count;
  if (!no) {
    played_attempt *s = &played[played_count++];
    *s = (played_attempt){.outgoing = outgoing};
    copy(s->url, sizeof s->url, outgoing->url);
    copy(s->connect_to, sizeof s->connect_to, outgoing->connect_to);
    copy(s->before, sizeof s->before,
         tess_metadata_get(outgoing->headers, "grpc-previous-rpc-attempts"));
    copy(s->timeout, sizeof s->timeout, tess_metadata_get(outgoing->headers, "connect-timeout-ms"));
    copy(s->grpc_timeout, sizeof s->grpc_timeout,
         tess_metadata_get(outgoing->headers, "grpc-timeout"));
  }
  pthread_mutex_unlock(&played_lock);
  if (!no && played_answers != NULL && strstr(outgoing->url, played_answers) != NULL)
    respond_ok(index);
  if (!no && played_in_start != NULL) played_in_start(index);
  return no ? tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no room") : TESS_OK;
}

static void behind_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  (void)outgoing;
}

void (*played_in_cancel)(void);

static void behind_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  pthread_mutex_lock(&played_lock);
  for (unsigned i = 0; i < played_count; i++)
    if (played[i].outgoing == outgoing) {
      played[i].cancelled = true;
      played[i].cancels++;
    }
  pthread_mutex_unlock(&played_lock);
  if (played_in_cancel != NULL) played_in_cancel();
}

static int64_t behind_now_ms(tess_transport *transport) {
  (void)transport;
  return clock_ms();
}

static const tess_transport_ops behind_ops = {.start = behind_start,
                                              .resume = behind_resume,
                                              .cancel = behind_cancel,
                                              .now_ms = behind_now_ms,
                                              .wait = NULL,
                                              .free = NULL};
tess_transport played_behind = {&behind_ops};

void wait_begun(unsigned count) {
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&played_lock);
    bool enough = played_count >= count;
    pthread_mutex_unlock(&played_lock);
    if (enough) return;
    pause_ms(5);
  }
  ck_abort_msg("attempt %u did not begin", count);
}

void wait_cancelled(unsigned index) {
  wait_begun(index + 1);
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&played_lock);
    bool cancelled = played[index].cancelled;
    pthread_mutex_unlock(&played_lock);
    if (cancelled) return;
    pause_ms(5);
  }
  ck_abort_msg("attempt %u was not cancelled", index);
}

/* Marks it over; NULL: it was already. */
static tess_http_outgoing *take(unsigned index) {
  pthread_mutex_lock(&played_lock);
  tess_http_outgoing *o = played[index].ended ? NULL : played[index].outgoing;
  played[index].ended = true;
  pthread_mutex_unlock(&played_lock);
  return o;
}

static void give_head(tess_http_outgoing *o, int status, const char *type, const char *name,
                      const char *value, int64_t content_length) {
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, "content-type", type), TESS_OK);
  if (name != NULL) ck_assert_int_eq(tess_metadata_add(&headers, name, value), TESS_OK);
  o->ops->on_head(o, status, &headers, content_length);
  tess_metadata_cleanup(&headers);
}

static void give_body(tess_http_outgoing *o, const void *body, size_t size) {
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

void respond(unsigned index, int status, const char *type, const char *name, const char *value,
             const void *body, size_t size) {
  wait_begun(index + 1);
  tess_http_outgoing *o = take(index);
  ck_assert_ptr_nonnull(o);
  give_head(o, status, type, name, value, (int64_t)size);
  give_body(o, body, size);
}

void respond_head(unsigned index, int status, const char *type) {
  wait_begun(index + 1);
  give_head(played[index].outgoing, status, type, NULL, NULL, -1);
}

void respond_rest(unsigned index, const void *body, size_t size) {
  tess_http_outgoing *o = take(index);
  ck_assert_ptr_nonnull(o);
  give_body(o, body, size);
}

void respond_ok(unsigned index) {
  respond(index, 200, "application/proto", NULL, NULL, "answer", 6);
}

void respond_unavailable(unsigned index, const char *name, const char *value) {
  const char *body = "{\"code\":\"unavailable\",\"message\":\"later\"}";
  respond(index, 503, "application/json", name, value, body, strlen(body));
}

void end_with(unsigned index, tess_code code) {
  wait_begun(index + 1);
  tess_http_outgoing *o = take(index);
  ck_assert_ptr_nonnull(o);
  o->ops->on_end(o, code, "broken");
}

unsigned end_cancelled(void) {
  unsigned ended = 0;
  for (unsigned i = 0; i < played_count; i++) {
    pthread_mutex_lock(&played_lock);
    bool due = played[i].cancelled && !played[i].ended;
    pthread_mutex_unlock(&played_lock);
    if (due) end_with(i, TESS_CANCELED);
    ended += due;
  }
  return ended;
}

/* ---- the client ---- */

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  request *r = (request *)outgoing;
  if (r->next == 2) {
    r->sent++;
    return TESS_BODY_END;
  }
  *slice = r->body[r->next++];
  return TESS_BODY_DATA;
}

tess_transport *played_cancel_in_rewind;

static bool rewind_body(tess_http_outgoing *outgoing) {
  request *r = (request *)outgoing;
  if (played_cancel_in_rewind != NULL)
    played_cancel_in_rewind->ops->cancel(played_cancel_in_rewind, outgoing);
  if (r->can_rewind) r->next = 0;
  return r->can_rewind;
}

tess_transport *played_cancel_in_head;

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  request *r = (request *)outgoing;
  (void)content_length;
  ck_assert_int_eq(r->status, 0);
  ck_assert_ptr_nonnull(tess_metadata_get(headers, "content-type"));
  r->status = status;
  if (played_cancel_in_head != NULL)
    played_cancel_in_head->ops->cancel(played_cancel_in_head, outgoing);
}

static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  request *r = (request *)outgoing;
  ck_assert_int_ne(r->status, 0);
  ck_assert_uint_lt(r->size + chunk->size, sizeof r->text);
  memcpy(r->text + r->size, chunk->data, chunk->size);
  r->size += chunk->size;
  tess_chunk_release(chunk);
  return true;
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  request *r = (request *)outgoing;
  r->code = code;
  copy(r->detail, sizeof r->detail, detail);
  atomic_fetch_add(&r->ends, 1);
}

static const tess_http_outgoing_ops request_ops = {.next_body = next_body,
                                                   .rewind_body = rewind_body,
                                                   .on_head = on_head,
                                                   .on_body = on_body,
                                                   .on_end = on_end};

request *request_new(bool idempotent) {
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

void request_free(request *r) {
  ck_assert_int_eq(atomic_load(&r->ends), 1);
  tess_metadata_cleanup(&r->headers);
  free(r);
}

static bool has_ended(void *ctx) {
  return atomic_load(&((request *)ctx)->ends) > 0;
}

void wait_end(tess_transport *transport, request *r) {
  ck_assert_msg(transport->ops->wait(transport, has_ended, r, clock_ms() + 30000),
                "it never ended");
}

/* ---- policies ---- */

const char *const played_three[3] = {"http://a:1", "http://b:2/prefix/", "https://c:3"};

tess_transport *policy_new(tess_client_policy_options options) {
  if (options.transport == NULL) options.transport = &played_behind;
  if (options.endpoints == NULL) {
    options.endpoints = played_three;
    options.endpoint_count = 3;
  }
  options.seed = 1;
  played_count = 0;
  tess_status status = TESS_STATUS_INIT;
  tess_transport *policy = tess_client_policy_new(&options, &status);
  ck_assert_msg(policy != NULL, "%s", status.message);
  return policy;
}

void start(tess_transport *policy, request *r) {
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(policy->ops->start(policy, &r->out, &status), TESS_OK);
}
