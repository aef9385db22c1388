/* SPDX-License-Identifier: Apache-2.0 */
#include <tessera/pool.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Kept blocks are few: each is at least TESS_POOL_LARGE_BYTES, and a list of
 * this length is searched in less time than one page fault takes. */
#define MAX_WARM_BLOCKS 64
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* Stands in front of every block handed out. */
typedef struct head {
  size_t size;     /* as asked for */
  size_t capacity; /* 0: from malloc; else bytes after the head that may be used */
  void *map;       /* where the map starts */
  size_t map_bytes;
} head;

#define HEAD_BYTES ((sizeof(head) + TESS_POOL_ALIGNMENT - 1) & ~(size_t)(TESS_POOL_ALIGNMENT - 1))

typedef struct warm_block {
  head *block;
  int64_t freed_ms;
} warm_block;

struct tess_pool {
  tess_allocator allocator;
  pthread_mutex_t mutex;
  size_t limit_bytes;
  size_t max_warm_bytes;
  warm_block warm[MAX_WARM_BLOCKS]; /* oldest first */
  size_t warm_count;
  size_t used_capacity; /* of blocks in use, with their rounding */
  int64_t now_ms;
  tess_pool_counts counts;
};

static void *payload(head *block) {
  return (uint8_t *)block + HEAD_BYTES;
}

static head *head_of(void *ptr) {
  return (head *)(void *)((uint8_t *)ptr - HEAD_BYTES);
}

/* ---- maps ---- */

/* In whole units, which a little more will fit into. */
static size_t rounded(size_t size) {
  size_t unit = size >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : TESS_POOL_LARGE_BYTES;
  if (size > SIZE_MAX - HEAD_BYTES - 2 * unit) return size;
  return (size + HEAD_BYTES + unit - 1) / unit * unit - HEAD_BYTES;
}

