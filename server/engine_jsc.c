/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine over JavaScriptCore's C API. The only file that includes its
 * headers.
 *
 * Guest memory is reached through a Uint8Array over the module's memory.
 * memory.grow detaches that array (its length becomes 0), so every view looks
 * at the length first and makes a new array when it must.
 *
 * JavaScriptCore takes SIGSEGV, SIGBUS and SIGUSR1 for itself, reserves tens of
 * GB of address space, and cannot stop a loop that runs in WebAssembly.
 */
#include <JavaScriptCore/JavaScript.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_wasm.h"
#include "wasm/abi.h"

typedef struct jsc_engine {
  tess_wasm_engine wasm;
  JSContextGroupRef group;
  JSGlobalContextRef context;
  JSObjectRef memory;                     /* protected */
  JSObjectRef exports[TESS_EXPORT_COUNT]; /* protected; NULL: an optional one */
  JSObjectRef bytes;                      /* Uint8Array over memory; protected */
  uint8_t *data;                          /* what `bytes` points to */
  size_t size;                            /* of memory when `bytes` was made */
  char error[256];
} jsc_engine;

/* Functions made by JSObjectMakeFunctionWithCallback carry no data of their
 * own; they are only called inside jsc_call and jsc_create. */
static _Thread_local jsc_engine *current;

/* ---- small helpers over the API ---- */

static void keep_error(jsc_engine *engine, JSValueRef exception) {
  JSStringRef text = JSValueToStringCopy(engine->context, exception, NULL);
  if (text == NULL) {
    snprintf(engine->error, sizeof engine->error, "an exception without a text");
    return;
  }
  JSStringGetUTF8CString(text, engine->error, sizeof engine->error);
  JSStringRelease(text);
}

static JSValueRef make_error(JSContextRef context, const char *text) {
  JSStringRef string = JSStringCreateWithUTF8CString(text);
  JSValueRef message = JSValueMakeString(context, string);
  JSStringRelease(string);
  return JSObjectMakeError(context, 1, &message, NULL);
}

/* object[name] as an object, or NULL. */
static JSObjectRef get_object(jsc_engine *engine, JSObjectRef object, const char *name) {
  JSValueRef exception = NULL;
  JSStringRef string = JSStringCreateWithUTF8CString(name);
  JSValueRef value = JSObjectGetProperty(engine->context, object, string, &exception);
  JSStringRelease(string);
  if (exception != NULL) {
    keep_error(engine, exception);
    return NULL;
  }
  if (value == NULL || !JSValueIsObject(engine->context, value)) {
    snprintf(engine->error, sizeof engine->error, "there is no object '%s'", name);
    return NULL;
  }
  return JSValueToObject(engine->context, value, NULL);
}

static void set_object(jsc_engine *engine, JSObjectRef object, const char *name,
                       JSObjectRef value) {
  JSStringRef string = JSStringCreateWithUTF8CString(name);
  JSObjectSetProperty(engine->context, object, string, value, kJSPropertyAttributeNone, NULL);
  JSStringRelease(string);
}

static JSObjectRef construct(jsc_engine *engine, JSObjectRef constructor, size_t count,
                             const JSValueRef arguments[]) {
  JSValueRef exception = NULL;
  JSObjectRef object =
      JSObjectCallAsConstructor(engine->context, constructor, count, arguments, &exception);
  if (exception == NULL) return object;
  keep_error(engine, exception);
  return NULL;
}

/* i32 as the API gives it: a number, signed or not. */
static uint32_t to_u32(JSContextRef context, JSValueRef value) {
  return (uint32_t)(int64_t)JSValueToNumber(context, value, NULL);
}

/* ---- memory ---- */

