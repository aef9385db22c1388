/* SPDX-License-Identifier: Apache-2.0
 *
 * See proxy_blocks.h.
 */
#include "wasm/proxy_blocks.h"

#include <stdatomic.h>
#include <string.h>

#include "wasm/wire.h"

/* How long a block is not offered again to a worker that had no room for it. */
#define REFUSED_MS 10000.0
/* How long a worker without BlockService is not asked again. */
#define UNSUPPORTED_MS 60000.0
#define FIRST_ENTRIES 16u
/* What a message carries beside its elements. */
#define OVERHEAD_BYTES 512u

/* UNKNOWN: a put ended in between; the worker is asked before it is sent again. */
typedef enum entry_state { ABSENT, HELD, REFUSED, UNKNOWN } entry_state;

/* What is known of one block. */
typedef struct tess_proxy_entry {
  uint8_t name[TESS_SHA256_BYTES];
  entry_state state;
  double refused_ms; /* REFUSED: when */
  uint64_t used;     /* stamp of its last use */
} entry;

/* A call about one block. */
struct tess_proxy_flight {
  tess_proxy_end end; /* first */
  tess_proxy_flight *next;
  bool is_put;
  bool cancelled;
  bool told_sent; /* by tess_proxy_blocks_sent */
  uint8_t name[TESS_SHA256_BYTES];
  const tess_panel *panel; /* borrowed while it is under way; compare only afterwards */
  uint64_t bytes;
  void *asker;
  void *follower; /* the other one that may name it before it is held */
  tess_arena arena;
  tess_call_options options;
  tess_proxy_limit limit;
  tess_client_call *call;
  union {
    tessera_matmul_v1_ListBlocksRequest list;
    tessera_matmul_v1_PutBlockRequest put;
  } request;
  union {
    tessera_matmul_v1_ListBlocksResponse list;
    tessera_matmul_v1_PutBlockResponse put;
  } response;
};

/* ---- what is known ---- */

static entry *find(const tess_proxy_blocks *blocks, const uint8_t *name) {
  for (uint32_t i = 0; i < blocks->entry_count; i++)
    if (memcmp(blocks->entries[i].name, name, TESS_SHA256_BYTES) == 0) return &blocks->entries[i];
  return NULL;
}

/* A place for one more: a new one, or that of the name that was used longest ago. */
static entry *new_place(tess_proxy_blocks *blocks) {
  const tess_allocator *allocator = blocks->calls->allocator;
  if (blocks->entry_count == blocks->entry_capacity &&
      blocks->entry_capacity < TESS_PROXY_MAX_HELD) {
    uint32_t capacity = blocks->entry_capacity > 0 ? 2 * blocks->entry_capacity : FIRST_ENTRIES;
    entry *entries = allocator->alloc(allocator->ctx, capacity * sizeof *entries);
    if (entries != NULL) {
      if (blocks->entry_count > 0)
        memcpy(entries, blocks->entries, blocks->entry_count * sizeof *entries);
      allocator->free(allocator->ctx, blocks->entries);
      blocks->entries = entries;
      blocks->entry_capacity = capacity;
    }
  }
  if (blocks->entry_count < blocks->entry_capacity) return &blocks->entries[blocks->entry_count++];
  entry *oldest = NULL;
  for (uint32_t i = 0; i < blocks->entry_count; i++)
    if (oldest == NULL || blocks->entries[i].used < oldest->used) oldest = &blocks->entries[i];
  return oldest; /* NULL: no memory for any */
}

/* False: there is no memory to know it. */
static bool learn(tess_proxy_blocks *blocks, const uint8_t *name, entry_state state) {
  entry *e = find(blocks, name);
  if (e == NULL) e = new_place(blocks);
  if (e == NULL) return false;
  memcpy(e->name, name, TESS_SHA256_BYTES);
  e->state = state;
  e->refused_ms = blocks->now_ms;
  e->used = ++blocks->clock;
  return true;
}

bool tess_proxy_blocks_usable(const tess_proxy_blocks *blocks) {
  return blocks->unsupported_ms == 0 || blocks->now_ms - blocks->unsupported_ms > UNSUPPORTED_MS;
}

bool tess_proxy_blocks_holds(const tess_proxy_blocks *blocks, const uint8_t *name) {
  const entry *e = find(blocks, name);
  return e != NULL && e->state == HELD;
}

void tess_proxy_blocks_forget(tess_proxy_blocks *blocks, const uint8_t *name) {
  entry *e = find(blocks, name);
  if (e != NULL && e->state == HELD) e->state = ABSENT;
}

void tess_proxy_blocks_refuse(tess_proxy_blocks *blocks, const uint8_t *name) {
  learn(blocks, name, REFUSED);
}

/* ---- calls ---- */

static tess_proxy_flight *find_flight(const tess_proxy_blocks *blocks, const uint8_t *name) {
  tess_proxy_flight *f = blocks->flights;
  while (f != NULL && (f->cancelled || memcmp(f->name, name, TESS_SHA256_BYTES) != 0))
    f = f->next;
  return f;
}

