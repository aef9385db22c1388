/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_tree.h"

#include <yajl/yajl_parse.h>

#include "rpc/json_names.h"
#include "rpc/json_scan.h"
#include "rpc/memory.h"

/* ---- yajl's memory ----
 * yajl does not look whether it got what it asked for, so it takes from a block
 * that is large enough for all it can ask for. */

typedef struct region {
  uint8_t *at;
  size_t left;
} region;

enum {
  ALIGNMENT = 16,
  /* Its handle, lexer and buffers (under 300 bytes), the stack of its states (grown
   * by 128 bytes up to one state for each level), the first 2 KiB of its two
   * buffers, and what it says of an error (under 200 bytes). */
  REGION_BYTES = 6 * 1024 + 256
};
_Static_assert(TESS__JSON_TREE_DEPTH <= 256, "REGION_BYTES has room for that many states");

static void *region_alloc(void *ctx, size_t size) {
  region *from = ctx;
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (size + ALIGNMENT > from->left) {
    return NULL;
  }
  uint8_t *piece = from->at;
  memcpy(piece, &size, sizeof size);
  from->at += size + ALIGNMENT;
  from->left -= size + ALIGNMENT;
  return piece + ALIGNMENT;
}

static void *region_realloc(void *ctx, void *ptr, size_t size) {
  size_t old_size = 0;
  if (ptr != NULL) {
    memcpy(&old_size, (uint8_t *)ptr - ALIGNMENT, sizeof old_size);
  }
  if (ptr != NULL && size <= old_size) {
    return ptr;
  }
  void *fresh = region_alloc(ctx, size);
  if (fresh != NULL && old_size > 0) {
    memcpy(fresh, ptr, old_size);
  }
  return fresh;
}

static void region_free(void *ctx, void *ptr) {
  (void)ctx;
  (void)ptr;
}

/* A buffer that comes to hold n bytes was doubled from 2 KiB to at most 2 (n + 1),
 * and all its former selves are still there. */
static size_t buffer_bytes(size_t content) {
  return content < 2000 ? 0 : 4 * (content + 1) + 1024;
}

/* ---- nodes ---- */

typedef struct builder {
  tess__json_tree *tree;
  const tess_allocator *allocator;
  tess_slice text;
  size_t capacity;
  uint32_t open[TESS__JSON_TREE_DEPTH]; /* the containers around what comes */
  size_t depth;
  bool no_memory;
  const tess__json_node *twice; /* a name that an object holds already */
} builder;

static bool add(builder *to, tess__json_type type, const char *text, size_t size) {
  tess__json_tree *tree = to->tree;
  if (tree->count == to->capacity) {
    return false; /* the scan counted at least as many as there are */
  }
  tree->nodes[tree->count++] = (tess__json_node){text, size, 1, (uint8_t)type};
  return true;
}

/* One more element or member of the container around it. */
static void count_in(builder *to) {
  if (to->depth > 0) {
    to->tree->nodes[to->open[to->depth - 1]].size++;
  }
}

static bool add_value(builder *to, tess__json_type type, const char *text, size_t size) {
  const tess__json_node *around = to->depth > 0 ? &to->tree->nodes[to->open[to->depth - 1]] : NULL;
  if (around != NULL && around->type == TESS__JSON_IS_ARRAY) {
    count_in(to); /* members are counted by name */
  }
  return add(to, type, text, size);
}

/* Text of yajl's own buffer is copied; what lies in the input is borrowed. */
static const char *keep(builder *to, const void *text, size_t size) {
  uintptr_t at = (uintptr_t)text, begin = (uintptr_t)to->text.data;
  if (at >= begin && at - begin < to->text.size) {
    return text;
  }
  char *copy = tess_arena_alloc(&to->tree->arena, size);
  if (copy == NULL) {
    to->no_memory = true;
  } else if (size > 0) {
    memcpy(copy, text, size);
  }
  return copy;
}

static int on_null(void *ctx) {
  return add_value(ctx, TESS__JSON_IS_NULL, NULL, 0);
}

