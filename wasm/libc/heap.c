/* SPDX-License-Identifier: Apache-2.0
 *
 * See heap.h. A block is a header and its payload; headers hold the size of the
 * block and of its left neighbour, so both neighbours are found in O(1). Every
 * run of blocks (the memory, and each chunk of small ones) ends with a header of
 * size 0 that is never free. The first block of a run has prev_size 0.
 */
#include "wasm/libc/heap.h"

#include <string.h>

struct tess__heap_block {
  _Alignas(TESS_HEAP_ALIGNMENT) size_t size; /* with header; low bits are flags */
  size_t prev_size;                          /* of the left neighbour; 0: first of its run */
};

/* In the payload of a free block. */
typedef struct links {
  tess__heap_block *next;
  tess__heap_block *prev;
} links;

#define HEADER sizeof(tess__heap_block)
#define FLAG_FREE ((size_t)1)
#define FLAG_SMALL ((size_t)2)
#define FLAGS ((size_t)15)
#define MIN_BLOCK (HEADER + TESS_HEAP_ALIGNMENT)
/* Blocks looked at in one list before the best so far is taken. */
#define SCAN_LIMIT 64
/* Memory grows by this much at least, where the host has it. */
#define GROW_STEP ((size_t)1 << 20)

_Static_assert(sizeof(tess__heap_block) == TESS_HEAP_ALIGNMENT, "payloads must stay aligned");
_Static_assert(sizeof(links) <= TESS_HEAP_ALIGNMENT, "links must fit the smallest payload");

static size_t size_of(const tess__heap_block *block) {
  return block->size & ~FLAGS;
}

static bool is_free(const tess__heap_block *block) {
  return (block->size & FLAG_FREE) != 0;
}

static bool is_small(const tess__heap_block *block) {
  return (block->size & FLAG_SMALL) != 0;
}

static tess__heap_block *at(const void *base, size_t offset) {
  return (tess__heap_block *)(void *)((uint8_t *)(uintptr_t)base + offset);
}

static tess__heap_block *right_of(const tess__heap_block *block) {
  return at(block, size_of(block));
}

static tess__heap_block *left_of(const tess__heap_block *block) {
  return (tess__heap_block *)(void *)((uint8_t *)(uintptr_t)block - block->prev_size);
}

static void *payload_of(const tess__heap_block *block) {
  return (uint8_t *)(uintptr_t)block + HEADER;
}

static links *links_of(const tess__heap_block *block) {
  return payload_of(block);
}

static tess__heap_zone *zone_of(tess_heap *heap, const tess__heap_block *block) {
  return is_small(block) ? &heap->small : &heap->large;
}

/* ---- lists of free blocks ---- */

static unsigned class_of(size_t size) {
  unsigned log2 = (unsigned)(sizeof(unsigned long long) * 8 - 1) -
                  (unsigned)__builtin_clzll((unsigned long long)size);
  return (log2 - 4) * 4 + (unsigned)((size >> (log2 - 2)) & 3);
}

static void list_add(tess__heap_zone *zone, tess__heap_block *block) {
  unsigned class = class_of(size_of(block));
  links *mine = links_of(block);
  mine->next = zone->free[class];
  mine->prev = NULL;
  if (mine->next != NULL) links_of(mine->next)->prev = block;
  zone->free[class] = block;
  zone->occupied[class / 64] |= (uint64_t)1 << (class % 64);
}

static void list_remove(tess__heap_zone *zone, tess__heap_block *block) {
  unsigned class = class_of(size_of(block));
  links *mine = links_of(block);
  if (mine->next != NULL) links_of(mine->next)->prev = mine->prev;
  if (mine->prev != NULL) {
    links_of(mine->prev)->next = mine->next;
  } else {
    zone->free[class] = mine->next;
    if (mine->next == NULL) zone->occupied[class / 64] &= ~((uint64_t)1 << (class % 64));
  }
}

/* Smallest block of this list that holds `size`, among the first SCAN_LIMIT. */
static tess__heap_block *list_best(const tess__heap_zone *zone, unsigned class, size_t size) {
  tess__heap_block *best = NULL;
  unsigned looked_at = 0;
  for (tess__heap_block *block = zone->free[class]; block != NULL && looked_at < SCAN_LIMIT;
       block = links_of(block)->next, looked_at++) {
    if (size_of(block) < size) continue;
    if (best == NULL || size_of(block) < size_of(best)) best = block;
  }
  return best;
}

static tess__heap_block *zone_find(const tess__heap_zone *zone, size_t size) {
  unsigned class = class_of(size);
  tess__heap_block *found = list_best(zone, class, size);
  if (found != NULL) return found;
  for (unsigned next = class + 1; next < TESS_HEAP_CLASSES;) {
    uint64_t word = zone->occupied[next / 64] >> (next % 64);
    if (word == 0) {
      next = (next / 64 + 1) * 64;
      continue;
    }
    return list_best(zone, next + (unsigned)__builtin_ctzll(word), size);
  }
  return NULL;
}

