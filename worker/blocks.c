/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/blocks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/pool.h>

#include "rpc/wait_until.h"
#include "program/clock.h"

/* Copied, then hashed while the cache of the processor still holds it. */
#define PIECE_BYTES ((size_t)256 << 10)
/* Least share of the budget whose memory stays mapped for the next block. */
#define WARM_SHARE 8

/* Memory is made ready for puts from this size on, a page at a time. */
#define PREPARED_LEAST_BYTES ((uint64_t)1 << 20)
#define PAGE_BYTES ((size_t)4096)

/* For so long a put that failed is known by its name: to those who wait for the block,
 * and to those who come while others are put. */
#define FAILED_MS 2000.0

typedef struct failed_put {
  uint8_t name[TESS_SHA256_BYTES];
  double until_ms;
} failed_put;

struct worker_blocks {
  pthread_mutex_t mutex;
  tess_pool *pool;                              /* has a lock of its own */
  tess_block_store *store;                      /* under the mutex, like all that follows */
  pthread_cond_t came;                          /* a block was kept, or a put ended */
  pthread_cond_t wanted;                        /* memory is to be made ready, or all is over */
  unsigned puts;                                /* under way */
  uint64_t puts_bytes;                          /* of their messages */
  unsigned waiting;                             /* for them */
  uint64_t prepare_bytes;                       /* for the latest put; 0: nothing to do */
  failed_put failed[WORKER_BLOCKS_MAX_WAITING]; /* the latest, in a ring */
  unsigned failed_count;
  bool closing;
  bool has_thread;
  pthread_t thread;
};

/* A block that is in use, in an arena. */
typedef struct lease {
  worker_blocks *blocks;
  tess_block *block;
} lease;

/* ---- memory for what is on its way ---- */

/* Memory from the pool that is touched and given back is warm for the put that needs it.
 * What the pool refuses, the put will have to make room for. */
static void make_ready(const worker_blocks *blocks, size_t bytes) {
  const tess_allocator *allocator = tess_pool_allocator(blocks->pool);
  volatile uint8_t *memory = allocator->alloc(allocator->ctx, bytes);
  if (memory == NULL) return;
  for (size_t at = 0; at < bytes; at += PAGE_BYTES)
    memory[at] = 0;
  allocator->free(allocator->ctx, (void *)(uintptr_t)memory);
}

static void *prepare_thread(void *arg) {
  worker_blocks *blocks = arg;
  pthread_mutex_lock(&blocks->mutex);
  while (!blocks->closing) {
    const uint64_t bytes = blocks->prepare_bytes;
    if (bytes == 0) {
      pthread_cond_wait(&blocks->wanted, &blocks->mutex);
      continue;
    }
    blocks->prepare_bytes = 0;
    pthread_mutex_unlock(&blocks->mutex);
    make_ready(blocks, (size_t)bytes);
    pthread_mutex_lock(&blocks->mutex);
  }
  pthread_mutex_unlock(&blocks->mutex);
  return NULL;
}

void worker_blocks_put_begins(worker_blocks *blocks, uint64_t message_bytes) {
  pthread_mutex_lock(&blocks->mutex);
  blocks->puts++;
  blocks->puts_bytes += message_bytes;
  const tess_block_counts counts = tess_block_store_counts(blocks->store);
  /* Not where it could be in the way of any put: what is dropped to make room is warm. */
  if (message_bytes >= PREPARED_LEAST_BYTES && blocks->has_thread &&
      message_bytes <= counts.capacity_bytes / WARM_SHARE &&
      counts.used_bytes + blocks->puts_bytes + message_bytes <= counts.capacity_bytes) {
    blocks->prepare_bytes = message_bytes;
    pthread_cond_signal(&blocks->wanted);
  }
  pthread_mutex_unlock(&blocks->mutex);
}

void worker_blocks_put_ended(worker_blocks *blocks, uint64_t message_bytes) {
  pthread_mutex_lock(&blocks->mutex);
  blocks->puts--;
  blocks->puts_bytes -= message_bytes;
  pthread_cond_broadcast(&blocks->came);
  pthread_mutex_unlock(&blocks->mutex);
}

/* ---- made and unmade ---- */