/* Makes `bytes` anew after memory grew. */
static bool renew_bytes(jsc_engine *engine) {
  JSObjectRef buffer = get_object(engine, engine->memory, "buffer");
  if (buffer == NULL) return false;
  JSValueRef exception = NULL;
  JSObjectRef bytes = JSObjectMakeTypedArrayWithArrayBuffer(
      engine->context, kJSTypedArrayTypeUint8Array, buffer, &exception);
  if (exception != NULL || bytes == NULL) {
    if (exception != NULL) keep_error(engine, exception);
    return false;
  }
  JSValueProtect(engine->context, bytes);
  if (engine->bytes != NULL) JSValueUnprotect(engine->context, engine->bytes);
  engine->bytes = bytes;
  engine->data = JSObjectGetTypedArrayBytesPtr(engine->context, bytes, NULL);
  engine->size = JSObjectGetTypedArrayByteLength(engine->context, bytes, NULL);
  return engine->data != NULL;
}

static bool bytes_are_current(jsc_engine *engine) {
  if (engine->bytes != NULL &&
      JSObjectGetTypedArrayByteLength(engine->context, engine->bytes, NULL) == engine->size) {
    return true;
  }
  return renew_bytes(engine);
}

static void *jsc_view(tess_wasm_engine *base, uint32_t address, size_t size) {
  jsc_engine *engine = (jsc_engine *)base;
  if (address == 0 || !bytes_are_current(engine)) return NULL;
  if (address > engine->size || size > engine->size - address) return NULL;
  return engine->data + address;
}

static uint64_t jsc_memory_bytes(tess_engine *base) {
  jsc_engine *engine = (jsc_engine *)base;
  return bytes_are_current(engine) ? engine->size : 0;
}

/* JavaScriptCore reserves 4 GiB of addresses for a memory and grows into them,
 * unless it was told not to or the system refused; it does not say which. So
 * look: is there nothing but reserved space behind the memory's pages? */
static bool grows_in_place(const uint8_t *data) {
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return false;
  uintptr_t reached = (uintptr_t)data;
  const uintptr_t wanted = reached + (UINT64_C(4) << 30);
  bool inside = false;
  char line[512];
  while (reached < wanted && fgets(line, sizeof line, maps) != NULL) {
    unsigned long from, to;
    char access[5];
    if (sscanf(line, "%lx-%lx %4s", &from, &to, access) != 3) continue;
    if (!inside) {
      inside = from <= reached && reached < to && access[1] == 'w';
    } else if (from != reached || strncmp(access, "---", 3) != 0) {
      break;
    }
    if (inside) reached = to;
  }
  fclose(maps);
  return reached >= wanted;
}

/* ---- imports ---- */

static JSValueRef import_call(tess_abi_import which, JSContextRef context, size_t count,
                              const JSValueRef arguments[], JSValueRef *exception) {
  const char *signature = tess_abi_imports[which].signature;
  uint32_t integers[TESS_ABI_MAX_ARGUMENTS] = {0};
  double number = 0;
  for (size_t i = 0; signature[1 + i] != '\0' && i < count; i++) {
    if (signature[1 + i] == 'd') {
      number = JSValueToNumber(context, arguments[i], NULL);
    } else {
      integers[i] = to_u32(context, arguments[i]);
    }
  }
  tess_wasm_result result;
  const char *why;
  if (!tess_wasm_import(&current->wasm, which, integers, number, &result, &why)) {
    *exception = make_error(context, why);
    return JSValueMakeUndefined(context);
  }
  if (signature[0] == 'v') return JSValueMakeUndefined(context);
  return JSValueMakeNumber(context,
                           signature[0] == 'd' ? result.number : (double)(int32_t)result.integer);
}

#define IMPORT(name, which)                                                                   \
  static JSValueRef name(JSContextRef context, JSObjectRef function, JSObjectRef self,        \
                         size_t count, const JSValueRef arguments[], JSValueRef *exception) { \
    (void)function;                                                                           \
    (void)self;                                                                               \
    return import_call(which, context, count, arguments, exception);                          \
  }