static void flight_free(tess_proxy_blocks *blocks, tess_proxy_flight *f) {
  tess_arena_cleanup(&f->arena);
  tess_status_cleanup(&f->end.status);
  blocks->calls->allocator->free(blocks->calls->allocator->ctx, f);
}

static tess_code start_call(tess_proxy_blocks *blocks, tess_proxy_flight *f, tess_status *failure) {
  const tess_proxy_calls *calls = blocks->calls;
  if (!f->is_put) {
    f->request.list.sha256_count = 1;
    memcpy(f->request.list.sha256[0], f->name, TESS_SHA256_BYTES);
    return tessera_matmul_v1_block_service_list_blocks_start(
        calls->client, &f->options, &f->request.list, &f->response.list, calls->on_done, &f->end,
        &f->call, failure);
  }
  f->request.put.has_matrix = true;
  tess_wire_write_matrix(&f->request.put.matrix, f->panel->block);
  memcpy(f->request.put.sha256, f->name, TESS_SHA256_BYTES);
  return tessera_matmul_v1_block_service_put_block_start(
      calls->client, &f->options, &f->request.put, &f->response.put, calls->on_done, &f->end,
      &f->call, failure);
}

static tess_proxy_answer begin(tess_proxy_blocks *blocks, tess_panel *panel, bool is_put,
                               void *asker, int64_t timeout_ms, tess_code *code,
                               tess_reason *reason) {
  const tess_allocator *allocator = blocks->calls->allocator;
  tess_proxy_flight *f = allocator->alloc(allocator->ctx, sizeof *f);
  if (f == NULL) return TESS_PROXY_RAW;
  memset(f, 0, sizeof *f);
  f->end.proxy = blocks->calls->proxy;
  f->end.kind = TESS_PROXY_END_FLIGHT;
  f->is_put = is_put;
  f->panel = panel;
  f->bytes = is_put ? tess_panel_bytes(panel) : 0;
  f->asker = asker;
  memcpy(f->name, panel->name, TESS_SHA256_BYTES);
  tess_arena_init(&f->arena, allocator, 0);
  tess_status_init(&f->end.status, allocator);
  f->options.arena = &f->arena;
  f->options.timeout_ms = timeout_ms;
  if (is_put) f->options.on_sent = blocks->calls->on_sent;
  tess_proxy_limit_answer(blocks->calls, &f->limit, TESS_PROXY_FIELD_BYTES, &f->options);
  tess_status failure;
  tess_status_init(&failure, allocator);
  /* A transport may end it before start_call returns. */
  f->next = blocks->flights;
  blocks->flights = f;
  *code = start_call(blocks, f, &failure);
  if (*code != TESS_OK) {
    blocks->flights = f->next;
    tess_reason_set(reason, *code, "%s: ", tess_code_name(*code));
    if (failure.message != NULL)
      tess_reason_add_bytes(reason, failure.message, strlen(failure.message));
    flight_free(blocks, f);
  }
  tess_status_cleanup(&failure);
  return *code == TESS_OK ? TESS_PROXY_WAIT : TESS_PROXY_FAILED;
}

/* It is not held there, and cannot be sent from here. */
static tess_proxy_answer lacking(tess_code *code, tess_reason *reason) {
  *code = tess_reason_set(reason, TESS_NOT_FOUND, "the worker does not hold the block");
  return TESS_PROXY_FAILED;
}

/* A put is under way: may the asker name its block? One beside the block, so that it is
 * computed as soon as that is there, and one behind it, so that the link is busy until the
 * worker says that it holds it. More would hold up the block. */
static tess_proxy_answer follow(const tess_proxy_blocks *blocks, tess_proxy_flight *f, void *asker,
                                bool early) {
  if (!early || !blocks->awaits_puts || !f->is_put) return TESS_PROXY_WAIT;
  if (f->asker != asker && f->follower == NULL && atomic_load(&f->end.sent)) f->follower = asker;
  return f->asker == asker || f->follower == asker ? TESS_PROXY_COMING : TESS_PROXY_WAIT;
}

tess_proxy_answer tess_proxy_blocks_want(tess_proxy_blocks *blocks, tess_panel *panel, void *asker,
                                         bool early, int64_t timeout_ms, tess_code *code,
                                         tess_reason *reason) {
  const uint64_t limit = blocks->calls->max_message_bytes;
  *code = TESS_OK;
  const bool sendable = !panel->elsewhere;
  if (!tess_proxy_blocks_usable(blocks) ||
      (sendable && tess_panel_bytes(panel) + OVERHEAD_BYTES > limit))
    return sendable ? TESS_PROXY_RAW : lacking(code, reason);
  entry *e = find(blocks, panel->name);
  if (e != NULL) {
    e->used = ++blocks->clock;
    if (e->state == HELD) return TESS_PROXY_HELD;
    if (!sendable && e->state != UNKNOWN) return lacking(code, reason);
    if (e->state == REFUSED) {
      if (blocks->now_ms - e->refused_ms < REFUSED_MS) return TESS_PROXY_RAW;
      e->state = ABSENT;
    }
  }
  tess_proxy_flight *f = find_flight(blocks, panel->name);
  if (f != NULL) return follow(blocks, f, asker, early);
  const bool is_put = e != NULL && e->state == ABSENT;
  const tess_proxy_answer answer = begin(blocks, panel, is_put, asker, timeout_ms, code, reason);
  f = answer == TESS_PROXY_WAIT ? find_flight(blocks, panel->name) : NULL;
  return f != NULL ? follow(blocks, f, asker, early) : answer;
}