worker_blocks *worker_blocks_new(uint64_t capacity_bytes) {
  worker_blocks *blocks = calloc(1, sizeof *blocks);
  if (blocks == NULL) return NULL;
  /* Large blocks alone count in the pool; all of them count in the store. */
  const size_t limit = capacity_bytes < SIZE_MAX ? (size_t)capacity_bytes : SIZE_MAX;
  blocks->pool = tess_pool_new(limit, limit / WARM_SHARE);
  if (blocks->pool != NULL)
    blocks->store = tess_block_store_new(capacity_bytes, tess_pool_allocator(blocks->pool));
  if (blocks->store == NULL || pthread_mutex_init(&blocks->mutex, NULL) != 0) {
    tess_block_store_free(blocks->store);
    tess_pool_free(blocks->pool);
    free(blocks);
    return NULL;
  }
  tess__cond_init(&blocks->came);
  tess__cond_init(&blocks->wanted);
  /* Without it puts take longer. */
  blocks->has_thread = pthread_create(&blocks->thread, NULL, prepare_thread, blocks) == 0;
  return blocks;
}

void worker_blocks_free(worker_blocks *blocks) {
  if (blocks == NULL) return;
  pthread_mutex_lock(&blocks->mutex);
  blocks->closing = true;
  pthread_cond_signal(&blocks->wanted);
  pthread_mutex_unlock(&blocks->mutex);
  if (blocks->has_thread) pthread_join(blocks->thread, NULL);
  tess_block_store_free(blocks->store);
  tess_pool_free(blocks->pool);
  pthread_cond_destroy(&blocks->wanted);
  pthread_cond_destroy(&blocks->came);
  pthread_mutex_destroy(&blocks->mutex);
  free(blocks);
}

tess_block *worker_blocks_get(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]) {
  pthread_mutex_lock(&blocks->mutex);
  tess_block *block = tess_block_store_get(blocks->store, name);
  pthread_mutex_unlock(&blocks->mutex);
  return block;
}

/* The mutex is held, here and below. */
static void put_failed(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]) {
  failed_put *failed = &blocks->failed[blocks->failed_count++ % WORKER_BLOCKS_MAX_WAITING];
  memcpy(failed->name, name, sizeof failed->name);
  failed->until_ms = program_now_ms() + FAILED_MS;
  pthread_cond_broadcast(&blocks->came);
}

static bool has_failed(const worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]) {
  for (size_t i = 0; i < WORKER_BLOCKS_MAX_WAITING; i++)
    if (memcmp(blocks->failed[i].name, name, TESS_SHA256_BYTES) == 0 &&
        program_now_ms() < blocks->failed[i].until_ms)
      return true;
  return false;
}

tess_block *worker_blocks_await(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES],
                                int64_t *wait_ms) {
  const double began_ms = program_now_ms();
  int64_t limit_ms = *wait_ms;
  if (limit_ms < 0 || limit_ms > WORKER_BLOCKS_AWAIT_MS) limit_ms = WORKER_BLOCKS_AWAIT_MS;
  int64_t left_ms = limit_ms;
  pthread_mutex_lock(&blocks->mutex);
  const bool may_wait = blocks->waiting < WORKER_BLOCKS_MAX_WAITING;
  blocks->waiting++;
  while (may_wait && left_ms > 0 && blocks->puts > 0 &&
         tess_block_store_peek(blocks->store, name) == NULL && !has_failed(blocks, name)) {
    tess__cond_wait_ms(&blocks->came, &blocks->mutex, left_ms);
    left_ms = limit_ms - (int64_t)(program_now_ms() - began_ms);
  }
  blocks->waiting--;
  tess_block *block = tess_block_store_get(blocks->store, name);
  pthread_mutex_unlock(&blocks->mutex);
  *wait_ms = left_ms > 0 ? left_ms : 0;
  return block;
}

void worker_blocks_release(worker_blocks *blocks, tess_block *block) {
  pthread_mutex_lock(&blocks->mutex);
  tess_block_store_release(blocks->store, block);
  pthread_mutex_unlock(&blocks->mutex);
}

/* ---- names ---- */

static tess_code hash_failed(tess_status *status, tess_code code) {
  return tess_status_set(status, code, "the name of a block could not be computed");
}

static unsigned first_digits(const uint8_t *name) {
  return (unsigned)name[0] << 24 | (unsigned)name[1] << 16 | (unsigned)name[2] << 8 | name[3];
}

static tess_code compare(const uint8_t *name, const uint8_t *expected, tess_status *status) {
  if (expected == NULL || memcmp(name, expected, TESS_SHA256_BYTES) == 0) return TESS_OK;
  return tess_status_set(status, TESS_INVALID_ARGUMENT,
                         "the elements of a block are not what its name says: their SHA-256 "
                         "begins with 0x%x, the name with 0x%x",
                         first_digits(name), first_digits(expected));
}

tess_code worker_blocks_verify(tess_const_matrix elements, const uint8_t *expected,
                               tess_status *status) {
  uint8_t name[TESS_SHA256_BYTES];
  tess_code code = tess_block_name(elements, name);
  return code == TESS_OK ? compare(name, expected, status) : hash_failed(status, code);
}