/* For `capacity` bytes. */
static head *block_map(size_t capacity) {
  if (capacity > SIZE_MAX - HEAD_BYTES - HUGE_PAGE_BYTES) return NULL;
  size_t bytes = HEAD_BYTES + capacity;
  bool huge = bytes % HUGE_PAGE_BYTES == 0;
  size_t mapped = huge ? bytes + HUGE_PAGE_BYTES : bytes; /* room to align */
  uint8_t *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return NULL;
  if (huge) {
    size_t before = (HUGE_PAGE_BYTES - (uintptr_t)map % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    if (before > 0) munmap(map, before);
    map += before;
    if (mapped - before > bytes) munmap(map + bytes, mapped - before - bytes);
    (void)madvise(map, bytes, MADV_HUGEPAGE); /* a wish: without it pages are small */
  }
  head *block = (head *)(void *)map;
  block->map = map;
  block->map_bytes = bytes;
  block->capacity = capacity;
  return block;
}

static void block_unmap(head *block) {
  munmap(block->map, block->map_bytes);
}

/* ---- the warm list; the mutex is held ---- */

static head *warm_remove(tess_pool *pool, size_t index) {
  head *block = pool->warm[index].block;
  pool->counts.warm_bytes -= block->capacity;
  pool->warm_count--;
  memmove(&pool->warm[index], &pool->warm[index + 1],
          (pool->warm_count - index) * sizeof pool->warm[0]);
  return block;
}

/* The smallest kept block that holds `size` without wasting half of it. */
static head *warm_find(tess_pool *pool, size_t size) {
  size_t best = pool->warm_count;
  for (size_t i = 0; i < pool->warm_count; i++) {
    size_t capacity = pool->warm[i].block->capacity;
    if (capacity < size || capacity / 2 > size + HUGE_PAGE_BYTES) continue;
    if (best == pool->warm_count || capacity < pool->warm[best].block->capacity) best = i;
  }
  return best == pool->warm_count ? NULL : warm_remove(pool, best);
}

/* Gives back the oldest kept blocks until `room` more bytes may be in use. */
static bool make_room(tess_pool *pool, size_t room) {
  if (room > pool->limit_bytes || pool->used_capacity > pool->limit_bytes - room) return false;
  while (pool->warm_count > 0 &&
         pool->used_capacity + pool->counts.warm_bytes > pool->limit_bytes - room)
    block_unmap(warm_remove(pool, 0));
  return true;
}

/* ---- the allocator ---- */

static void *small_alloc(size_t size) {
  head *block = malloc(HEAD_BYTES + size);
  if (block == NULL) return NULL;
  *block = (head){.size = size};
  return payload(block);
}

static void *large_alloc(tess_pool *pool, size_t size) {
  pthread_mutex_lock(&pool->mutex);
  head *block = warm_find(pool, size);
  if (block != NULL) {
    pool->counts.reused++;
  } else {
    size_t capacity = rounded(size);
    bool fits = make_room(pool, capacity);
    if (!fits) { /* no more than what is asked for, then */
      capacity = size;
      fits = make_room(pool, capacity);
    }
    if (fits) block = block_map(capacity);
    if (block != NULL) pool->counts.fresh++;
  }
  if (block != NULL) {
    block->size = size;
    pool->used_capacity += block->capacity;
    pool->counts.used_bytes += size;
    if (pool->counts.used_bytes > pool->counts.peak_bytes)
      pool->counts.peak_bytes = pool->counts.used_bytes;
  } else {
    pool->counts.refused++;
  }
  pthread_mutex_unlock(&pool->mutex);
  return block == NULL ? NULL : payload(block);
}

static void *pool_alloc(void *ctx, size_t size) {
  if (size > PTRDIFF_MAX - HEAD_BYTES) return NULL;
  return size < TESS_POOL_LARGE_BYTES ? small_alloc(size) : large_alloc(ctx, size);
}

static void pool_free(void *ctx, void *ptr) {
  if (ptr == NULL) return;
  tess_pool *pool = ctx;
  head *block = head_of(ptr);
  if (block->capacity == 0) {
    free(block);
    return;
  }
  head *gone = NULL;
  pthread_mutex_lock(&pool->mutex);
  pool->used_capacity -= block->capacity;
  pool->counts.used_bytes -= block->size;
  if (block->capacity > pool->max_warm_bytes) {
    gone = block;
  } else {
    while (pool->warm_count > 0 &&
           (pool->warm_count == MAX_WARM_BLOCKS ||
            pool->counts.warm_bytes + block->capacity > pool->max_warm_bytes))
      block_unmap(warm_remove(pool, 0));
    pool->warm[pool->warm_count++] = (warm_block){block, pool->now_ms};
    pool->counts.warm_bytes += block->capacity;
  }
  pthread_mutex_unlock(&pool->mutex);
  if (gone != NULL) block_unmap(gone);
}

static void *pool_realloc(void *ctx, void *ptr, size_t size) {
  if (ptr == NULL) return pool_alloc(ctx, size);
  if (size > PTRDIFF_MAX - HEAD_BYTES) return NULL;
  head *block = head_of(ptr);
  if (block->capacity == 0 && size < TESS_POOL_LARGE_BYTES) {
    head *moved = realloc(block, HEAD_BYTES + size);
    if (moved == NULL) return NULL;
    moved->size = size;
    return payload(moved);
  }
  if (block->capacity >= size && size >= TESS_POOL_LARGE_BYTES) {
    tess_pool *pool = ctx;
    pthread_mutex_lock(&pool->mutex);
    pool->counts.used_bytes += size - block->size; /* wraps and comes out right when it shrinks */
    if (pool->counts.used_bytes > pool->counts.peak_bytes)
      pool->counts.peak_bytes = pool->counts.used_bytes;
    block->size = size;
    pthread_mutex_unlock(&pool->mutex);
    return ptr;
  }
  void *moved = pool_alloc(ctx, size);
  if (moved == NULL) return NULL;
  memcpy(moved, ptr, block->size < size ? block->size : size);
  pool_free(ctx, ptr);
  return moved;
}

/* ---- the pool ---- */

tess_pool *tess_pool_new(size_t limit_bytes, size_t warm_bytes) {
  tess_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
    free(pool);
    return NULL;
  }
  pool->allocator = (tess_allocator){pool_alloc, pool_realloc, pool_free, pool};
  pool->limit_bytes = limit_bytes;
  pool->max_warm_bytes = warm_bytes;
  return pool;
}

void tess_pool_free(tess_pool *pool) {
  if (pool == NULL) return;
  while (pool->warm_count > 0)
    block_unmap(warm_remove(pool, pool->warm_count - 1));
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

const tess_allocator *tess_pool_allocator(tess_pool *pool) {
  return &pool->allocator;
}

void tess_pool_trim(tess_pool *pool, int64_t now_ms, int64_t before_ms) {
  pthread_mutex_lock(&pool->mutex);
  pool->now_ms = now_ms;
  while (pool->warm_count > 0 && pool->warm[0].freed_ms < before_ms)
    block_unmap(warm_remove(pool, 0));
  pthread_mutex_unlock(&pool->mutex);
}

void tess_pool_get_counts(tess_pool *pool, tess_pool_counts *counts) {
  pthread_mutex_lock(&pool->mutex);
  *counts = pool->counts;
  pthread_mutex_unlock(&pool->mutex);
}
