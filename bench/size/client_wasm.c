/* SPDX-License-Identifier: Apache-2.0
 *
 * The RPC client whose size in WebAssembly is measured: the client's core, nanopb
 * and the stub of one method behind the border of wasm/abi.h, in the place of the
 * server module (it defines those functions of wasm/module.h that
 * module_plain.c does not). The body of a request is sent to the server that the
 * configuration names as worker, as the text of an Echo; the reply is the text that came
 * back, or status 502 and the name of the error. call_wasm.mjs is a program around it.
 * Threads: one.
 */
#include "wasm/module.h"

#include "wasm/transport_host.h"

#include "echo.rpc.pb.h"

#include <stdlib.h>
#include <string.h>

struct tess_module {
  tess_module_host host;
  tess_transport *transport;
  tess_client *client;
};

typedef struct echo_call {
  tess_module *module;
  int32_t id;
  tessera_bench_size_v1_EchoRequest request;
  tessera_bench_size_v1_EchoResponse response;
  char text[];
} echo_call;

/* Copies the value of the line "worker=URL"; false: there is none, or no room for it. */
static bool find_server(const char *config, size_t config_size, char *url, size_t room) {
  static const char key[] = "worker=";
  const char *end = config + config_size;
  for (const char *line = config; line < end;) {
    const char *line_end = memchr(line, '\n', (size_t)(end - line));
    if (line_end == NULL) line_end = end;
    size_t size = (size_t)(line_end - line), skip = sizeof key - 1;
    if (size >= skip && memcmp(line, key, skip) == 0) {
      if (size - skip >= room) return false;
      memcpy(url, line + skip, size - skip);
      url[size - skip] = '\0';
      return true;
    }
    line = line_end + 1;
  }
  return false;
}

tess_module *tess_module_new(const tess_module_host *host, const char *config, size_t config_size,
                             const tess_allocator *allocator, tess_status *status) {
  char url[256];
  (void)allocator;
  if (!find_server(config, config_size, url, sizeof url)) {
    tess_status_set(status, TESS_INVALID_ARGUMENT, "no server (worker=URL) in the configuration");
    return NULL;
  }
  tess_module *module = calloc(1, sizeof *module);
  if (module == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  module->host = *host;
  module->transport = tess_transport_host_new(&module->host, NULL);
  const tess_client_options options = {.transport = module->transport, .base_url = url};
  module->client = tess_client_new(&options, status);
  if (module->client == NULL) {
    if (module->transport != NULL) module->transport->ops->free(module->transport);
    free(module);
    return NULL;
  }
  return module;
}

static void reply(const echo_call *call, int32_t http_status, const char *text) {
  static const char headers[] = "content-type: text/plain; charset=utf-8\r\n";
  const tess_module_host *host = &call->module->host;
  tess_slice body = {text, strlen(text)};
  host->http_reply(host->ctx, call->id, http_status, headers, sizeof headers - 1, &body, 1, 0);
}

static void on_done(void *ctx, const tess_status *status) {
  echo_call *call = ctx;
  if (status->code == TESS_OK)
    reply(call, 200, call->response.text != NULL ? call->response.text : "");
  else
    reply(call, 502, tess_code_name(status->code));
  tessera_bench_size_v1_echo_service_echo_response_clear(call->module->client, &call->response);
  free(call);
}

int32_t tess_module_on_request(tess_module *module, int32_t id, const char *method,
                               size_t method_size, const char *path, size_t path_size,
                               const char *headers, size_t headers_size, tess_chunk *body) {
  (void)method, (void)method_size, (void)path, (void)path_size, (void)headers, (void)headers_size;
  echo_call *call = body->size < 65536 ? calloc(1, sizeof *call + body->size + 1) : NULL;
  if (call != NULL) {
    memcpy(call->text, body->data, body->size);
    call->module = module;
    call->id = id;
    call->request.text = call->text;
  }
  tess_chunk_release(body);
  if (call == NULL) return -1;
  tess_status status = TESS_STATUS_INIT;
  if (tessera_bench_size_v1_echo_service_echo_start(module->client, NULL, &call->request,
                                                    &call->response, on_done, call, NULL,
                                                    &status) != TESS_OK) {
    reply(call, 502, tess_code_name(status.code));
    free(call);
  }
  tess_status_cleanup(&status);
  return 0;
}

void tess_module_on_response(tess_module *module, int32_t handle, int32_t status,
                             const char *headers, size_t headers_size, tess_chunk *body) {
  tess_transport_host_on_response(module->transport, handle, status, headers, headers_size, body);
}

double tess_module_loop(tess_module *module) {
  (void)module;
  return TESS_ABI_WAIT_FOR_EVENT;
}
