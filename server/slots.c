/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slots.h"

#include <stdlib.h>

#define MAX_CAPACITY (1u << 20)
#define NONE UINT32_MAX

struct tess__slot {
  void *thing;         /* NULL: free */
  uint32_t generation; /* of the id in use, or of the last one */
  uint32_t next_free;
};

bool tess_slots_init(tess_slots *slots, uint32_t max_count) {
  uint32_t capacity = 2;
  *slots = (tess_slots){NULL, 0, 0, 0, 0};
  if (max_count > MAX_CAPACITY) return false;
  while (capacity < max_count)
    capacity *= 2;
  slots->slots = calloc(capacity, sizeof *slots->slots);
  if (slots->slots == NULL) return false;
  for (uint32_t i = 0; i < capacity; i++)
    slots->slots[i].next_free = i + 1;
  slots->slots[capacity - 1].next_free = NONE;
  slots->capacity = capacity;
  slots->last_free = capacity - 1;
  return true;
}

void tess_slots_cleanup(tess_slots *slots) {
  free(slots->slots);
  *slots = (tess_slots){NULL, 0, 0, 0, 0};
}

/* id = generation * capacity + index: positive while generation >= 1 and the
 * product stays below 2^31. */
int32_t tess_slots_add(tess_slots *slots, void *thing) {
  uint32_t index = slots->first_free;
  if (index == NONE) return 0;
  struct tess__slot *slot = &slots->slots[index];
  slots->first_free = slot->next_free;
  if (slots->first_free == NONE) slots->last_free = NONE;
  uint32_t generations = (uint32_t)INT32_MAX / slots->capacity;
  slot->generation = slot->generation % (generations - 1) + 1;
  slot->thing = thing;
  slots->used++;
  return (int32_t)(slot->generation * slots->capacity + index);
}

static struct tess__slot *find(const tess_slots *slots, int32_t id) {
  if (id <= 0) return NULL;
  struct tess__slot *slot = &slots->slots[(uint32_t)id & (slots->capacity - 1)];
  bool same = slot->thing != NULL && slot->generation == (uint32_t)id / slots->capacity;
  return same ? slot : NULL;
}

void *tess_slots_get(const tess_slots *slots, int32_t id) {
  const struct tess__slot *slot = find(slots, id);
  return slot == NULL ? NULL : slot->thing;
}

void tess_slots_remove(tess_slots *slots, int32_t id) {
  struct tess__slot *slot = find(slots, id);
  if (slot == NULL) return;
  uint32_t index = (uint32_t)(slot - slots->slots);
  slot->thing = NULL;
  slot->next_free = NONE;
  if (slots->last_free == NONE) {
    slots->first_free = index;
  } else {
    slots->slots[slots->last_free].next_free = index;
  }
  slots->last_free = index;
  slots->used--;
}

void *tess_slots_at(const tess_slots *slots, uint32_t index) {
  return slots->slots[index].thing;
}
