/* SPDX-License-Identifier: Apache-2.0
 *
 * The client under test: makes the calls that the runner describes on stdin, a
 * few at a time, and says on stdout how each of them went.
 */
#include <tessera/client.h>
#include <tessera/transport_curl.h>

#include "tests/conformance/convert.h"
#include "tests/conformance/frames.h"

#include "connectrpc/conformance/v1/client_compat.pb-c.h"
#include "connectrpc/conformance/v1/service.rpc.pb-c.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef Connectrpc__Conformance__V1__ClientCompatRequest compat_request;
typedef Connectrpc__Conformance__V1__ClientResponseResult compat_result;
typedef Connectrpc__Conformance__V1__ClientCompatRequest__Cancel compat_cancel;

enum { PARALLEL_CALLS = 8 };

/* Transports by whom they believe and what they show: without TLS one serves all. */
typedef struct identity {
  char *server_certificate, *certificate, *key; /* PEM; NULL: none */
  tess_transport *transport;
} identity;

enum { MOST_IDENTITIES = 64 };
static identity identities[MOST_IDENTITIES];
static size_t identity_count;
static pthread_mutex_t identities_lock = PTHREAD_MUTEX_INITIALIZER;

static bool same_pem(const char *text, const ProtobufCBinaryData *pem) {
  return text == NULL ? pem->len == 0
                      : strlen(text) == pem->len && memcmp(text, pem->data, pem->len) == 0;
}

static char *pem_text(const ProtobufCBinaryData *pem) {
  return pem->len > 0 ? strndup((const char *)pem->data, pem->len) : NULL;
}

/* NULL: it cannot be made. */
static tess_transport *transport_for(const compat_request *request, tess_status *status) {
  static const ProtobufCBinaryData none = {0, NULL};
  const Connectrpc__Conformance__V1__TLSCreds *creds = request->client_tls_creds;
  const ProtobufCBinaryData *certificate = creds != NULL ? &creds->cert : &none;
  const ProtobufCBinaryData *key = creds != NULL ? &creds->key : &none;
  tess_transport *found = NULL;
  pthread_mutex_lock(&identities_lock);
  for (size_t i = 0; i < identity_count && found == NULL; i++)
    if (same_pem(identities[i].server_certificate, &request->server_tls_cert) &&
        same_pem(identities[i].certificate, certificate))
      found = identities[i].transport;
  if (found == NULL && identity_count < MOST_IDENTITIES) {
    identity *made = &identities[identity_count];
    made->server_certificate = pem_text(&request->server_tls_cert);
    made->certificate = pem_text(certificate);
    made->key = pem_text(key);
    const tess_tls_options tls = {.ca_pem = made->server_certificate,
                                  .certificate_pem = made->certificate,
                                  .key_pem = made->key};
    const tess_transport_curl_options options = {.tls = made->server_certificate != NULL ? &tls
                                                                                         : NULL};
    made->transport = found = tess_transport_curl_new(&options, status);
    identity_count += found != NULL;
  }
  pthread_mutex_unlock(&identities_lock);
  return found;
}

static void free_transports(void) {
  for (size_t i = 0; i < identity_count; i++) {
    identities[i].transport->ops->free(identities[i].transport);
    free(identities[i].server_certificate);
    free(identities[i].certificate);
    free(identities[i].key);
  }
}

/* One call, while it is made. */
typedef struct test_call {
  const compat_request *request;
  tess_arena arena; /* all that the result points to */
  tess_client *client;
  const tess_method *method;
  tess_metadata headers;
  tess_metadata response_headers;
  tess_metadata response_trailers;
  tess_call_options options;
  tess_status status;
  compat_result result;
} test_call;

static void sleep_ms(uint32_t ms) {
  struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0) {
  }
}

static const tess_method *find_method(const compat_request *request) {
  const tess_service *service = &connectrpc_conformance_v1_conformance_service_pb_c;
  if (request->_method_case == 0 || request->_service_case == 0 ||
      strcmp(request->service, service->full_name) != 0)
    return NULL;
  for (size_t i = 0; i < service->method_count; i++)
    if (strcmp(service->methods[i].name, request->method) == 0) return &service->methods[i];
  return NULL;
}

/* The i-th request message, decoded. */
static void *request_message(test_call *call, size_t i) {
  const tess_message_type *type = call->method->request;
  const conf_any *any = call->request->request_messages[i];
  void *message = conf_alloc(&call->arena, type->size);
  if (strcmp(conf_any_type(any), type->full_name) != 0 ||
      type->runtime->decode(type, (tess_slice){any->value.data, any->value.len}, &call->arena, NULL,
                            message, NULL) != TESS_OK)
    fprintf(stderr, "conformance-client: %s: request %zu is no %s\n", call->request->test_name, i,
            type->full_name);
  return message;
}

/* The responses of all methods have the payload as their only field, except that
 * UnimplementedResponse has none. */