/* Copies bytes and computes their name. */
static tess_code copy_and_name(uint8_t *to, const uint8_t *from, size_t bytes, uint8_t *name) {
  tess_sha256 hash;
  tess_code code = tess_sha256_start(&hash);
  if (code != TESS_OK) return code;
  for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
    size_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
    memcpy(to + at, from + at, piece);
    tess_sha256_add(&hash, to + at, piece);
  }
  return tess_sha256_finish(&hash, name);
}

static tess_block *pin_held(worker_blocks *blocks, const uint8_t *name) {
  pthread_mutex_lock(&blocks->mutex);
  tess_block *block = tess_block_store_pin(blocks->store, name);
  pthread_mutex_unlock(&blocks->mutex);
  return block;
}

tess_code worker_blocks_put(worker_blocks *blocks, tess_const_matrix elements,
                            const uint8_t *expected, tess_block **block, bool *known,
                            tess_status *status) {
  uint8_t name[TESS_SHA256_BYTES];
  tess_reason reason;
  tess_block *room;
  *block = NULL;
  if (expected != NULL && (room = pin_held(blocks, expected)) != NULL) {
    /* It needs no room, and must not push itself out. */
    tess_code right = worker_blocks_verify(elements, expected, status);
    if (right != TESS_OK) {
      worker_blocks_release(blocks, room);
      return right;
    }
    *block = room;
    if (known != NULL) *known = true;
    return TESS_OK;
  }
  pthread_mutex_lock(&blocks->mutex);
  tess_code code = tess_block_store_reserve(blocks->store, elements.rows, elements.cols,
                                            elements.dtype, &room, &reason);
  if (code != TESS_OK && expected != NULL) put_failed(blocks, expected);
  pthread_mutex_unlock(&blocks->mutex);
  if (code != TESS_OK) return tess_status_set(status, code, "%s", reason.text);

  code = copy_and_name(room->data, elements.data, room->bytes, name);
  if (code != TESS_OK) hash_failed(status, code);
  if (code == TESS_OK) code = compare(name, expected, status);
  pthread_mutex_lock(&blocks->mutex);
  if (code == TESS_OK) {
    *block = tess_block_store_keep(blocks->store, room, name);
    if (known != NULL) *known = *block != room;
    pthread_cond_broadcast(&blocks->came);
  } else {
    tess_block_store_release(blocks->store, room);
    if (expected != NULL) put_failed(blocks, expected);
  }
  pthread_mutex_unlock(&blocks->mutex);
  return code;
}

/* ---- leases ---- */

static void end_lease(void *arg) {
  lease *l = arg;
  worker_blocks_release(l->blocks, l->block);
}

tess_code worker_blocks_release_with(worker_blocks *blocks, tess_block *block, tess_arena *arena) {
  lease *l = tess_arena_alloc(arena, sizeof *l);
  if (l == NULL) {
    worker_blocks_release(blocks, block);
    return TESS_RESOURCE_EXHAUSTED;
  }
  *l = (lease){blocks, block};
  return tess_arena_defer(arena, end_lease, l);
}

bool worker_blocks_drop(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]) {
  pthread_mutex_lock(&blocks->mutex);
  bool dropped = tess_block_store_drop(blocks->store, name);
  pthread_mutex_unlock(&blocks->mutex);
  return dropped;
}

/* ---- what there is ---- */

static tess_block without_data(const tess_block *block) {
  tess_block copy = {
      .rows = block->rows, .cols = block->cols, .dtype = block->dtype, .bytes = block->bytes};
  memcpy(copy.name, block->name, sizeof copy.name);
  return copy;
}

size_t worker_blocks_list(worker_blocks *blocks, tess_block *list, size_t room) {
  size_t count = 0;
  pthread_mutex_lock(&blocks->mutex);
  for (const tess_block *block = tess_block_store_first(blocks->store);
       block != NULL && count < room; block = tess_block_store_next(block))
    list[count++] = without_data(block);
  pthread_mutex_unlock(&blocks->mutex);
  return count;
}

bool worker_blocks_look_up(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES],
                           tess_block *found) {
  pthread_mutex_lock(&blocks->mutex);
  const tess_block *block = tess_block_store_peek(blocks->store, name);
  if (block != NULL) *found = without_data(block);
  pthread_mutex_unlock(&blocks->mutex);
  return block != NULL;
}

tess_block_counts worker_blocks_get_counts(worker_blocks *blocks) {
  pthread_mutex_lock(&blocks->mutex);
  tess_block_counts counts = tess_block_store_counts(blocks->store);
  pthread_mutex_unlock(&blocks->mutex);
  return counts;
}
