/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_names.h"

#include "rpc/memory.h"

/* Up to so many names are compared each with each. */
enum { FEW_NAMES = 16 };

/* A name's first eight bytes as a number decide most comparisons. */
typedef struct ranked {
  uint64_t prefix;
  const tess__json_node *name;
} ranked;

static bool same(const tess__json_node *a, const tess__json_node *b) {
  return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

static const tess__json_node *twice_among_few(const tess__json_node *object) {
  const tess__json_node *names[FEW_NAMES], *end = object + object->span;
  size_t count = 0;
  for (const tess__json_node *at = object + 1; at < end; at = at + 1 + at[1].span) {
    for (size_t i = 0; i < count; i++) {
      if (same(names[i], at)) {
        return at;
      }
    }
    names[count++] = at;
  }
  return NULL;
}

static ranked rank_of(const tess__json_node *name) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < sizeof prefix; i++) {
    prefix = prefix << 8 | (i < name->size ? (uint8_t)name->text[i] : 0);
  }
  return (ranked){prefix, name};
}

/* Any order does in which equal names are neighbours. */
static bool before(const ranked *a, const ranked *b) {
  if (a->prefix != b->prefix) {
    return a->prefix < b->prefix;
  }
  if (a->name->size != b->name->size) {
    return a->name->size < b->name->size;
  }
  return memcmp(a->name->text, b->name->text, a->name->size) < 0;
}

/* Merges runs of doubled length until one is left; returns where that lies. */
static ranked *sort(ranked *from, ranked *to, size_t count) {
  for (size_t run = 1; run < count; run *= 2) {
    for (size_t begin = 0; begin < count; begin += 2 * run) {
      size_t middle = count - begin < run ? count : begin + run;
      size_t end = count - middle < run ? count : middle + run;
      size_t left = begin, right = middle;
      for (size_t i = begin; i < end; i++) {
        bool take_right = left == middle || (right < end && before(&from[right], &from[left]));
        to[i] = from[take_right ? right++ : left++];
      }
    }
    ranked *other = from;
    from = to;
    to = other;
  }
  return from;
}

bool tess__json_names_differ(const tess__json_node *object, const tess_allocator *allocator,
                             const tess__json_node **twice) {
  if (object->size <= FEW_NAMES) {
    *twice = twice_among_few(object);
    return true;
  }
  if (object->size > SIZE_MAX / (2 * sizeof(ranked))) {
    return false;
  }
  ranked *room = tess__alloc(allocator, object->size * 2 * sizeof *room);
  if (room == NULL) {
    return false;
  }
  const tess__json_node *end = object + object->span;
  size_t count = 0;
  for (const tess__json_node *at = object + 1; at < end; at = at + 1 + at[1].span) {
    room[count++] = rank_of(at);
  }
  const ranked *sorted = sort(room, room + count, count);
  *twice = NULL;
  for (size_t i = 1; i < count && *twice == NULL; i++) {
    *twice = same(sorted[i - 1].name, sorted[i].name) ? sorted[i].name : NULL;
  }
  tess__free(allocator, room);
  return true;
}
