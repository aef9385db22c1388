/* SPDX-License-Identifier: Apache-2.0
 *
 * The client under test: makes the calls that the runner describes on stdin, a
 * few at a time, and says on stdout how each of them went. Two programs come of
 * it: over protobuf-c with blocking calls, and over nanopb with events.
 */
#include <tessera/transport_curl.h>

#include "tests/conformance/call.h"
#include "tests/conformance/codecs.h"
#include "tests/conformance/frames.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool same_pem(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static char *copy_pem(const char *pem) {
  return pem != NULL ? strdup(pem) : NULL;
}

/* NULL: it cannot be made. */
static tess_transport *transport_for(const conf_case *test, tess_status *status) {
  tess_transport *found = NULL;
  pthread_mutex_lock(&identities_lock);
  for (size_t i = 0; i < identity_count && found == NULL; i++)
    if (same_pem(identities[i].server_certificate, test->server_certificate) &&
        same_pem(identities[i].certificate, test->client_certificate))
      found = identities[i].transport;
  if (found == NULL && identity_count < MOST_IDENTITIES) {
    identity *made = &identities[identity_count];
    made->server_certificate = copy_pem(test->server_certificate);
    made->certificate = copy_pem(test->client_certificate);
    made->key = copy_pem(test->client_key);
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

static tess_client *make_client(const conf_case *test, tess_transport *transport,
                                tess_status *status) {
  tess_client_options options = conf_client_options(test);
  options.transport = transport;
  options.send_compressor = conf_compressor(test->compression);
  if (test->codec == CONF_CODEC_JSON) options.codec = conf_json_codec();
  tess_client *client = tess_client_new(&options, status);
  if (client != NULL && options.send_compressor != NULL)
    tess_client_add_compressor(client, options.send_compressor);
  return client;
}

/* NULL: the call was made. Otherwise why not. */
static const char *make_call(const conf_case *test, conf_result *result) {
  const tess_method *method = conf_find_method(test);
  if (method == NULL) return "no such method";
  tess_transport *transport = transport_for(test, &result->status);
  if (transport == NULL) return "no transport";
  tess_client *client = make_client(test, transport, &result->status);
  if (client == NULL) return "no client";
  conf_run_case(test, client, transport, method, result);
  tess_client_free(client);
  return NULL;
}

static void run_test(tess_slice request) {
  tess_arena arena;
  conf_case test;
  conf_result result;
  tess_arena_init(&arena, NULL, 0);
  conf_result_init(&result, &arena);
  const char *error = conf_case_parse(&test, &arena, request) ? make_call(&test, &result)
                                                              : "not a ClientCompatRequest";
  frame_write(conf_response(&test, &result, error));
  conf_case_cleanup(&test);
  conf_result_cleanup(&result);
  tess_arena_cleanup(&arena);
}

/* Takes requests from stdin, one thread at a time, until it ends. */
static void *work(void *ctx) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  for (;;) {
    tess_slice request;
    pthread_mutex_lock(&lock);
    bool more = frame_read(&request);
    pthread_mutex_unlock(&lock);
    if (!more) return ctx;
    run_test(request);
    free((void *)(uintptr_t)request.data);
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
