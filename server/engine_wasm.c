/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine_wasm.h"

#include <stdlib.h>
#include <string.h>

#include "wasm/abi.h"

void tess_wasm_engine_cleanup(tess_wasm_engine *engine) {
  free(engine->pieces);
  engine->pieces = NULL;
  engine->piece_capacity = 0;
}

tess_code tess_wasm_engine_check(tess_wasm_engine *engine, tess_status *status) {
  tess_wasm_result version = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_ABI_VERSION, NULL, &version)) {
    return tess_status_set(status, TESS_INTERNAL, "the module traps: %s",
                           engine->base.ops->error(&engine->base));
  }
  if (version.integer != TESS_ABI_VERSION) {
    return tess_status_set(status, TESS_FAILED_PRECONDITION,
                           "the module speaks version %d of the host's ABI, this program %d",
                           (int)version.integer, TESS_ABI_VERSION);
  }
  return TESS_OK;
}

/* ---- blocks ---- */

static tess_engine_outcome block_new(tess_wasm_engine *engine, size_t size, uint32_t *address,
                                     void **data) {
  *address = 0;
  if (size > UINT32_MAX) return TESS_ENGINE_REFUSED; /* the ABI's lengths have 32 bits */
  const uint32_t arguments[] = {(uint32_t)size};
  tess_wasm_result result = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_ALLOC, arguments, &result)) return TESS_ENGINE_TRAPPED;
  /* A module that hands out memory it does not have is treated as out of it. */
  *address = (uint32_t)result.integer;
  *data = *address == 0 ? NULL : engine->view(engine, *address, size);
  return *data == NULL ? TESS_ENGINE_REFUSED : TESS_ENGINE_DONE;
}

static tess_engine_outcome block_free(tess_wasm_engine *engine, uint32_t address) {
  tess_wasm_result result = {0, 0};
  if (address == 0) return TESS_ENGINE_DONE;
  return engine->call(engine, TESS_EXPORT_FREE, &address, &result) ? TESS_ENGINE_DONE
                                                                   : TESS_ENGINE_TRAPPED;
}

/* A copy of the bytes in guest memory; none for no bytes. */
static tess_engine_outcome copy_in(tess_wasm_engine *engine, tess_slice bytes, uint32_t *address) {
  *address = 0;
  if (bytes.size == 0) return TESS_ENGINE_DONE;
  void *data;
  tess_engine_outcome outcome = block_new(engine, bytes.size, address, &data);
  if (outcome == TESS_ENGINE_DONE) memcpy(data, bytes.data, bytes.size);
  return outcome;
}

/* Copies texts and body in; on REFUSED frees what it had made. blocks has one
 * entry for each text, then one for the body. */
static tess_engine_outcome copy_all_in(tess_wasm_engine *engine, const tess_slice *texts,
                                       size_t text_count, tess_engine_body *body,
                                       uint32_t *blocks) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  memset(blocks, 0, (text_count + 1) * sizeof *blocks);
  blocks[text_count] = (uint32_t)body->guest;
  for (size_t i = 0; i < text_count && outcome == TESS_ENGINE_DONE; i++) {
    outcome = copy_in(engine, texts[i], &blocks[i]);
  }
  if (outcome == TESS_ENGINE_DONE && body->guest == 0) {
    tess_slice bytes = {body->chunk.data, body->chunk.size};
    outcome = copy_in(engine, bytes, &blocks[text_count]);
  }
  if (outcome == TESS_ENGINE_REFUSED) {
    for (size_t i = 0; i <= text_count; i++) {
      if (block_free(engine, blocks[i]) == TESS_ENGINE_TRAPPED) return TESS_ENGINE_TRAPPED;
    }
  }
  return outcome;
}

tess_engine_outcome tess_wasm_alloc(tess_engine *base, size_t size, tess_guest *guest,
                                    void **data) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  *guest = 0;
  if (!engine->stable_memory) return TESS_ENGINE_REFUSED;
  uint32_t address;
  tess_engine_outcome outcome = block_new(engine, size, &address, data);
  if (outcome == TESS_ENGINE_DONE) *guest = address;
  return outcome;
}

tess_engine_outcome tess_wasm_free(tess_engine *base, tess_guest guest) {
  return block_free((tess_wasm_engine *)base, (uint32_t)guest);
}

