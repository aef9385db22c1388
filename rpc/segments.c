/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments: a list of slices; copied pieces lie in an arena and are merged with
 * the piece before them when they follow it in memory.
 */
#include "rpc/memory.h"

#include <string.h>

enum { FIRST_SLOTS = 8, TAIL_BYTES = 256 };

void tess_segments_init(tess_segments *segments, const tess_allocator *allocator,
                        size_t max_bytes) {
  *segments = (tess_segments){.max_bytes = max_bytes};
  tess_arena_init(&segments->storage, allocator, 0);
}

void tess_segments_cleanup(tess_segments *segments) {
  tess__free(segments->storage.allocator, segments->slots);
  tess_arena_cleanup(&segments->storage);
  tess_segments_init(segments, segments->storage.allocator, segments->max_bytes);
}

void tess__segments_clear(tess_segments *segments) {
  tess__arena_reset(&segments->storage);
  segments->count = 0;
  segments->total_bytes = 0;
  segments->tail = NULL;
  segments->tail_room = 0;
}

static bool within_limit(const tess_segments *segments, size_t size) {
  if (size > SIZE_MAX - segments->total_bytes) return false;
  return segments->max_bytes == 0 || segments->total_bytes + size <= segments->max_bytes;
}

static bool add_slot(tess_segments *segments, const void *data, size_t size) {
  if (segments->count == segments->capacity) {
    size_t capacity = segments->capacity == 0 ? FIRST_SLOTS : segments->capacity * 2;
    if (capacity > SIZE_MAX / sizeof *segments->slots) return false;
    tess_slice *slots =
        tess__realloc(segments->storage.allocator, segments->slots, capacity * sizeof *slots);
    if (slots == NULL) return false;
    segments->slots = slots;
    segments->items = slots;
    segments->capacity = capacity;
  }
  segments->slots[segments->count++] = (tess_slice){data, size};
  segments->total_bytes += size;
  return true;
}

uint8_t *tess__segments_reserve(tess_segments *segments, size_t size) {
  if (!within_limit(segments, size)) return NULL;
  if (size > segments->tail_room) {
    size_t room = size > TAIL_BYTES ? size : TAIL_BYTES;
    uint8_t *tail = tess_arena_alloc(&segments->storage, room);
    if (tail == NULL) return NULL;
    segments->tail = tail;
    segments->tail_room = room;
  }
  uint8_t *piece = segments->tail;
  tess_slice *last = segments->count != 0 ? &segments->slots[segments->count - 1] : NULL;
  if (last != NULL && (const uint8_t *)last->data + last->size == piece) {
    last->size += size;
    segments->total_bytes += size;
  } else if (!add_slot(segments, piece, size)) {
    return NULL;
  }
  segments->tail += size;
  segments->tail_room -= size;
  return piece;
}

tess_code tess_segments_copy(tess_segments *segments, const void *data, size_t size) {
  if (size == 0) return TESS_OK;
  uint8_t *piece = tess__segments_reserve(segments, size);
  if (piece == NULL) return TESS_RESOURCE_EXHAUSTED;
  memcpy(piece, data, size);
  return TESS_OK;
}

tess_code tess_segments_borrow(tess_segments *segments, const void *data, size_t size) {
  if (size == 0) return TESS_OK;
  if (!within_limit(segments, size) || !add_slot(segments, data, size))
    return TESS_RESOURCE_EXHAUSTED;
  return TESS_OK;
}

void tess__segments_flatten(const tess_segments *segments, uint8_t *to) {
  for (size_t i = 0; i < segments->count; i++) {
    memcpy(to, segments->items[i].data, segments->items[i].size);
    to += segments->items[i].size;
  }
}
