/* SPDX-License-Identifier: Apache-2.0
 *
 * What a hostile module may do to its host: call imports with any arguments,
 * with any bytes in its memory, which may grow in between. Whatever the host
 * gets must lie inside that memory; it reads it all, and treats URLs and headers
 * as the real one does.
 *
 * Input: commands of 1 + 7 * 4 bytes, the import and its arguments; number 7
 * writes its arguments to memory, number 8 grows it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/allow_list.h"
#include "server/engine_wasm.h"
#include "server/host_headers.h"

#define START_BYTES 4096u
#define MAX_BYTES 65536u
#define COMMAND_BYTES 29u
#define MAX_COMMANDS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fake_engine {
  tess_wasm_engine wasm;
  uint8_t *memory;
  uint32_t memory_bytes;
  uint32_t sum;
} fake_engine;

static void *view(tess_wasm_engine *base, uint32_t address, size_t size) {
  fake_engine *engine = (fake_engine *)base;
  if (address == 0 || address > engine->memory_bytes || size > engine->memory_bytes - address) {
    return NULL;
  }
  return engine->memory + address;
}

static void read_all(fake_engine *engine, tess_slice bytes) {
  const uint8_t *at = bytes.data;
  bool inside = at >= engine->memory && bytes.size <= engine->memory_bytes &&
                at + bytes.size <= engine->memory + engine->memory_bytes;
  if (bytes.size > 0 && !inside) __builtin_trap();
  for (size_t i = 0; i < bytes.size && i < 1000; i++)
    engine->sum += at[i];
  if (bytes.size > 0) engine->sum += at[bytes.size - 1];
}

static void read_pieces(fake_engine *engine, const tess_slice *pieces, size_t count) {
  for (size_t i = 0; i < count; i++)
    read_all(engine, pieces[i]);
}

static void read_headers(fake_engine *engine, tess_slice headers) {
  tess_metadata parsed;
  read_all(engine, headers);
  tess_metadata_init(&parsed, NULL, 4096);
  if (tess_host_headers_parse(headers, &parsed) == TESS_OK) {
    size_t size = 0;
    char *text = tess_host_headers_text(&parsed, &size);
    tess_metadata again;
    tess_metadata_init(&again, NULL, 4096);
    if (text == NULL) __builtin_trap();
    if (tess_host_headers_parse((tess_slice){text, size}, &again) != TESS_OK) __builtin_trap();
    if (again.count != parsed.count) __builtin_trap();
    tess_metadata_cleanup(&again);
    free(text);
  }
  tess_metadata_cleanup(&parsed);
}

static int32_t http_post(void *ctx, tess_slice url, tess_slice headers, const tess_slice *pieces,
                         size_t count, double timeout_ms, bool keep) {
  static const char worker[] = "http://w:1";
  const char *const workers[] = {worker};
  (void)timeout_ms;
  (void)keep;
  read_all(ctx, url);
  if (tess_url_worker(url, workers, 1) == 0) {
    if (url.size <= 10 || memcmp(url.data, "http://w:1/", 11) != 0) __builtin_trap();
  }
  read_headers(ctx, headers);
  read_pieces(ctx, pieces, count);
  return 1;
}

static void http_cancel(void *ctx, int32_t handle) {
  ((fake_engine *)ctx)->sum += (uint32_t)handle;
}

static int32_t http_reply(void *ctx, int32_t request, int32_t status, tess_slice headers,
                          const tess_slice *pieces, size_t count, int32_t flags, bool keep) {
  (void)request;
  (void)status;
  (void)flags;
  (void)keep;
  read_headers(ctx, headers);
  read_pieces(ctx, pieces, count);
  return 0;
}

static int32_t http_reply_more(void *ctx, int32_t request, const tess_slice *pieces, size_t count,
                               int32_t flags, bool keep) {
  (void)request;
  (void)flags;
  (void)keep;
  read_pieces(ctx, pieces, count);
  return 1;
}

static void log_text(void *ctx, int32_t level, tess_slice text) {
  (void)level;
  read_all(ctx, text);
}

static void grow(fake_engine *engine) {
  if (engine->memory_bytes >= MAX_BYTES) return;
  uint8_t *memory = realloc(engine->memory, 2 * engine->memory_bytes);
  if (memory == NULL) return;
  memset(memory + engine->memory_bytes, 0, engine->memory_bytes);
  engine->memory = memory;
  engine->memory_bytes *= 2;
}

static void command(fake_engine *engine, const uint8_t *at) {
  uint32_t arguments[8] = {0};
  memcpy(arguments, at + 1, COMMAND_BYTES - 1);
  unsigned which = at[0] % 9;
  if (which < TESS_IMPORT_COUNT) {
    tess_wasm_result result;
    const char *why = NULL;
    if (!tess_wasm_import(&engine->wasm, (tess_abi_import)which, arguments, 5, &result, &why) &&
        why == NULL) {
      __builtin_trap();
    }
  } else if (which == 7) {
    uint8_t *to = view(&engine->wasm, arguments[0], 24);
    if (to != NULL) memcpy(to, arguments + 1, 24);
  } else {
    grow(engine);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const tess_engine_ops ops = {.name = "fake"};
  fake_engine engine = {.wasm = {.base = {&ops}, .view = view}, .memory_bytes = START_BYTES};
  engine.wasm.host =
      (tess_engine_host){http_post, http_cancel, http_reply, http_reply_more, log_text, &engine};
  engine.memory = calloc(1, START_BYTES);
  if (engine.memory == NULL) return 0;
  for (int i = 0; i < MAX_COMMANDS && size >= COMMAND_BYTES; i++) {
    command(&engine, data);
    data += COMMAND_BYTES;
    size -= COMMAND_BYTES;
  }
  tess_wasm_engine_cleanup(&engine.wasm);
  free(engine.memory);
  return 0;
}