uint64_t tess_proxy_blocks_arrived(tess_proxy_blocks *blocks, const uint8_t *name,
                                   const void *asker) {
  tess_proxy_flight *f = find_flight(blocks, name);
  if (f == NULL || !f->is_put || f->asker != asker) return 0;
  const uint64_t bytes = f->bytes;
  f->asker = NULL;
  f->bytes = 0;
  return bytes;
}

bool tess_proxy_blocks_sent(tess_proxy_blocks *blocks) {
  bool any = false;
  for (tess_proxy_flight *f = blocks->flights; f != NULL; f = f->next) {
    if (f->told_sent || f->cancelled || !atomic_load(&f->end.sent)) continue;
    f->told_sent = any = true;
  }
  return any;
}

/* The end of a put is not known: the worker may have all of it. */
static void doubt(tess_proxy_blocks *blocks, const tess_proxy_flight *f) {
  entry *e = find(blocks, f->name);
  if (f->is_put && e != NULL && e->state == ABSENT) e->state = UNKNOWN;
}

void tess_proxy_blocks_cancel(tess_proxy_blocks *blocks, const tess_panel *panel) {
  for (tess_proxy_flight *f = blocks->flights; f != NULL; f = f->next) {
    if (f->cancelled || f->panel != panel) continue;
    f->cancelled = true; /* its end still comes, and frees it */
    doubt(blocks, f);
    blocks->calls->cancel(&f->end, f->call);
  }
}

/* ---- ends ---- */

static void unlink_flight(tess_proxy_blocks *blocks, const tess_proxy_flight *f) {
  tess_proxy_flight **link = &blocks->flights;
  while (*link != f)
    link = &(*link)->next;
  *link = f->next;
}

static tess_code list_ended(tess_proxy_blocks *blocks, const tess_proxy_flight *f) {
  const tessera_matmul_v1_ListBlocksResponse *response = &f->response.list;
  entry_state state = ABSENT;
  for (pb_size_t i = 0; i < response->blocks_count; i++)
    if (memcmp(response->blocks[i].sha256, f->name, TESS_SHA256_BYTES) == 0 &&
        response->blocks[i].bytes == tess_panel_bytes(f->panel))
      state = HELD;
  blocks->awaits_puts = response->awaits_puts;
  return learn(blocks, f->name, state) ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

static tess_code put_ended(tess_proxy_blocks *blocks, const tess_proxy_flight *f,
                           tess_proxy_news *news) {
  if (memcmp(f->response.put.sha256, f->name, TESS_SHA256_BYTES) != 0)
    return tess_reason_set(&news->reason, TESS_DATA_LOSS,
                           "the worker keeps a block under another name");
  news->asker = f->asker;
  news->bytes_sent = f->bytes;
  return learn(blocks, f->name, HELD) ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

static tess_code flight_failed(tess_proxy_blocks *blocks, const tess_proxy_flight *f,
                               tess_proxy_news *news) {
  const tess_code code = f->end.status.code;
  if (code == TESS_UNIMPLEMENTED) {
    blocks->unsupported_ms = blocks->now_ms;
    return TESS_OK;
  }
  if (code == TESS_RESOURCE_EXHAUSTED && learn(blocks, f->name, REFUSED)) return TESS_OK;
  doubt(blocks, f);
  const char *text = f->end.status.message != NULL ? f->end.status.message : "";
  tess_reason_set(&news->reason, code, "%s: ", tess_code_name(code));
  tess_reason_add_bytes(&news->reason, text, strlen(text));
  return code;
}

bool tess_proxy_blocks_ended(tess_proxy_blocks *blocks, tess_proxy_end *end,
                             tess_proxy_news *news) {
  tess_proxy_flight *f = (tess_proxy_flight *)(void *)end;
  unlink_flight(blocks, f);
  *news = (tess_proxy_news){0};
  tess_reason_clear(&news->reason);
  memcpy(news->name, f->name, sizeof news->name);
  const bool awaited = !f->cancelled;
  if (awaited) {
    if (f->end.status.code != TESS_OK) {
      news->code = flight_failed(blocks, f, news);
    } else {
      news->code = f->is_put ? put_ended(blocks, f, news) : list_ended(blocks, f);
    }
    if (news->code == TESS_RESOURCE_EXHAUSTED)
      tess_reason_set(&news->reason, news->code, "out of memory");
  }
  flight_free(blocks, f);
  return awaited;
}

void tess_proxy_blocks_cleanup(tess_proxy_blocks *blocks) {
  blocks->calls->allocator->free(blocks->calls->allocator->ctx, blocks->entries);
}