/* ---- blocks ---- */

static void set_block(tess__heap_block *block, size_t size, size_t flags) {
  block->size = size | flags;
  right_of(block)->prev_size = size;
}

/* Makes the block free and merges it with free neighbours; the result is in its
 * list. */
static tess__heap_block *release(tess_heap *heap, tess__heap_block *block) {
  tess__heap_zone *zone = zone_of(heap, block);
  size_t flags = (block->size & FLAG_SMALL) | FLAG_FREE;
  size_t size = size_of(block);
  block->size |= FLAG_FREE; /* stays behind inside a merged block: a second free sees it */
  tess__heap_block *right = right_of(block);
  if (is_free(right)) {
    list_remove(zone, right);
    size += size_of(right);
  }
  if (block->prev_size != 0 && is_free(left_of(block))) {
    block = left_of(block);
    list_remove(zone, block);
    size += size_of(block);
  }
  set_block(block, size, flags);
  list_add(zone, block);
  return block;
}

/* Cuts a block in use down to `size`; what is over becomes free. */
static void trim(tess_heap *heap, tess__heap_block *block, size_t size) {
  size_t rest = size_of(block) - size;
  if (rest < MIN_BLOCK) return;
  size_t flags = block->size & FLAG_SMALL;
  set_block(block, size, flags);
  tess__heap_block *right = right_of(block);
  set_block(right, rest, flags);
  release(heap, right);
}

static void count(tess_heap *heap, size_t size) {
  heap->used_bytes += size;
  if (heap->used_bytes > heap->peak_bytes) heap->peak_bytes = heap->used_bytes;
}

/* ---- growing ---- */

/* Adds a free block of at least `size` at the end of the memory. */
static bool extend(tess_heap *heap, size_t size) {
  tess__heap_block *last = at(heap->end - HEADER, 0); /* the closing header */
  size_t have = last->prev_size != 0 && is_free(left_of(last)) ? last->prev_size : 0;
  size_t need = size - have;
  size_t got = 0;
  if (need < GROW_STEP) got = heap->grow(heap->ctx, GROW_STEP);
  if (got == 0) got = heap->grow(heap->ctx, need);
  got &= ~FLAGS;
  if (got < MIN_BLOCK) return false;
  heap->end += got;
  at(heap->end - HEADER, 0)->size = 0;
  set_block(last, got, 0);
  release(heap, last);
  return got >= need;
}

static bool add_chunk(tess_heap *heap);

/* A block of the zone, which gets more memory where it has none. */
static tess__heap_block *take(tess_heap *heap, tess__heap_zone *zone, size_t size) {
  tess__heap_block *block = zone_find(zone, size);
  if (block == NULL && (zone == &heap->large ? extend(heap, size) : add_chunk(heap)))
    block = zone_find(zone, size);
  if (block == NULL) return NULL;
  list_remove(zone, block);
  set_block(block, size_of(block), block->size & FLAG_SMALL);
  trim(heap, block, size);
  return block;
}

/* A chunk for small blocks: one free block and the closing header. */
static bool add_chunk(tess_heap *heap) {
  tess__heap_block *host = take(heap, &heap->large, TESS_HEAP_CHUNK);
  if (host == NULL) return false;
  count(heap, size_of(host));
  size_t room = size_of(host) - HEADER;
  tess__heap_block *first = payload_of(host);
  at(first, room - HEADER)->size = FLAG_SMALL;
  first->prev_size = 0;
  set_block(first, room - HEADER, FLAG_SMALL | FLAG_FREE);
  list_add(&heap->small, first);
  heap->small_chunks++;
  return true;
}

static void drop_chunk(tess_heap *heap, tess__heap_block *first) {
  list_remove(&heap->small, first);
  tess__heap_block *host = at((uint8_t *)first - HEADER, 0);
  heap->used_bytes -= size_of(host);
  heap->small_chunks--;
  release(heap, host);
}

/* ---- the calls ---- */

void tess_heap_init(tess_heap *heap, void *memory, size_t size,
                    size_t (*grow)(void *ctx, size_t size), void *ctx) {
  memset(heap, 0, sizeof *heap);
  heap->grow = grow;
  heap->ctx = ctx;
  uintptr_t start = ((uintptr_t)memory + FLAGS) & ~(uintptr_t)FLAGS;
  uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)FLAGS;
  heap->start = (uint8_t *)memory + (start - (uintptr_t)memory);
  heap->end = heap->start + (end - start);
  tess__heap_block *first = at(heap->start, 0);
  size_t room = (size_t)(heap->end - heap->start) - HEADER;
  at(heap->start, room)->size = 0;
  first->prev_size = 0;
  set_block(first, room, FLAG_FREE);
  list_add(&heap->large, first);
}

/* Size of the block that holds `size` bytes; 0: absurd. */
static size_t block_size(size_t size) {
  if (size > PTRDIFF_MAX - 2 * HEADER) return 0;
  size_t total = (size + HEADER + FLAGS) & ~FLAGS;
  return total < MIN_BLOCK ? MIN_BLOCK : total;
}

