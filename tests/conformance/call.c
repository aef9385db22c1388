/* SPDX-License-Identifier: Apache-2.0
 *
 * See call.h.
 */
#include "tests/conformance/call.h"

#include "rpc/format.h"

#include <stdlib.h>
#include <string.h>

const tess_method *conf_find_method(const conf_case *test) {
  if (test->method == NULL || test->service == NULL ||
      strcmp(test->service, conf_service->full_name) != 0)
    return NULL;
  for (size_t i = 0; i < conf_service->method_count; i++)
    if (strcmp(conf_service->methods[i].name, test->method) == 0) return &conf_service->methods[i];
  return NULL;
}

void *conf_request(const conf_case *test, const tess_method *method, size_t i) {
  const tess_message_type *type = method->request;
  void *message = conf_alloc(test->arena, type->size);
  type->runtime->init(type, message);
  /* The runner sends what the method takes. */
  if (i >= test->message_count) return message;
  const conf_message *from = &test->messages[i];
  if (strcmp(from->type_name, type->full_name) != 0 ||
      type->runtime->decode(type, from->value, test->arena, NULL, message, NULL) != TESS_OK)
    abort();
  return message;
}

void conf_keep(conf_result *result, const tess_method *method, const void *response) {
  const tess_message_type *type = method->response;
  tess_segments encoded;
  tess_segments_init(&encoded, NULL, 0);
  if (type->runtime->encode(type, response, &encoded, NULL) != TESS_OK) abort();
  conf_result_add(result, &encoded);
  tess_segments_cleanup(&encoded);
}

tess_call_options conf_call_options(const conf_case *test, conf_result *result) {
  return (tess_call_options){.headers = &test->headers,
                             .response_headers = &result->headers,
                             .response_trailers = &result->trailers,
                             .timeout_ms = test->timeout_ms};
}

const char *conf_url(const conf_case *test) {
  size_t size = strlen(test->host) + 32;
  char *url = conf_alloc(test->arena, size);
  tess__format(url, size, "%s://%s:%u", test->server_certificate != NULL ? "https" : "http",
               test->host, (unsigned)test->port);
  return url;
}

tess_client_options conf_client_options(const conf_case *test) {
  return (tess_client_options){.base_url = conf_url(test),
                               .protocol = test->protocol == CONF_PROTOCOL_GRPC_WEB
                                               ? TESS_PROTOCOL_GRPC_WEB
                                               : TESS_PROTOCOL_CONNECT,
                               .max_response_bytes = test->message_receive_limit,
                               .use_get = test->use_get,
                               .min_compress_bytes = 1};
}
