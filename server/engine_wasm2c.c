/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine over code that wasm2c made ahead of time. The module is part of
 * the program; its memory keeps its address; a call can be stopped.
 */
#include "server/engine_wasm2c.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/wasm2c_runtime.h"

/* What the generated code hands to every import. */
struct Z_tessera_instance_t {
  struct wasm2c_engine *engine;
};

typedef struct wasm2c_engine {
  tess_wasm_engine wasm;
  const tess_wasm2c_image *image;
  struct Z_tessera_instance_t imports;
  tess_wasm2c_call call;
  void *instance;  /* image->instance_size bytes */
  const char *why; /* of a trap that an import raised, or NULL */
} wasm2c_engine;

/* ---- the imports, named as wasm2c names them ---- */

uint32_t Z_tesseraZ_http_post(struct Z_tessera_instance_t *, uint32_t, uint32_t, uint32_t, uint32_t,
                              uint32_t, uint32_t, double);
void Z_tesseraZ_http_cancel(struct Z_tessera_instance_t *, uint32_t);
uint32_t Z_tesseraZ_http_reply(struct Z_tessera_instance_t *, uint32_t, uint32_t, uint32_t,
                               uint32_t, uint32_t, uint32_t, uint32_t);
uint32_t Z_tesseraZ_http_reply_more(struct Z_tessera_instance_t *, uint32_t, uint32_t, uint32_t,
                                    uint32_t);
double Z_tesseraZ_now_ms(struct Z_tessera_instance_t *);
void Z_tesseraZ_log(struct Z_tessera_instance_t *, uint32_t, uint32_t, uint32_t);
void Z_tesseraZ_random(struct Z_tessera_instance_t *, uint32_t, uint32_t);

static tess_wasm_result import(struct Z_tessera_instance_t *imports, tess_abi_import which,
                               const uint32_t *arguments, double timeout_ms) {
  wasm2c_engine *engine = imports->engine;
  tess_wasm_result result;
  const char *why = NULL;
  tess_wasm2c_pause();
  bool done = tess_wasm_import(&engine->wasm, which, arguments, timeout_ms, &result, &why);
  tess_wasm2c_resume();
  if (done) return result;
  engine->why = why;
  tess_wasm2c_trap();
}

uint32_t Z_tesseraZ_http_post(struct Z_tessera_instance_t *imports, uint32_t url, uint32_t url_len,
                              uint32_t headers, uint32_t headers_len, uint32_t iov,
                              uint32_t iov_count, double timeout_ms) {
  const uint32_t a[] = {url, url_len, headers, headers_len, iov, iov_count};
  return (uint32_t)import(imports, TESS_IMPORT_HTTP_POST, a, timeout_ms).integer;
}

void Z_tesseraZ_http_cancel(struct Z_tessera_instance_t *imports, uint32_t handle) {
  import(imports, TESS_IMPORT_HTTP_CANCEL, &handle, 0);
}

uint32_t Z_tesseraZ_http_reply(struct Z_tessera_instance_t *imports, uint32_t request,
                               uint32_t status, uint32_t headers, uint32_t headers_len,
                               uint32_t iov, uint32_t iov_count, uint32_t flags) {
  const uint32_t a[] = {request, status, headers, headers_len, iov, iov_count, flags};
  return (uint32_t)import(imports, TESS_IMPORT_HTTP_REPLY, a, 0).integer;
}

uint32_t Z_tesseraZ_http_reply_more(struct Z_tessera_instance_t *imports, uint32_t request,
                                    uint32_t iov, uint32_t iov_count, uint32_t flags) {
  const uint32_t a[] = {request, iov, iov_count, flags};
  return (uint32_t)import(imports, TESS_IMPORT_HTTP_REPLY_MORE, a, 0).integer;
}

double Z_tesseraZ_now_ms(struct Z_tessera_instance_t *imports) {
  return import(imports, TESS_IMPORT_NOW_MS, NULL, 0).number;
}

void Z_tesseraZ_log(struct Z_tessera_instance_t *imports, uint32_t level, uint32_t text,
                    uint32_t text_len) {
  const uint32_t a[] = {level, text, text_len};
  import(imports, TESS_IMPORT_LOG, a, 0);
}

void Z_tesseraZ_random(struct Z_tessera_instance_t *imports, uint32_t bytes, uint32_t size) {
  const uint32_t a[] = {bytes, size};
  import(imports, TESS_IMPORT_RANDOM, a, 0);
}

