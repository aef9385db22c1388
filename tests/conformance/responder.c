/* SPDX-License-Identifier: Apache-2.0
 *
 * ConformanceService. A unary call without a delay is answered on the spot, so
 * that both ways of replying are tested; everything else is answered by a thread
 * of the call's own, which may sleep. Messages are seen as protobuf-c has them,
 * whichever runtime carried them.
 */
#include "tests/conformance/responder.h"

#include "tests/conformance/convert.h"

#include "connectrpc/conformance/v1/service.rpc.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef Connectrpc__Conformance__V1__UnaryResponseDefinition unary_definition;
typedef Connectrpc__Conformance__V1__StreamResponseDefinition stream_definition;

#define PACKAGE "connectrpc.conformance.v1."

/* A call that a thread answers. Lives in the call's arena. */
typedef struct job {
  tess_call *call;
  const unary_definition *unary;   /* unary and client stream */
  const stream_definition *stream; /* server stream and bidi */
  conf_any **requests;
  size_t request_count;
  bool send_reply; /* a client stream: the reply is a stream's one message */
  bool has_thread; /* which finishes the call */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool writable;
  bool cancelled;
} job;

static conf_request_info *request_info(tess_call *call, conf_any **requests, size_t count) {
  tess_arena *arena = tess_call_arena(call);
  conf_request_info *info = conf_alloc(arena, sizeof *info);
  connectrpc__conformance__v1__conformance_payload__request_info__init(info);
  info->request_headers =
      conf_headers(arena, tess_call_request_headers(call), &info->n_request_headers);
  info->requests = requests;
  info->n_requests = count;
  if (tess_call_timeout_ms(call) >= 0) {
    info->_timeout_ms_case =
        CONNECTRPC__CONFORMANCE__V1__CONFORMANCE_PAYLOAD__REQUEST_INFO___TIMEOUT_MS_TIMEOUT_MS;
    info->timeout_ms = tess_call_timeout_ms(call);
  }
  if (tess_call_query(call) != NULL) {
    info->connect_get_info = conf_alloc(arena, sizeof *info->connect_get_info);
    connectrpc__conformance__v1__conformance_payload__connect_get_info__init(
        info->connect_get_info);
    info->connect_get_info->query_params =
        conf_query(arena, tess_call_query(call), &info->connect_get_info->n_query_params);
  }
  return info;
}

/* The same method in protobuf-c's table: its types. */
static const tess_method *known(tess_call *call) {
  const tess_service *service = &connectrpc_conformance_v1_conformance_service_pb_c;
  const tess_method *method = tess_call_method(call);
  for (size_t i = 0; i < service->method_count; i++)
    if (strcmp(service->methods[i].name, method->name) == 0) return &service->methods[i];
  return method;
}

static const void *view_request(tess_call *call, const void *request) {
  return conf_view(tess_call_arena(call), tess_call_method(call)->request, known(call)->request,
                   request);
}

/* The responses of all these methods have the payload as their only field. */
static void fill_response(tess_call *call, conf_payload *payload, void *response) {
  Connectrpc__Conformance__V1__UnaryResponse filled;
  const tess_method *method = known(call);
  protobuf_c_message_init(method->response->descriptor, &filled);
  filled.payload = payload;
  conf_fill(tess_call_arena(call), tess_call_method(call)->response, method->response, &filled,
            response);
}

static conf_payload *new_payload(tess_call *call) {
  conf_payload *payload = conf_alloc(tess_call_arena(call), sizeof *payload);
  connectrpc__conformance__v1__conformance_payload__init(payload);
  return payload;
}

/* Error status with the request's info as its last detail. */
static tess_code set_error(tess_call *call, const conf_error *error, conf_any **requests,
                           size_t count, bool with_info) {
  tess_status *status = tess_call_status(call);
  conf_set_status(status, error);
  if (with_info) {
    conf_request_info *info = request_info(call, requests, count);
    conf_any *any =
        conf_pack_any(tess_call_arena(call), PACKAGE "ConformancePayload.RequestInfo", &info->base);
    tess_status_add_detail(status, conf_any_type(any), any->value.data, any->value.len);
  }
  return status->code;
}

/* What a unary definition asks for. TESS_OK: *payload is the answer. */
static tess_code answer(tess_call *call, const unary_definition *definition, conf_any **requests,
                        size_t count, conf_payload **payload) {
  if (definition != NULL) {
    conf_add_headers(tess_call_response_headers(call), definition->response_headers,
                     definition->n_response_headers);
    conf_add_headers(tess_call_response_trailers(call), definition->response_trailers,
                     definition->n_response_trailers);
    if (definition->response_case ==
        CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_ERROR)
      return set_error(call, definition->error, requests, count, true);
  }
  *payload = new_payload(call);
  (*payload)->request_info = request_info(call, requests, count);
  if (definition != NULL &&
      definition->response_case ==
          CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_RESPONSE_DATA)
    (*payload)->data = definition->response_data;
  return TESS_OK;
}

