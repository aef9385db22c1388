/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids for things that the module knows by number: positive 32-bit integers that
 * are not used again soon, so that a late answer for an old id finds nothing.
 *
 * The number of things alive at a time is fixed when it is made.
 * Threads: one at a time.
 */
#ifndef TESSERA_SERVER_SLOTS_H
#define TESSERA_SERVER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tess_slots {
  struct tess__slot *slots; /* private, `capacity` of them (a power of two) */
  uint32_t capacity;
  uint32_t used;
  uint32_t first_free, last_free; /* the longest free is taken first */
} tess_slots;

/* max_count is rounded up to a power of two, 2 at least; at most 2^20. False: no
 * memory, or too many. */
bool tess_slots_init(tess_slots *slots, uint32_t max_count);
void tess_slots_cleanup(tess_slots *slots);
/* An id for `thing` (not NULL); 0: all are taken. */
int32_t tess_slots_add(tess_slots *slots, void *thing);
/* NULL: no such id (any more). */
void *tess_slots_get(const tess_slots *slots, int32_t id);
void tess_slots_remove(tess_slots *slots, int32_t id);
/* The thing in slot `index` < capacity, or NULL: to visit all. */
void *tess_slots_at(const tess_slots *slots, uint32_t index);

#endif
