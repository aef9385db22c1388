/* SPDX-License-Identifier: Apache-2.0 */
#include "method_names.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"

/* What follows a service's prefix, and a method's, in names of either runtime. */
static const char *const service_endings[] = {"_handlers",    "_register",     "_pb_c",
                                              "_nanopb",      "_methods_pb_c", "_methods_nanopb",
                                              "_thunks_pb_c", "_thunks_nanopb"};
static const char *const method_endings[] = {"",      "_start", "_response_clear", "_reply",
                                             "_send", "_open",  "_write",          "_done_writing",
                                             "_read", "_close", "_call_send"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Names in use, in open addressing; never full. */
typedef struct name_set {
  const char **slots;
  size_t capacity;
} name_set;

static size_t slot_of(const name_set *set, const char *name) {
  size_t hash = 5381;
  for (const char *c = name; *c; c++)
    hash = hash * 33 + (unsigned char)*c;
  size_t slot = hash % set->capacity;
  while (set->slots[slot] && strcmp(set->slots[slot], name) != 0)
    slot = (slot + 1) % set->capacity;
  return slot;
}

static bool has(const name_set *set, const char *name) {
  return set->slots[slot_of(set, name)] != NULL;
}

static void take(name_set *set, const char *name) {
  if (name) set->slots[slot_of(set, name)] = name;
}

/* True when the pool fails, too: the caller's next allocation tells. */
static bool are_free(pool *memory, const name_set *set, const char *stem,
                     const char *const *endings, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *name = pool_printf(memory, "%s%s", stem, endings[i]);
    if (name && has(set, name)) return false;
  }
  return true;
}

static bool call_is_free(pool *memory, const name_set *set, const char *call) {
  return are_free(memory, set, call, method_endings, COUNT(method_endings));
}

static bool prefix_is_free(pool *memory, const name_set *set, const char *prefix) {
  return are_free(memory, set, prefix, service_endings, COUNT(service_endings));
}

static bool member_is_free(const model_service *service, size_t before, const char *member) {
  if (name_is_reserved(member)) return false;
  for (size_t i = 0; i < before; i++)
    if (strcmp(service->methods[i].member, member) == 0) return false;
  return true;
}

static bool assign(pool *memory, name_set *set, const model_service *service, size_t index) {
  model_method *method = &service->methods[index];
  const char *snake = name_snake(memory, method->proto->name);
  if (!snake) return false;
  const char *call = pool_printf(memory, "%s_%s", service->prefix, snake);
  while (call && !call_is_free(memory, set, call))
    call = pool_printf(memory, "%s_", call);
  const char *member = snake;
  while (member && !member_is_free(service, index, member))
    member = pool_printf(memory, "%s_", member);
  if (!call || !member) return false;
  for (size_t i = 0; i < COUNT(method_endings); i++)
    take(set, pool_printf(memory, "%s%s", call, method_endings[i]));
  method->call = call;
  method->member = member;
  return !memory->failed;
}

bool method_names_assign(pool *memory, model_file *file) {
  size_t names = 2 * file->message_count;
  for (size_t i = 0; i < file->service_count; i++)
    names += COUNT(service_endings) + COUNT(method_endings) * file->services[i].method_count;
  name_set set = {.capacity = 2 * names + 1};
  set.slots = pool_alloc(memory, set.capacity, sizeof *set.slots);
  if (!set.slots) return false;

  /* nanopb's structs share the name space of our functions; protoc-c's have a
   * capital or two underscores where ours have neither, but cost nothing. */
  for (size_t i = 0; i < file->message_count; i++) {
    take(&set, file->messages[i].nanopb_name);
    take(&set, file->messages[i].protobuf_c_struct);
  }
  for (size_t i = 0; i < file->service_count; i++) {
    model_service *service = &file->services[i];
    const char *prefix = service->prefix;
    while (prefix && !prefix_is_free(memory, &set, prefix))
      prefix = pool_printf(memory, "%s_", prefix);
    if (!prefix) return false;
    service->prefix = prefix;
    for (size_t j = 0; j < COUNT(service_endings); j++)
      take(&set, pool_printf(memory, "%s%s", prefix, service_endings[j]));
  }
  for (size_t i = 0; i < file->service_count; i++)
    for (size_t j = 0; j < file->services[i].method_count; j++)
      if (!assign(memory, &set, &file->services[i], j)) return false;
  return !memory->failed;
}