static void sleep_ms(uint32_t ms) {
  struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0) {
  }
}

/* ---- jobs ---- */

static void on_writable(void *state, tess_call *call) {
  job *work = state;
  (void)call;
  pthread_mutex_lock(&work->lock);
  work->writable = true;
  pthread_cond_signal(&work->changed);
  pthread_mutex_unlock(&work->lock);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  job *work = state;
  if (!work->has_thread) tess_call_finish(call, why, NULL);
  pthread_mutex_lock(&work->lock);
  work->cancelled = true;
  pthread_cond_signal(&work->changed);
  pthread_mutex_unlock(&work->lock);
}

static void on_end(void *state) {
  job *work = state;
  pthread_cond_destroy(&work->changed);
  pthread_mutex_destroy(&work->lock);
}

static job *new_job(tess_call *call) {
  job *work = conf_alloc(tess_call_arena(call), sizeof *work);
  work->call = call;
  pthread_mutex_init(&work->lock, NULL);
  pthread_cond_init(&work->changed, NULL);
  return work;
}

/* Sends, waiting for room. False: the call is over. */
static bool send_message(job *work, const void *message) {
  for (;;) {
    pthread_mutex_lock(&work->lock);
    work->writable = false;
    pthread_mutex_unlock(&work->lock);
    tess_code code = tess_call_send(work->call, message);
    if (code == TESS_OK) return true;
    if (code != TESS_WOULD_BLOCK) return false;
    pthread_mutex_lock(&work->lock);
    while (!work->writable && !work->cancelled)
      pthread_cond_wait(&work->changed, &work->lock);
    bool go_on = !work->cancelled;
    pthread_mutex_unlock(&work->lock);
    if (!go_on) return false;
  }
}

static void run_unary(job *work) {
  tess_call *call = work->call;
  conf_payload *payload = NULL;
  if (work->unary != NULL) sleep_ms(work->unary->response_delay_ms);
  tess_code code = answer(call, work->unary, work->requests, work->request_count, &payload);
  if (code != TESS_OK) {
    tess_call_finish(call, code, NULL);
    return;
  }
  void *response = conf_alloc(tess_call_arena(call), tess_call_method(call)->response->size);
  fill_response(call, payload, response);
  if (!work->send_reply)
    tess_call_reply(call, response);
  else if (send_message(work, response))
    tess_call_finish(call, TESS_OK, NULL);
  else
    tess_call_finish(call, TESS_INTERNAL, "the response could not be sent");
}

static void run_stream(job *work) {
  tess_call *call = work->call;
  const stream_definition *definition = work->stream;
  size_t count = definition != NULL ? definition->n_response_data : 0;
  for (size_t i = 0; i < count; i++) {
    void *response = conf_alloc(tess_call_arena(call), tess_call_method(call)->response->size);
    conf_payload *payload = new_payload(call);
    payload->data = definition->response_data[i];
    if (i == 0) payload->request_info = request_info(call, work->requests, work->request_count);
    fill_response(call, payload, response);
    sleep_ms(definition->response_delay_ms);
    if (!send_message(work, response)) {
      tess_call_finish(call, TESS_CANCELED, NULL);
      return;
    }
  }
  if (definition != NULL && definition->error != NULL)
    tess_call_finish(
        call, set_error(call, definition->error, work->requests, work->request_count, count == 0),
        NULL);
  else
    tess_call_finish(call, TESS_OK, NULL);
}

static void *run_unary_thread(void *ctx) {
  run_unary(ctx);
  return NULL;
}

static void *run_stream_thread(void *ctx) {
  run_stream(ctx);
  return NULL;
}

static void start_thread(job *work, void *(*body)(void *)) {
  pthread_t thread;
  pthread_attr_t attr;
  work->has_thread = true;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  if (pthread_create(&thread, &attr, body, work) != 0)
    tess_call_finish(work->call, TESS_RESOURCE_EXHAUSTED, "no thread");
  pthread_attr_destroy(&attr);
}

/* ---- handlers ---- */

static const tess_call_events job_events = {
    .on_writable = on_writable, .on_cancel = on_cancel, .on_end = on_end};

