/* SPDX-License-Identifier: Apache-2.0
 *
 * The router: a hash table with open addressing.
 */
#include "rpc/router.h"

#include "rpc/memory.h"

#include <string.h>

struct tess__router_slot {
  uint64_t hash;
  size_t path_size;
  tess__route route; /* method == NULL: free */
};

enum { FIRST_SLOTS = 16 };

/* Multiply and fold, eight bytes at a time. */
static uint64_t hash_path(const char *path, size_t size) {
  uint64_t hash = size * UINT64_C(0x9E3779B97F4A7C15);
  while (size > 0) {
    uint64_t word = 0;
    size_t step = size < sizeof word ? size : sizeof word;
    memcpy(&word, path, step);
    hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    hash ^= hash >> 32;
    path += step;
    size -= step;
  }
  return hash;
}

void tess__router_init(tess__router *router, const tess_allocator *allocator) {
  *router = (tess__router){.allocator = tess__allocator_or_default(allocator)};
}

void tess__router_cleanup(tess__router *router) {
  tess__free(router->allocator, router->slots);
  tess__router_init(router, router->allocator);
}

/* The slot of the path, or the free one where it would stand. */
static struct tess__router_slot *find_slot(const tess__router *router, const char *path,
                                           size_t size, uint64_t hash) {
  size_t mask = router->capacity - 1;
  for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
    struct tess__router_slot *slot = &router->slots[i];
    if (slot->route.method == NULL) return slot;
    if (slot->hash == hash && slot->path_size == size &&
        memcmp(slot->route.method->path, path, size) == 0)
      return slot;
  }
}

static tess_code grow(tess__router *router) {
  size_t capacity = router->capacity == 0 ? FIRST_SLOTS : router->capacity * 2;
  if (capacity > SIZE_MAX / sizeof *router->slots) return TESS_RESOURCE_EXHAUSTED;
  tess__router grown = *router;
  grown.capacity = capacity;
  grown.slots = tess__alloc(router->allocator, capacity * sizeof *grown.slots);
  if (grown.slots == NULL) return TESS_RESOURCE_EXHAUSTED;
  memset(grown.slots, 0, capacity * sizeof *grown.slots);
  for (size_t i = 0; i < router->capacity; i++) {
    const struct tess__router_slot *slot = &router->slots[i];
    if (slot->route.method != NULL)
      *find_slot(&grown, slot->route.method->path, slot->path_size, slot->hash) = *slot;
  }
  tess__free(router->allocator, router->slots);
  *router = grown;
  return TESS_OK;
}

tess_code tess__router_add(tess__router *router, const tess__route *route) {
  if (router->count * 2 >= router->capacity) {
    tess_code code = grow(router);
    if (code != TESS_OK) return code;
  }
  size_t size = strlen(route->method->path);
  uint64_t hash = hash_path(route->method->path, size);
  struct tess__router_slot *slot = find_slot(router, route->method->path, size, hash);
  if (slot->route.method != NULL) return TESS_ALREADY_EXISTS;
  *slot = (struct tess__router_slot){hash, size, *route};
  router->count++;
  return TESS_OK;
}

const tess__route *tess__router_find(const tess__router *router, const char *path) {
  if (router->count == 0) return NULL;
  size_t size = strlen(path);
  const struct tess__router_slot *slot = find_slot(router, path, size, hash_path(path, size));
  return slot->route.method != NULL ? &slot->route : NULL;
}