bool tess_wasm_has_blocks(tess_engine *base) {
  return ((tess_wasm_engine *)base)->stable_memory;
}

/* ---- exports ---- */

tess_engine_outcome tess_wasm_configure(tess_engine *base, tess_slice text) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  uint32_t address;
  tess_engine_outcome outcome = copy_in(engine, text, &address);
  if (outcome != TESS_ENGINE_DONE) return outcome;
  const uint32_t arguments[] = {address, (uint32_t)text.size};
  tess_wasm_result result = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_CONFIGURE, arguments, &result)) return TESS_ENGINE_TRAPPED;
  return result.integer < 0 ? TESS_ENGINE_REFUSED : TESS_ENGINE_DONE;
}

tess_engine_outcome tess_wasm_on_request(tess_engine *base, int32_t id, tess_slice method,
                                         tess_slice path, tess_slice headers,
                                         tess_engine_body *body) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  const tess_slice texts[] = {method, path, headers};
  uint32_t blocks[4];
  uint32_t body_size = (uint32_t)body->chunk.size;
  tess_engine_outcome outcome = copy_all_in(engine, texts, 3, body, blocks);
  if (body->guest == 0) tess_chunk_release(&body->chunk);
  if (outcome != TESS_ENGINE_DONE) return outcome;
  const uint32_t arguments[] = {(uint32_t)id,
                                blocks[0],
                                (uint32_t)method.size,
                                blocks[1],
                                (uint32_t)path.size,
                                blocks[2],
                                (uint32_t)headers.size,
                                blocks[3],
                                body_size};
  tess_wasm_result result = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_ON_REQUEST, arguments, &result)) return TESS_ENGINE_TRAPPED;
  return result.integer < 0 ? TESS_ENGINE_REFUSED : TESS_ENGINE_DONE;
}

tess_engine_outcome tess_wasm_on_response(tess_engine *base, int32_t handle, int32_t status,
                                          tess_slice headers, tess_engine_body *body) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  uint32_t blocks[2];
  uint32_t body_size = (uint32_t)body->chunk.size;
  tess_engine_outcome outcome = copy_all_in(engine, &headers, 1, body, blocks);
  if (body->guest == 0) tess_chunk_release(&body->chunk);
  if (outcome != TESS_ENGINE_DONE) return outcome;
  const uint32_t arguments[] = {(uint32_t)handle,       (uint32_t)status, blocks[0],
                                (uint32_t)headers.size, blocks[1],        body_size};
  tess_wasm_result result = {0, 0};
  return engine->call(engine, TESS_EXPORT_ON_RESPONSE, arguments, &result) ? TESS_ENGINE_DONE
                                                                           : TESS_ENGINE_TRAPPED;
}

static tess_engine_outcome call_with_id(tess_engine *base, tess_abi_export which, int32_t id) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  const uint32_t argument = (uint32_t)id;
  tess_wasm_result result = {0, 0};
  return engine->call(engine, which, &argument, &result) ? TESS_ENGINE_DONE : TESS_ENGINE_TRAPPED;
}

tess_engine_outcome tess_wasm_on_cancel(tess_engine *engine, int32_t id) {
  return call_with_id(engine, TESS_EXPORT_ON_CANCEL, id);
}

tess_engine_outcome tess_wasm_on_writable(tess_engine *engine, int32_t id) {
  return call_with_id(engine, TESS_EXPORT_ON_WRITABLE, id);
}

tess_engine_outcome tess_wasm_on_sent(tess_engine *engine, int32_t id) {
  return call_with_id(engine, TESS_EXPORT_ON_SENT, id);
}

tess_engine_outcome tess_wasm_loop(tess_engine *base, double *wake_in_ms) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  tess_wasm_result result = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_LOOP, NULL, &result)) return TESS_ENGINE_TRAPPED;
  *wake_in_ms = result.number;
  return TESS_ENGINE_DONE;
}