tess_code responder_unary(tess_call *call, const void *carried, void *response) {
  /* IdempotentUnaryRequest has the same fields. */
  const Connectrpc__Conformance__V1__UnaryRequest *request = view_request(call, carried);
  const unary_definition *definition = request->response_definition;
  tess_arena *arena = tess_call_arena(call);
  conf_any **requests = conf_alloc(arena, sizeof *requests);
  requests[0] = conf_pack_any(arena, tess_call_method(call)->request->full_name, &request->base);
  if (definition == NULL || definition->response_delay_ms == 0) {
    conf_payload *payload = NULL;
    tess_code code = answer(call, definition, requests, 1, &payload);
    if (code == TESS_OK) fill_response(call, payload, response);
    return code;
  }
  job *work = new_job(call);
  work->unary = definition;
  work->requests = requests;
  work->request_count = 1;
  tess_call_set_events(call, &job_events, work);
  start_thread(work, run_unary_thread);
  return TESS_LATER;
}

static void add_stream_metadata(tess_call *call, const stream_definition *definition) {
  if (definition == NULL) return;
  conf_add_headers(tess_call_response_headers(call), definition->response_headers,
                   definition->n_response_headers);
  conf_add_headers(tess_call_response_trailers(call), definition->response_trailers,
                   definition->n_response_trailers);
}

tess_code responder_server_stream(tess_call *call, const void *carried) {
  const Connectrpc__Conformance__V1__ServerStreamRequest *request = view_request(call, carried);
  tess_arena *arena = tess_call_arena(call);
  job *work = new_job(call);
  work->stream = request->response_definition;
  work->requests = conf_alloc(arena, sizeof *work->requests);
  work->requests[0] =
      conf_pack_any(arena, tess_call_method(call)->request->full_name, &request->base);
  work->request_count = 1;
  add_stream_metadata(call, work->stream);
  tess_call_set_events(call, &job_events, work);
  start_thread(work, run_stream_thread);
  return TESS_LATER;
}

/* Client stream and bidi: requests are kept until the client has sent all. */

static void keep_request(job *work, const ProtobufCMessage *message) {
  tess_arena *arena = tess_call_arena(work->call);
  conf_any **grown = conf_alloc(arena, (work->request_count + 1) * sizeof *grown);
  if (work->request_count != 0) memcpy(grown, work->requests, work->request_count * sizeof *grown);
  grown[work->request_count++] =
      conf_pack_any(arena, tess_call_method(work->call)->request->full_name, message);
  work->requests = grown;
}

/* A copy of a request, which outlives its event. */
static const void *copy_of(tess_call *call, const void *message) {
  const tess_message_type *type = known(call)->request;
  tess_arena *arena = tess_call_arena(call);
  const ProtobufCMessage *seen = view_request(call, message);
  size_t size = protobuf_c_message_get_packed_size(seen);
  uint8_t *bytes = conf_alloc(arena, size + 1);
  protobuf_c_message_pack(seen, bytes);
  void *copy = conf_alloc(arena, type->size);
  if (type->runtime->decode(type, (tess_slice){bytes, size}, arena, NULL, copy, NULL) != TESS_OK)
    fputs("conformance: a request cannot be copied\n", stderr);
  return copy;
}

static void on_client_stream_message(void *state, tess_call *call, const void *message) {
  job *work = state;
  const Connectrpc__Conformance__V1__ClientStreamRequest *request = copy_of(call, message);
  if (work->request_count == 0) work->unary = request->response_definition;
  keep_request(work, &request->base);
}

static void on_client_stream_half_close(void *state, tess_call *call) {
  (void)call;
  start_thread(state, run_unary_thread);
}

tess_code responder_client_stream(tess_call *call) {
  static const tess_call_events events = {.on_message = on_client_stream_message,
                                          .on_half_close = on_client_stream_half_close,
                                          .on_writable = on_writable,
                                          .on_cancel = on_cancel,
                                          .on_end = on_end};
  job *work = new_job(call);
  work->send_reply = true;
  tess_call_set_events(call, &events, work);
  return TESS_LATER;
}

static void on_bidi_message(void *state, tess_call *call, const void *message) {
  job *work = state;
  const Connectrpc__Conformance__V1__BidiStreamRequest *request = copy_of(call, message);
  if (work->request_count == 0) {
    work->stream = request->response_definition;
    add_stream_metadata(call, work->stream);
  }
  keep_request(work, &request->base);
}

static void on_bidi_half_close(void *state, tess_call *call) {
  (void)call;
  start_thread(state, run_stream_thread);
}

tess_code responder_bidi_stream(tess_call *call) {
  static const tess_call_events events = {.on_message = on_bidi_message,
                                          .on_half_close = on_bidi_half_close,
                                          .on_writable = on_writable,
                                          .on_cancel = on_cancel,
                                          .on_end = on_end};
  tess_call_set_events(call, &events, new_job(call));
  return TESS_LATER;
}