IMPORT(import_http_post, TESS_IMPORT_HTTP_POST)
IMPORT(import_http_cancel, TESS_IMPORT_HTTP_CANCEL)
IMPORT(import_http_reply, TESS_IMPORT_HTTP_REPLY)
IMPORT(import_http_reply_more, TESS_IMPORT_HTTP_REPLY_MORE)
IMPORT(import_now_ms, TESS_IMPORT_NOW_MS)
IMPORT(import_log, TESS_IMPORT_LOG)
IMPORT(import_random, TESS_IMPORT_RANDOM)

static const JSObjectCallAsFunctionCallback import_callbacks[TESS_IMPORT_COUNT] = {
    [TESS_IMPORT_HTTP_POST] = import_http_post,
    [TESS_IMPORT_HTTP_CANCEL] = import_http_cancel,
    [TESS_IMPORT_HTTP_REPLY] = import_http_reply,
    [TESS_IMPORT_HTTP_REPLY_MORE] = import_http_reply_more,
    [TESS_IMPORT_NOW_MS] = import_now_ms,
    [TESS_IMPORT_LOG] = import_log,
    [TESS_IMPORT_RANDOM] = import_random,
};

/* { tessera: { http_post, ... } } */
static JSObjectRef make_imports(jsc_engine *engine) {
  JSObjectRef functions = JSObjectMake(engine->context, NULL, NULL);
  JSObjectRef imports = JSObjectMake(engine->context, NULL, NULL);
  set_object(engine, imports, TESS_ABI_MODULE, functions);
  for (size_t i = 0; i < TESS_IMPORT_COUNT; i++) {
    JSStringRef name = JSStringCreateWithUTF8CString(tess_abi_imports[i].name);
    JSObjectRef function =
        JSObjectMakeFunctionWithCallback(engine->context, name, import_callbacks[i]);
    JSStringRelease(name);
    set_object(engine, functions, tess_abi_imports[i].name, function);
  }
  return imports;
}

/* ---- life ---- */

static void jsc_destroy(tess_engine *base) {
  jsc_engine *engine = (jsc_engine *)base;
  if (engine->context != NULL) {
    for (size_t i = 0; i < TESS_EXPORT_COUNT; i++) {
      if (engine->exports[i] != NULL) JSValueUnprotect(engine->context, engine->exports[i]);
    }
    if (engine->memory != NULL) JSValueUnprotect(engine->context, engine->memory);
    if (engine->bytes != NULL) JSValueUnprotect(engine->context, engine->bytes);
    JSGlobalContextRelease(engine->context);
  }
  if (engine->group != NULL) JSContextGroupRelease(engine->group);
  tess_wasm_engine_cleanup(&engine->wasm);
  free(engine);
}

/* new WebAssembly.Module(bytes) */
static JSObjectRef compile(jsc_engine *engine, JSObjectRef web_assembly, tess_slice file) {
  JSValueRef exception = NULL;
  JSObjectRef bytes =
      JSObjectMakeTypedArray(engine->context, kJSTypedArrayTypeUint8Array, file.size, &exception);
  if (exception != NULL || bytes == NULL) {
    if (exception != NULL) keep_error(engine, exception);
    return NULL;
  }
  void *to = JSObjectGetTypedArrayBytesPtr(engine->context, bytes, NULL);
  if (to == NULL) return NULL;
  memcpy(to, file.data, file.size);
  JSObjectRef constructor = get_object(engine, web_assembly, "Module");
  const JSValueRef arguments[] = {bytes};
  return constructor == NULL ? NULL : construct(engine, constructor, 1, arguments);
}