void *tess_heap_alloc(tess_heap *heap, size_t size) {
  size_t total = block_size(size);
  if (total == 0) return NULL;
  bool large = total >= TESS_HEAP_LARGE;
  tess__heap_block *block = take(heap, large ? &heap->large : &heap->small, total);
  if (block == NULL) return NULL;
  if (large) count(heap, size_of(block));
  return payload_of(block);
}

/* The block of a pointer that may be foreign; NULL: it is. */
static tess__heap_block *block_of(const tess_heap *heap, const void *pointer) {
  uintptr_t address = (uintptr_t)pointer;
  uintptr_t start = (uintptr_t)heap->start;
  uintptr_t end = (uintptr_t)heap->end;
  if (address % TESS_HEAP_ALIGNMENT != 0 || address < start + HEADER || address >= end - HEADER)
    return NULL;
  tess__heap_block *block = at((const uint8_t *)pointer - HEADER, 0);
  size_t size = size_of(block);
  if (is_free(block) || size < MIN_BLOCK || size > end - HEADER - (uintptr_t)block) return NULL;
  return right_of(block)->prev_size == size ? block : NULL;
}

bool tess_heap_free(tess_heap *heap, void *pointer) {
  if (pointer == NULL) return true;
  tess__heap_block *block = block_of(heap, pointer);
  if (block == NULL) return false;
  if (!is_small(block)) {
    heap->used_bytes -= size_of(block);
    release(heap, block);
    return true;
  }
  block = release(heap, block);
  /* A whole chunk is free: give it back, but keep the last one. */
  if (block->prev_size == 0 && size_of(right_of(block)) == 0 && heap->small_chunks > 1)
    drop_chunk(heap, block);
  return true;
}

size_t tess_heap_usable(const void *pointer) {
  return size_of(at((const uint8_t *)pointer - HEADER, 0)) - HEADER;
}

void *tess_heap_realloc(tess_heap *heap, void *pointer, size_t size) {
  if (pointer == NULL) return tess_heap_alloc(heap, size);
  tess__heap_block *block = block_of(heap, pointer);
  size_t total = block_size(size);
  if (block == NULL || total == 0) return NULL;
  size_t before = size_of(block);
  bool stays = !is_small(block) || total < TESS_HEAP_LARGE;
  tess__heap_block *right = right_of(block);
  if (stays && total > before && is_free(right) && before + size_of(right) >= total) {
    list_remove(zone_of(heap, block), right);
    set_block(block, before + size_of(right), block->size & FLAG_SMALL);
  }
  if (stays && total <= size_of(block)) {
    trim(heap, block, total);
    if (!is_small(block)) {
      heap->used_bytes -= before;
      count(heap, size_of(block));
    }
    return pointer;
  }
  void *moved = tess_heap_alloc(heap, size);
  if (moved == NULL) return NULL;
  memcpy(moved, pointer, before - HEADER < size ? before - HEADER : size);
  tess_heap_free(heap, pointer);
  return moved;
}

/* ---- for tests ---- */

/* Walks a run of blocks; counts its free ones. */
static bool check_run(const tess__heap_block *block, const void *end, bool small,
                      size_t *free_count) {
  size_t prev_size = 0;
  bool prev_free = false;
  for (;;) {
    if (block->prev_size != prev_size || is_small(block) != small) return false;
    if (size_of(block) == 0) return (const uint8_t *)block + HEADER == end && !is_free(block);
    if (size_of(block) < MIN_BLOCK || (prev_free && is_free(block))) return false;
    if (is_free(block)) (*free_count)++;
    prev_free = is_free(block);
    prev_size = size_of(block);
    if ((const uint8_t *)block + prev_size > (const uint8_t *)end - HEADER) return false;
    block = right_of(block);
  }
}

static bool check_lists(const tess__heap_zone *zone, bool small, size_t *listed) {
  for (unsigned class = 0; class < TESS_HEAP_CLASSES; class ++) {
    bool marked = (zone->occupied[class / 64] >> (class % 64) & 1) != 0;
    if (marked != (zone->free[class] != NULL)) return false;
    const tess__heap_block *prev = NULL;
    for (const tess__heap_block *b = zone->free[class]; b != NULL; b = links_of(b)->next) {
      if (!is_free(b) || is_small(b) != small || class_of(size_of(b)) != class) return false;
      if (links_of(b)->prev != prev) return false;
      prev = b;
      (*listed)++;
    }
  }
  return true;
}

bool tess_heap_check(const tess_heap *heap) {
  size_t in_runs = 0;
  size_t listed = 0;
  if (!check_run(at(heap->start, 0), heap->end, false, &in_runs)) return false;
  if (!check_lists(&heap->large, false, &listed)) return false;
  if (in_runs != listed) return false;
  listed = 0;
  return check_lists(&heap->small, true, &listed);
}
