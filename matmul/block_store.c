/* SPDX-License-Identifier: Apache-2.0
 *
 * See block_store.h. Names are found in a hash table that takes its index from
 * the name itself, which is as good as random; one list holds the order of use.
 */
#include "matmul/block_store.h"

#include <string.h>

#include "matmul/alloc.h"

#define FIRST_BUCKETS 64u

struct tess_block_store {
  const tess_allocator *allocator;
  tess_block **buckets;
  size_t bucket_count; /* a power of two */
  tess_block *newest, *oldest;
  tess_block_counts counts;
};

/* ---- names ---- */

tess_code tess_block_name(tess_const_matrix matrix, uint8_t name[TESS_SHA256_BYTES]) {
  tess_sha256 hash;
  tess_code code = tess_sha256_start(&hash);
  if (code != TESS_OK) return code;
  const size_t element = tess_dtype_size(matrix.dtype);
  const uint8_t *row = matrix.data;
  if (tess_matrix_is_packed(matrix)) {
    tess_sha256_add(&hash, row, tess_matrix_span_bytes(matrix));
  } else {
    for (uint32_t i = 0; i < matrix.rows; i++, row += matrix.row_stride * element)
      tess_sha256_add(&hash, row, matrix.cols * element);
  }
  return tess_sha256_finish(&hash, name);
}

static size_t bucket_of(const tess_block_store *store, const uint8_t *name) {
  uint64_t number;
  memcpy(&number, name, sizeof number);
  return (size_t)number & (store->bucket_count - 1);
}

static tess_block *find(const tess_block_store *store, const uint8_t *name) {
  tess_block *block = store->buckets[bucket_of(store, name)];
  while (block != NULL && memcmp(block->name, name, TESS_SHA256_BYTES) != 0)
    block = block->next_in_bucket;
  return block;
}

/* Without memory the chains only get longer. */
static void grow(tess_block_store *store) {
  size_t count = store->bucket_count * 2;
  tess_block **buckets = tess__alloc_array(store->allocator, count, sizeof(tess_block *));
  if (buckets == NULL) return;
  memset(buckets, 0, count * sizeof(tess_block *));
  tess__alloc_free(store->allocator, store->buckets);
  store->buckets = buckets;
  store->bucket_count = count;
  for (tess_block *block = store->oldest; block != NULL; block = block->newer) {
    tess_block **bucket = &buckets[bucket_of(store, block->name)];
    block->next_in_bucket = *bucket;
    *bucket = block;
  }
}

/* ---- the order of use ---- */

static void unlink_use(tess_block_store *store, tess_block *block) {
  *(block->newer != NULL ? &block->newer->older : &store->newest) = block->older;
  *(block->older != NULL ? &block->older->newer : &store->oldest) = block->newer;
  block->newer = block->older = NULL;
}

static void link_newest(tess_block_store *store, tess_block *block) {
  block->newer = NULL;
  block->older = store->newest;
  *(store->newest != NULL ? &store->newest->newer : &store->oldest) = block;
  store->newest = block;
}

/* ---- memory ---- */

/* What a block counts as. */
static uint64_t charge(size_t bytes) {
  return (uint64_t)bytes + TESS_BLOCK_OVERHEAD_BYTES;
}

static void destroy(tess_block_store *store, tess_block *block) {
  store->counts.used_bytes -= charge(block->bytes);
  tess__alloc_free(store->allocator, block->data);
  tess__alloc_free(store->allocator, block);
}

/* Forgets the name; frees what nobody uses. */
static void unlist(tess_block_store *store, tess_block *block) {
  tess_block **link = &store->buckets[bucket_of(store, block->name)];
  while (*link != block)
    link = &(*link)->next_in_bucket;
  *link = block->next_in_bucket;
  unlink_use(store, block);
  block->listed = false;
  store->counts.blocks--;
  if (block->pins == 0) destroy(store, block);
}

/* Drops what was not used for the longest time until `need` fits. Nothing is dropped
 * where that would not be enough. */
static bool make_room(tess_block_store *store, uint64_t need) {
  const uint64_t capacity = store->counts.capacity_bytes;
  if (need > capacity) return false;
  uint64_t used = store->counts.used_bytes;
  for (tess_block *block = store->oldest; used > capacity - need; block = block->newer) {
    if (block == NULL) return false;
    if (block->pins == 0) used -= charge(block->bytes);
  }
  for (tess_block *block = store->oldest, *newer; store->counts.used_bytes > capacity - need;
       block = newer) {
    newer = block->newer;
    if (block->pins > 0) continue;
    unlist(store, block);
    store->counts.evictions++;
  }
  return true;
}

/* ---- the seam ---- */

