/* SPDX-License-Identifier: Apache-2.0
 *
 * The client under test as a WebAssembly module: behind the border of
 * wasm/abi.h, in the place of the server module (it defines those functions of
 * wasm/module.h that module_plain.c does not). A request's body is a ClientCompatRequest and its
 * reply a ClientCompatResponse; calls leave through the host's http_post. client_wasm.mjs is the
 * program around it. Threads: one.
 */
#include "wasm/module.h"

#include "tests/conformance/call_events.h"
#include "wasm/transport_host.h"

#include <stdlib.h>
#include <string.h>

typedef struct test_run {
  struct test_run *next;
  int32_t id;
  bool due;
  int64_t wake_at_ms;
  tess_arena arena;
  conf_case test;
  conf_result result;
  tess_client *client;
  conf_owner owner;
  conf_run call;
} test_run;

struct tess_module {
  tess_module_host host;
  tess_transport *transport;
  test_run *runs;
};

tess_module *tess_module_new(const tess_module_host *host, const char *config, size_t config_size,
                             const tess_allocator *allocator, tess_status *status) {
  (void)config; /* says whom the host lets us reach */
  (void)config_size;
  (void)allocator;
  tess_module *module = calloc(1, sizeof *module);
  if (module == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  module->host = *host;
  module->transport = tess_transport_host_new(&module->host, NULL);
  if (module->transport == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    free(module);
    return NULL;
  }
  return module;
}

static void on_signal(void *ctx) {
  ((test_run *)ctx)->due = true;
}

/* NULL: the call is on its way. Otherwise why not. */
static const char *start(tess_module *module, test_run *run) {
  const tess_method *method = conf_find_method(&run->test);
  if (method == NULL) return "no such method";
  tess_client_options options = conf_client_options(&run->test);
  options.transport = module->transport;
  run->client = tess_client_new(&options, &run->result.status);
  if (run->client == NULL) return "no client";
  run->owner = (conf_owner){.signal = on_signal, .ctx = run};
  conf_run_start(&run->call, &run->test, run->client, method, &run->result, &run->owner);
  run->due = true;
  return NULL;
}

/* Tells the host how the call went and frees the run, which is in no list. */
static void answer(tess_module *module, test_run *run, const char *error) {
  static const char headers[] = "content-type: application/octet-stream\r\n";
  tess_slice response = conf_response(&run->test, &run->result, error);
  module->host.http_reply(module->host.ctx, run->id, 200, headers, sizeof headers - 1, &response, 1,
                          0);
  tess_client_free(run->client);
  conf_case_cleanup(&run->test);
  conf_result_cleanup(&run->result);
  tess_arena_cleanup(&run->arena);
  free(run);
}

int32_t tess_module_on_request(tess_module *module, int32_t id, const char *method,
                               size_t method_size, const char *path, size_t path_size,
                               const char *headers, size_t headers_size, tess_chunk *body) {
  (void)method, (void)method_size, (void)path, (void)path_size, (void)headers, (void)headers_size;
  test_run *run = calloc(1, sizeof *run);
  if (run == NULL) {
    tess_chunk_release(body);
    return -1;
  }
  run->id = id;
  run->wake_at_ms = TESS_NEVER_MS;
  tess_arena_init(&run->arena, NULL, 0);
  conf_result_init(&run->result, &run->arena);
  tess_slice request = {body->data, body->size};
  if (tess_arena_adopt(&run->arena, body) != TESS_OK) abort();
  const char *error = conf_case_parse(&run->test, &run->arena, request)
                          ? start(module, run)
                          : "not a ClientCompatRequest";
  if (error != NULL) {
    answer(module, run, error);
  } else {
    run->next = module->runs;
    module->runs = run;
  }
  return 0;
}

void tess_module_on_response(tess_module *module, int32_t handle, int32_t status,
                             const char *headers, size_t headers_size, tess_chunk *body) {
  tess_transport_host_on_response(module->transport, handle, status, headers, headers_size, body);
}

double tess_module_loop(tess_module *module) {
  int64_t now_ms = (int64_t)module->host.now_ms(module->host.ctx), wake_at_ms = TESS_NEVER_MS;
  for (test_run **at = &module->runs; *at != NULL;) {
    test_run *run = *at;
    if (run->due || run->wake_at_ms <= now_ms) {
      run->due = false;
      run->wake_at_ms = conf_run_step(&run->call, now_ms);
      if (run->wake_at_ms == CONF_RUN_OVER) {
        *at = run->next;
        answer(module, run, NULL);
        continue;
      }
    }
    if (run->due) wake_at_ms = now_ms;
    if (run->wake_at_ms < wake_at_ms) wake_at_ms = run->wake_at_ms;
    at = &run->next;
  }
  if (wake_at_ms == TESS_NEVER_MS) return TESS_ABI_WAIT_FOR_EVENT;
  return wake_at_ms > now_ms ? (double)(wake_at_ms - now_ms) : 0;
}