static conf_payload *payload_of(const test_call *call, const void *response) {
  if (call->method->response->size < sizeof(Connectrpc__Conformance__V1__UnaryResponse))
    return NULL;
  return ((const Connectrpc__Conformance__V1__UnaryResponse *)response)->payload;
}

/* Keeps a payload: a copy in the call's arena. */
static void add_payload(test_call *call, const void *response) {
  const tess_message_type *type = &connectrpc_conformance_v1_ConformancePayload_type_pb_c;
  const conf_payload *payload = payload_of(call, response);
  conf_payload *copy = conf_alloc(&call->arena, sizeof *copy);
  connectrpc__conformance__v1__conformance_payload__init(copy);
  if (payload != NULL) {
    size_t size = protobuf_c_message_get_packed_size(&payload->base);
    uint8_t *bytes = conf_alloc(&call->arena, size + 1);
    protobuf_c_message_pack(&payload->base, bytes);
    type->runtime->decode(type, (tess_slice){bytes, size}, &call->arena, NULL, copy, NULL);
  }
  compat_result *result = &call->result;
  conf_payload **grown =
      conf_alloc(&call->arena, (result->n_payloads + 1) * sizeof *result->payloads);
  if (result->n_payloads != 0) memcpy(grown, result->payloads, result->n_payloads * sizeof *grown);
  grown[result->n_payloads++] = copy;
  result->payloads = grown;
}

/* ---- unary ---- */

typedef struct completion {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool done;
  tess_status *status;
} completion;