tess_engine_outcome tess_wasm_stats(tess_engine *base, char *text, size_t size, size_t *length) {
  tess_wasm_engine *engine = (tess_wasm_engine *)base;
  *length = 0;
  uint32_t address;
  void *data;
  tess_engine_outcome outcome = block_new(engine, size, &address, &data);
  if (outcome != TESS_ENGINE_DONE) return outcome;
  const uint32_t arguments[] = {address, (uint32_t)size};
  tess_wasm_result result = {0, 0};
  if (!engine->call(engine, TESS_EXPORT_STATS, arguments, &result)) return TESS_ENGINE_TRAPPED;
  if (result.integer > 0 && (uint64_t)result.integer <= size) {
    *length = (size_t)result.integer;
    data = engine->view(engine, address, size);
    if (data == NULL) return TESS_ENGINE_REFUSED;
    memcpy(text, data, *length);
  }
  return block_free(engine, address);
}

/* ---- imports ---- */

static bool slice_at(tess_wasm_engine *engine, uint32_t address, uint32_t size, tess_slice *slice) {
  slice->size = size;
  slice->data = size == 0 ? "" : engine->view(engine, address, size);
  return slice->data != NULL;
}

/* Reads the list of pieces at `address` into engine->pieces. */
static bool pieces_at(tess_wasm_engine *engine, uint32_t address, uint32_t count,
                      const char **why) {
  *why = "a list of pieces is longer than the host takes";
  if (count > TESS_WASM_MAX_PIECES) return false;
  if (count > engine->piece_capacity) {
    *why = "the host has no memory for a list of pieces";
    size_t capacity = count < 64 ? 64 : count;
    tess_slice *pieces = realloc(engine->pieces, capacity * sizeof *pieces);
    if (pieces == NULL) return false;
    engine->pieces = pieces;
    engine->piece_capacity = capacity;
  }
  *why = "a list of pieces lies outside memory";
  if (count == 0) return true;
  if (address % _Alignof(tess_abi_iov) != 0) return false;
  const tess_abi_iov *iov = engine->view(engine, address, count * sizeof *iov);
  if (iov == NULL) return false;
  *why = "a piece lies outside memory";
  for (uint32_t i = 0; i < count; i++) {
    if (!slice_at(engine, iov[i].data, iov[i].size, &engine->pieces[i])) return false;
  }
  return true;
}

bool tess_wasm_import(tess_wasm_engine *engine, tess_abi_import which, const uint32_t *a,
                      double timeout_ms, tess_wasm_result *result, const char **why) {
  const tess_engine_host *host = &engine->host;
  const bool keep = engine->has_on_sent && engine->stable_memory;
  tess_slice text, headers;
  *result = (tess_wasm_result){0, 0};
  *why = "an argument lies outside memory";
  switch (which) {
    case TESS_IMPORT_HTTP_POST:
      if (!slice_at(engine, a[0], a[1], &text) || !slice_at(engine, a[2], a[3], &headers) ||
          !pieces_at(engine, a[4], a[5], why)) {
        return false;
      }
      result->integer =
          host->http_post(host->ctx, text, headers, engine->pieces, a[5], timeout_ms, keep);
      return true;
    case TESS_IMPORT_HTTP_CANCEL:
      host->http_cancel(host->ctx, (int32_t)a[0]);
      return true;
    case TESS_IMPORT_HTTP_REPLY:
      if (!slice_at(engine, a[2], a[3], &headers) || !pieces_at(engine, a[4], a[5], why)) {
        return false;
      }
      result->integer = host->http_reply(host->ctx, (int32_t)a[0], (int32_t)a[1], headers,
                                         engine->pieces, a[5], (int32_t)a[6], keep);
      return true;
    case TESS_IMPORT_HTTP_REPLY_MORE:
      if (!pieces_at(engine, a[1], a[2], why)) return false;
      result->integer = host->http_reply_more(host->ctx, (int32_t)a[0], engine->pieces, a[2],
                                              (int32_t)a[3], keep);
      return true;
    case TESS_IMPORT_NOW_MS:
      result->number = tess_engine_now_ms();
      return true;
    case TESS_IMPORT_LOG:
      if (!slice_at(engine, a[1], a[2], &text)) return false;
      host->log(host->ctx, (int32_t)a[0], text);
      return true;
    case TESS_IMPORT_RANDOM: {
      if (a[1] == 0) return true;
      void *bytes = engine->view(engine, a[0], a[1]);
      if (bytes == NULL) return false;
      *why = "the system gives no random bytes";
      return tess_engine_random(bytes, a[1]);
    }
    case TESS_IMPORT_COUNT:
      break;
  }
  *why = "no such import";
  return false;
}