tess_block_store *tess_block_store_new(uint64_t capacity_bytes, const tess_allocator *allocator) {
  tess_block_store *store = tess__alloc_array(allocator, 1, sizeof *store);
  tess_block **buckets = tess__alloc_array(allocator, FIRST_BUCKETS, sizeof(tess_block *));
  if (store == NULL || buckets == NULL) {
    tess__alloc_free(allocator, store);
    tess__alloc_free(allocator, buckets);
    return NULL;
  }
  memset(buckets, 0, FIRST_BUCKETS * sizeof(tess_block *));
  *store = (tess_block_store){.allocator = allocator,
                              .buckets = buckets,
                              .bucket_count = FIRST_BUCKETS,
                              .counts = {.capacity_bytes = capacity_bytes}};
  return store;
}

void tess_block_store_free(tess_block_store *store) {
  if (store == NULL) return;
  while (store->oldest != NULL)
    unlist(store, store->oldest);
  tess__alloc_free(store->allocator, store->buckets);
  tess__alloc_free(store->allocator, store);
}

static void pin(tess_block_store *store, tess_block *block) {
  block->pins++;
  unlink_use(store, block);
  link_newest(store, block);
}

tess_block *tess_block_store_get(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]) {
  tess_block *block = find(store, name);
  if (block == NULL) {
    store->counts.misses++;
    return NULL;
  }
  store->counts.hits++;
  store->counts.hit_bytes += block->bytes;
  pin(store, block);
  return block;
}

tess_block *tess_block_store_pin(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]) {
  tess_block *block = find(store, name);
  if (block != NULL) pin(store, block);
  return block;
}

const tess_block *tess_block_store_peek(const tess_block_store *store,
                                        const uint8_t name[TESS_SHA256_BYTES]) {
  return find(store, name);
}

static tess_code refuse_room(tess_block_store *store, size_t bytes, tess_reason *reason) {
  const tess_block_counts *counts = &store->counts;
  store->counts.refused++;
  if (charge(bytes) > counts->capacity_bytes)
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "a block of %U bytes is larger than the budget of blocks (%U bytes)",
                           (uint64_t)bytes, counts->capacity_bytes);
  return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                         "no room for a block of %U bytes at present: %U of %U bytes are held, and "
                         "in use; try again later",
                         (uint64_t)bytes, counts->used_bytes, counts->capacity_bytes);
}

tess_code tess_block_store_reserve(tess_block_store *store, uint32_t rows, uint32_t cols,
                                   tess_dtype dtype, tess_block **block, tess_reason *reason) {
  *block = NULL;
  size_t bytes;
  if (!tess_matrix_byte_count(rows, cols, dtype, &bytes))
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "a block of %u x %u elements overflows",
                           rows, cols);
  if (!make_room(store, charge(bytes))) return refuse_room(store, bytes, reason);
  tess_block *made = tess__alloc_array(store->allocator, 1, sizeof *made);
  void *data = tess__alloc_array(store->allocator, bytes > 0 ? bytes : 1, 1);
  if (made == NULL || data == NULL) {
    tess__alloc_free(store->allocator, made);
    tess__alloc_free(store->allocator, data);
    store->counts.refused++;
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "no memory for a block of %U bytes at present", (uint64_t)bytes);
  }
  *made = (tess_block){
      .rows = rows, .cols = cols, .dtype = dtype, .bytes = bytes, .data = data, .pins = 1};
  store->counts.used_bytes += charge(bytes);
  *block = made;
  return TESS_OK;
}

tess_block *tess_block_store_keep(tess_block_store *store, tess_block *block,
                                  const uint8_t name[TESS_SHA256_BYTES]) {
  tess_block *held = find(store, name);
  if (held != NULL) {
    pin(store, held);
    tess_block_store_release(store, block);
    return held;
  }
  if (store->counts.blocks >= store->bucket_count) grow(store);
  memcpy(block->name, name, TESS_SHA256_BYTES);
  tess_block **bucket = &store->buckets[bucket_of(store, name)];
  block->next_in_bucket = *bucket;
  *bucket = block;
  link_newest(store, block);
  block->listed = true;
  store->counts.blocks++;
  store->counts.kept++;
  return block;
}

void tess_block_store_release(tess_block_store *store, tess_block *block) {
  if (--block->pins == 0 && !block->listed) destroy(store, block);
}

bool tess_block_store_drop(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]) {
  tess_block *block = find(store, name);
  if (block == NULL) return false;
  unlist(store, block);
  return true;
}

bool tess_block_store_evict(tess_block_store *store) {
  tess_block *block = store->oldest;
  while (block != NULL && block->pins > 0)
    block = block->newer;
  if (block == NULL) return false;
  unlist(store, block);
  store->counts.evictions++;
  return true;
}

const tess_block *tess_block_store_first(const tess_block_store *store) {
  return store->newest;
}

const tess_block *tess_block_store_next(const tess_block *block) {
  return block->older;
}

tess_block_counts tess_block_store_counts(const tess_block_store *store) {
  return store->counts;
}