/* ---- life ---- */

static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;

/* init_module fills static tables of the generated code: not at the same time
 * on two threads. Doing it twice gives the same values. */
static void init_image(const tess_wasm2c_image *image) {
  pthread_mutex_lock(&init_lock);
  image->init_module();
  pthread_mutex_unlock(&init_lock);
}

static bool instantiate(wasm2c_engine *engine) {
  if (sigsetjmp(engine->call.jump, 1) != 0) {
    tess_wasm2c_leave();
    return false;
  }
  tess_wasm2c_enter(&engine->call);
  engine->image->instantiate(engine->instance, &engine->imports);
  tess_wasm2c_leave();
  return true;
}

static void wasm2c_destroy(tess_engine *base) {
  wasm2c_engine *engine = (wasm2c_engine *)base;
  if (engine->instance != NULL) engine->image->free(engine->instance);
  free(engine->instance);
  tess_wasm_engine_cleanup(&engine->wasm);
  free(engine);
}

static bool wasm2c_call(tess_wasm_engine *base, tess_abi_export which, const uint32_t *arguments,
                        tess_wasm_result *result) {
  wasm2c_engine *engine = (wasm2c_engine *)base;
  engine->why = NULL;
  if (sigsetjmp(engine->call.jump, 1) != 0) {
    tess_wasm2c_leave();
    return false;
  }
  tess_wasm2c_enter(&engine->call);
  engine->image->call(engine->instance, which, arguments, result);
  tess_wasm2c_leave();
  return true;
}

static void *wasm2c_view(tess_wasm_engine *base, uint32_t address, size_t size) {
  wasm2c_engine *engine = (wasm2c_engine *)base;
  uint32_t memory_size = 0;
  uint8_t *data = engine->image->memory(engine->instance, &memory_size);
  if (address == 0 || address > memory_size || size > memory_size - address) return NULL;
  return data + address;
}

static tess_engine *wasm2c_create(const tess_engine_params *params, tess_status *status) {
  const tess_wasm2c_image *image = params->image;
  if (image == NULL) {
    tess_status_set(status, TESS_INVALID_ARGUMENT, "this program holds no module made by wasm2c");
    return NULL;
  }
  wasm2c_engine *engine = calloc(1, sizeof *engine);
  if (engine != NULL) {
    engine->wasm.base.ops = &tess_engine_wasm2c;
    engine->wasm.call = wasm2c_call;
    engine->wasm.view = wasm2c_view;
    engine->wasm.stable_memory = true;
    engine->wasm.has_on_sent = image->has_on_sent;
    engine->wasm.host = params->host;
    engine->image = image;
    engine->imports.engine = engine;
    tess_wasm2c_call_init(&engine->call);
    engine->instance = calloc(1, image->instance_size);
  }
  if (engine == NULL || engine->instance == NULL || !tess_wasm2c_runtime_init() ||
      !tess_wasm2c_thread_init()) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the engine");
    if (engine != NULL) free(engine->instance);
    free(engine);
    return NULL;
  }
  init_image(image);
  tess_wasm2c_set_memory_limit(params->memory_limit);
  bool started = instantiate(engine);
  if (!started) {
    tess_status_set(status, TESS_INTERNAL, "the module does not start: %s",
                    tess_wasm2c_trap_text(&engine->call));
  }
  if (!started || tess_wasm_engine_check(&engine->wasm, status) != TESS_OK) {
    wasm2c_destroy(&engine->wasm.base);
    return NULL;
  }
  return &engine->wasm.base;
}

static uint64_t wasm2c_memory_bytes(tess_engine *base) {
  wasm2c_engine *engine = (wasm2c_engine *)base;
  uint32_t size = 0;
  engine->image->memory(engine->instance, &size);
  return size;
}

static const char *wasm2c_error(tess_engine *base) {
  wasm2c_engine *engine = (wasm2c_engine *)base;
  return engine->why != NULL ? engine->why : tess_wasm2c_trap_text(&engine->call);
}

static void wasm2c_interrupt(tess_engine *base) {
  tess_wasm2c_interrupt(&((wasm2c_engine *)base)->call);
}

const tess_engine_ops tess_engine_wasm2c = {
    .name = "wasm2c",
    .create = wasm2c_create,
    .destroy = wasm2c_destroy,
    TESS_WASM_ENGINE_OPS,
    .memory_bytes = wasm2c_memory_bytes,
    .error = wasm2c_error,
    .interrupt = wasm2c_interrupt,
};