/* Compiles, instantiates, and finds memory and exports. */
static bool load(jsc_engine *engine, tess_slice file) {
  JSObjectRef global = JSContextGetGlobalObject(engine->context);
  JSObjectRef web_assembly = get_object(engine, global, "WebAssembly");
  if (web_assembly == NULL) return false;
  JSObjectRef module = compile(engine, web_assembly, file);
  JSObjectRef constructor = get_object(engine, web_assembly, "Instance");
  if (module == NULL || constructor == NULL) return false;
  const JSValueRef arguments[] = {module, make_imports(engine)};
  JSObjectRef instance = construct(engine, constructor, 2, arguments);
  if (instance == NULL) return false;
  JSObjectRef exports = get_object(engine, instance, "exports");
  if (exports == NULL) return false;
  engine->memory = get_object(engine, exports, "memory");
  if (engine->memory == NULL) return false;
  JSValueProtect(engine->context, engine->memory);
  for (size_t i = 0; i < TESS_EXPORT_COUNT; i++) {
    JSObjectRef function = get_object(engine, exports, tess_abi_exports[i].name);
    if (function == NULL && i >= TESS_EXPORT_REQUIRED) continue;
    if (function == NULL) return false;
    JSValueProtect(engine->context, function);
    engine->exports[i] = function;
  }
  if (!renew_bytes(engine)) return false;
  engine->wasm.stable_memory = grows_in_place(engine->data);
  engine->wasm.has_on_sent = engine->exports[TESS_EXPORT_ON_SENT] != NULL;
  return true;
}

static bool jsc_call(tess_wasm_engine *base, tess_abi_export which, const uint32_t *arguments,
                     tess_wasm_result *result) {
  jsc_engine *engine = (jsc_engine *)base;
  JSValueRef values[TESS_ABI_MAX_ARGUMENTS];
  size_t count = tess_abi_arity(&tess_abi_exports[which]);
  for (size_t i = 0; i < count; i++) {
    values[i] = JSValueMakeNumber(engine->context, (double)arguments[i]);
  }
  JSValueRef exception = NULL;
  jsc_engine *outer = current;
  current = engine;
  JSValueRef value = JSObjectCallAsFunction(engine->context, engine->exports[which], NULL, count,
                                            values, &exception);
  current = outer;
  if (exception != NULL || value == NULL) {
    snprintf(engine->error, sizeof engine->error, "the call did not return");
    if (exception != NULL) keep_error(engine, exception);
    return false;
  }
  char type = tess_abi_exports[which].signature[0];
  if (type == 'd') {
    result->number = JSValueToNumber(engine->context, value, NULL);
  } else if (type == 'i') {
    uint32_t integer = to_u32(engine->context, value);
    result->integer = which == TESS_EXPORT_ALLOC ? (int64_t)integer : (int64_t)(int32_t)integer;
  }
  return true;
}

static tess_engine *jsc_create(const tess_engine_params *params, tess_status *status) {
  jsc_engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the engine");
    return NULL;
  }
  engine->wasm.base.ops = &tess_engine_jsc;
  engine->wasm.call = jsc_call;
  engine->wasm.view = jsc_view;
  engine->wasm.host = params->host;
  engine->group = JSContextGroupCreate();
  engine->context = JSGlobalContextCreateInGroup(engine->group, NULL);
  snprintf(engine->error, sizeof engine->error, "JavaScriptCore has no memory");
  jsc_engine *outer = current;
  current = engine; /* a start function may call imports */
  bool loaded = load(engine, params->module);
  current = outer;
  if (!loaded) {
    tess_status_set(status, TESS_INTERNAL, "the module does not load: %s", engine->error);
  }
  if (!loaded || tess_wasm_engine_check(&engine->wasm, status) != TESS_OK) {
    jsc_destroy(&engine->wasm.base);
    return NULL;
  }
  return &engine->wasm.base;
}

static const char *jsc_error(tess_engine *base) {
  return ((jsc_engine *)base)->error;
}

const tess_engine_ops tess_engine_jsc = {
    .name = "jsc",
    .create = jsc_create,
    .destroy = jsc_destroy,
    TESS_WASM_ENGINE_OPS,
    .memory_bytes = jsc_memory_bytes,
    .error = jsc_error,
    .interrupt = NULL,
};