static void on_done(void *ctx, const tess_status *status) {
  completion *self = ctx;
  pthread_mutex_lock(&self->lock);
  tess_status_copy(self->status, status);
  self->done = true;
  pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

/* Started, cancelled after a while unless it is done, and waited for. */
static tess_code cancelled_unary(test_call *call, const void *request, void *response) {
  completion end = {.lock = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER,
                    .status = &call->status};
  tess_client_call *handle = NULL;
  tess_code code = tess_client_unary_start(call->client, call->method, &call->options, request,
                                           response, on_done, &end, &handle, &call->status);
  if (code != TESS_OK) return code;
  sleep_ms(call->request->cancel->after_close_send_ms);
  pthread_mutex_lock(&end.lock);
  bool done = end.done;
  pthread_mutex_unlock(&end.lock);
  if (!done) tess_client_call_cancel(handle);
  pthread_mutex_lock(&end.lock);
  while (!end.done)
    pthread_cond_wait(&end.changed, &end.lock);
  pthread_mutex_unlock(&end.lock);
  return call->status.code;
}

static void run_unary(test_call *call) {
  void *request = request_message(call, 0);
  void *response = conf_alloc(&call->arena, call->method->response->size);
  call->options.arena = &call->arena; /* the response lives as long as the result */
  tess_code code = call->request->cancel != NULL
                       ? cancelled_unary(call, request, response)
                       : tess_client_unary(call->client, call->method, &call->options, request,
                                           response, &call->status);
  if (code == TESS_OK) add_payload(call, response);
}

/* ---- streams ---- */

/* Sends all messages. False: the stream is over. */
static bool send_all(test_call *call, tess_client_stream *stream) {
  const compat_request *request = call->request;
  for (size_t i = 0; i < request->n_request_messages; i++) {
    sleep_ms(request->request_delay_ms);
    tess_status unsent = TESS_STATUS_INIT; /* read tells why */
    tess_code code = tess_client_stream_write(stream, request_message(call, i), &unsent);
    tess_status_cleanup(&unsent);
    if (code != TESS_OK) {
      call->result.num_unsent_requests = (int32_t)(request->n_request_messages - i);
      return false;
    }
  }
  return true;
}

static void receive_all(test_call *call, tess_client_stream *stream) {
  const compat_cancel *cancel = call->request->cancel;
  bool counted =
      cancel != NULL &&
      cancel->cancel_timing_case ==
          CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_AFTER_NUM_RESPONSES;
  void *response = conf_alloc(&call->arena, call->method->response->size);
  for (;;) {
    if (counted && call->result.n_payloads == cancel->after_num_responses)
      tess_client_stream_cancel(stream);
    if (tess_client_stream_read(stream, response, &call->status) != TESS_OK) return;
    add_payload(call, response);
    tess_client_clear_response(call->client, call->method, response);
  }
}

static void run_stream(test_call *call) {
  const compat_cancel *cancel = call->request->cancel;
  int timing = cancel != NULL ? (int)cancel->cancel_timing_case : 0;
  tess_client_stream *stream =
      tess_client_stream_open(call->client, call->method, &call->options, &call->status);
  if (stream == NULL) return;
  send_all(call, stream);
  if (timing ==
      CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_BEFORE_CLOSE_SEND)
    tess_client_stream_cancel(stream);
  else
    tess_client_stream_done_writing(stream, NULL);
  if (timing ==
      CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_AFTER_CLOSE_SEND_MS) {
    sleep_ms(cancel->after_close_send_ms);
    tess_client_stream_cancel(stream);
  }
  receive_all(call, stream);
  tess_client_stream_close(stream);
  /* A call with one response fails as a whole. */
  if (call->method->stream_kind == TESS_CLIENT_STREAM && call->status.code != TESS_OK)
    call->result.n_payloads = 0;
}

/* ---- one test ---- */

static tess_client *make_client(test_call *call) {
  const compat_request *request = call->request;
  char url[320];
  snprintf(url, sizeof url, "%s://%s:%u", request->server_tls_cert.len > 0 ? "https" : "http",
           request->host, (unsigned)request->port);
  tess_transport *transport = transport_for(request, &call->status);
  if (transport == NULL) return NULL;
  tess_client_options options = {
      .transport = transport,
      .base_url = url,
      .max_response_bytes = request->message_receive_limit,
      .use_get = request->use_get_http_method,
      .send_compressor = conf_compressor(request->compression),
      .min_compress_bytes = 1,
  };
  if (request->protocol == CONNECTRPC__CONFORMANCE__V1__PROTOCOL__PROTOCOL_GRPC_WEB)
    options.protocol = TESS_PROTOCOL_GRPC_WEB;
  if (request->codec == CONNECTRPC__CONFORMANCE__V1__CODEC__CODEC_JSON)
    options.codec = conf_json_codec();
  tess_client *client = tess_client_new(&options, &call->status);
  if (client != NULL && options.send_compressor != NULL)
    tess_client_add_compressor(client, options.send_compressor);
  return client;
}

static void report(test_call *call, const char *error) {
  Connectrpc__Conformance__V1__ClientCompatResponse response;
  Connectrpc__Conformance__V1__ClientErrorResult failure;
  connectrpc__conformance__v1__client_compat_response__init(&response);
  response.test_name = call->request->test_name;
  if (error != NULL) {
    connectrpc__conformance__v1__client_error_result__init(&failure);
    failure.message = (char *)(uintptr_t)error;
    response.result_case = CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_RESPONSE__RESULT_ERROR;
    response.error = &failure;
  } else {
    compat_result *result = &call->result;
    if (call->status.code != TESS_OK) result->error = conf_make_error(&call->arena, &call->status);
    result->response_headers =
        conf_headers(&call->arena, &call->response_headers, &result->n_response_headers);
    result->response_trailers =
        conf_headers(&call->arena, &call->response_trailers, &result->n_response_trailers);
    response.result_case = CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_RESPONSE__RESULT_RESPONSE;
    response.response = result;
  }
  frame_write(&response.base);
}

static void run_test(const compat_request *request) {
  test_call call = {.request = request};
  connectrpc__conformance__v1__client_response_result__init(&call.result);
  tess_arena_init(&call.arena, NULL, 0);
  tess_status_init(&call.status, NULL);
  tess_metadata_init(&call.headers, NULL, 0);
  tess_metadata_init(&call.response_headers, NULL, 0);
  tess_metadata_init(&call.response_trailers, NULL, 0);
  conf_add_headers(&call.headers, request->request_headers, request->n_request_headers);
  call.options = (tess_call_options){.headers = &call.headers,
                                     .response_headers = &call.response_headers,
                                     .response_trailers = &call.response_trailers};
  if (request->_timeout_ms_case != 0) call.options.timeout_ms = request->timeout_ms;
  call.method = find_method(request);
  call.client = make_client(&call);
  if (call.method == NULL || call.client == NULL) {
    report(&call, call.method == NULL ? "no such method" : "no client");
  } else {
    (call.method->stream_kind == TESS_UNARY ? run_unary : run_stream)(&call);
    report(&call, NULL);
  }
  tess_client_free(call.client);
  tess_metadata_cleanup(&call.headers);
  tess_metadata_cleanup(&call.response_headers);
  tess_metadata_cleanup(&call.response_trailers);
  tess_status_cleanup(&call.status);
  tess_arena_cleanup(&call.arena);
}

/* Takes requests from stdin, one thread at a time, until it ends. */
static void *work(void *ctx) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  for (;;) {
    pthread_mutex_lock(&lock);
    compat_request *request =
        frame_read(&connectrpc__conformance__v1__client_compat_request__descriptor);
    pthread_mutex_unlock(&lock);
    if (request == NULL) return ctx;
    run_test(request);
    protobuf_c_message_free_unpacked(&request->base, NULL);
  }
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  conf_json_codec(); /* made before there are threads */
  pthread_t threads[PARALLEL_CALLS];
  int started = 0;
  while (started < PARALLEL_CALLS && pthread_create(&threads[started], NULL, work, NULL) == 0)
    started++;
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  free_transports();
  return started == PARALLEL_CALLS ? 0 : 1;
}