static int on_boolean(void *ctx, int value) {
  return add_value(ctx, value ? TESS__JSON_IS_TRUE : TESS__JSON_IS_FALSE, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t size) {
  const char *kept = keep(ctx, text, size);
  return kept != NULL && add_value(ctx, TESS__JSON_IS_NUMBER, kept, size);
}

static int on_string(void *ctx, const unsigned char *text, size_t size) {
  const char *kept = keep(ctx, text, size);
  return kept != NULL && add_value(ctx, TESS__JSON_IS_STRING, kept, size);
}

static int on_name(void *ctx, const unsigned char *text, size_t size) {
  const char *kept = keep(ctx, text, size);
  count_in(ctx);
  return kept != NULL && add(ctx, TESS__JSON_IS_STRING, kept, size);
}

static int begin(builder *to, tess__json_type type) {
  size_t index = to->tree->count;
  if (to->depth == TESS__JSON_TREE_DEPTH || !add_value(to, type, NULL, 0)) {
    return 0; /* not more than the scan allows */
  }
  to->open[to->depth++] = (uint32_t)index;
  return 1;
}

static tess__json_node *end(builder *to) {
  tess__json_node *node = &to->tree->nodes[to->open[--to->depth]];
  node->span = (uint32_t)(&to->tree->nodes[to->tree->count] - node);
  return node;
}

static int on_object(void *ctx) {
  return begin(ctx, TESS__JSON_IS_OBJECT);
}

static int on_object_end(void *ctx) {
  builder *to = ctx;
  to->no_memory = !tess__json_names_differ(end(to), to->allocator, &to->twice);
  return !to->no_memory && to->twice == NULL;
}

static int on_array(void *ctx) {
  return begin(ctx, TESS__JSON_IS_ARRAY);
}

static int on_array_end(void *ctx) {
  end(ctx);
  return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_name,
    .yajl_end_map = on_object_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

/* ---- the whole text ---- */

/* yajl's reason, which is a line "parse error: why.\n", without its frame. It is the
 * region's. */
static const char *reason(yajl_handle parser) {
  char *text = (char *)yajl_get_error(parser, 0, NULL, 0);
  if (text == NULL) return "unexpected text";
  size_t size = strlen(text);
  while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '.'))
    text[--size] = 0;
  const char *why = strstr(text, "error: ");
  return why != NULL ? why + strlen("error: ") : text;
}

/* NULL: the text is one value. Else what is wrong, and *at is behind it. */
static const char *parse(builder *to, region *memory, size_t *at) {
  yajl_alloc_funcs functions = {region_alloc, region_realloc, region_free, memory};
  yajl_handle parser = yajl_alloc(&callbacks, &functions, to);
  const char *why = NULL;
  if (parser == NULL) {
    to->no_memory = true;
    return "";
  }
  yajl_config(parser, yajl_dont_validate_strings, 1); /* the scan did, strictly */
  if (yajl_parse(parser, to->text.data, to->text.size) != yajl_status_ok) {
    *at = yajl_get_bytes_consumed(parser);
    why = reason(parser);
  } else if (yajl_complete_parse(parser) != yajl_status_ok) {
    *at = to->text.size;
    why = "it ends too early";
  }
  yajl_free(parser);
  return why;
}

/* at: how many bytes are right, or end with what is wrong; 0: nobody knows. */
static tess_code malformed(tess_slice text, size_t at, const char *why, tess_status *status) {
  const char *bytes = text.data;
  size_t line = 1, begin = 0;
  for (size_t i = 0; i + 1 < at && i < text.size; i++) {
    if (bytes[i] == '\n') {
      line++;
      begin = i + 1;
    }
  }
  if (at == 0) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "not valid JSON: %s", why);
  }
  return tess_status_set(status, TESS_INVALID_ARGUMENT,
                         "not valid JSON: line %zu, about byte %zu: %s", line, at - begin, why);
}

static tess_code out_of_memory(tess_status *status) {
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
}

tess_code tess__json_tree_parse(tess__json_tree *tree, tess_slice text, size_t max_values,
                                const tess_allocator *allocator, tess_status *status) {
  tess__json_shape shape;
  size_t at;
  if (text.data == NULL) text.data = ""; /* no body at all */
  tree->nodes = NULL;
  tree->count = 0;
  tess__arena_init_with(&tree->arena, allocator, 0, tree->room, sizeof tree->room);
  const char *wrong = tess__json_scan(text.data, text.size, &shape, &at);
  if (wrong != NULL) {
    return malformed(text, at, wrong, status);
  }
  if (shape.values > max_values || shape.values >= UINT32_MAX ||
      shape.values > SIZE_MAX / sizeof *tree->nodes || text.size > SIZE_MAX / 16) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "JSON: more than %zu values",
                           max_values);
  }
  builder to = {.tree = tree,
                .allocator = allocator,
                .text = {text.data, shape.size},
                .capacity = shape.values};
  /* A number at the end of the text goes through a buffer, since it could go on. */
  region memory = {.left = REGION_BYTES + buffer_bytes(shape.escaped) + buffer_bytes(shape.tail)};
  memory.at = tess_arena_alloc(&tree->arena, memory.left);
  tree->nodes = tess_arena_alloc(&tree->arena, shape.values * sizeof *tree->nodes);
  if (memory.at == NULL || tree->nodes == NULL) {
    return out_of_memory(status);
  }
  wrong = parse(&to, &memory, &at);
  if (wrong == NULL) {
    return TESS_OK;
  }
  if (to.no_memory) {
    return out_of_memory(status);
  }
  if (to.twice != NULL) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "JSON: the name %.*s comes twice",
                           tess__json_shown(to.twice, 64), to.twice->text);
  }
  return malformed(text, at, wrong, status);
}

int tess__json_shown(const tess__json_node *text, size_t most) {
  size_t size = text->size;
  if (size > most) {
    size = most;
    while (size > 0 && ((unsigned char)text->text[size] & 0xc0) == 0x80) {
      size--; /* never half a character */
    }
  }
  return (int)size;
}

void tess__json_tree_cleanup(tess__json_tree *tree) {
  tess_arena_cleanup(&tree->arena);
  tree->nodes = NULL;
  tree->count = 0;
}
