/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON text as a tree: one array of nodes in the order of the text, strings in
 * place where they hold no escape. yajl parses; what it is lenient about is checked
 * before (json_scan.h), and names that come twice are found here.
 *
 * An object's children are name, value, name, value, ...; an array's its elements:
 *
 *   for (at = node + 1, end = node + node->span; at < end; at += at->span)
 *
 * The tree borrows the text. It lives where it was made (yajl's memory lies in it);
 * use it by one thread.
 */
#ifndef TESSERA_RPC_JSON_TREE_H
#define TESSERA_RPC_JSON_TREE_H

#include <string.h>

#include <tessera/memory.h>

typedef enum tess__json_type {
  TESS__JSON_IS_NULL,
  TESS__JSON_IS_FALSE,
  TESS__JSON_IS_TRUE,
  TESS__JSON_IS_NUMBER,
  TESS__JSON_IS_STRING,
  TESS__JSON_IS_ARRAY,
  TESS__JSON_IS_OBJECT
} tess__json_type;

typedef struct tess__json_node {
  const char *text; /* strings: UTF-8 without escapes; numbers: as they stand. Not
                       terminated: NULs may be inside */
  size_t size;      /* of text; of a container: elements or members */
  uint32_t span;    /* nodes of the value, itself included */
  uint8_t type;     /* tess__json_type */
} tess__json_node;

enum { TESS__JSON_TREE_ROOM = 12 * 1024 };

typedef struct tess__json_tree {
  tess__json_node *nodes; /* nodes[0] is the whole text's value */
  size_t count;
  tess_arena arena;
  uint8_t room[TESS__JSON_TREE_ROOM]; /* the arena's first memory */
} tess__json_tree;

/* TESS_INVALID_ARGUMENT: not JSON, a name twice in an object, nested too deep;
 * TESS_RESOURCE_EXHAUSTED: more than max_values values and names, or no memory.
 * Undo with cleanup, after an error too. */
tess_code tess__json_tree_parse(tess__json_tree *tree, tess_slice text, size_t max_values,
                                const tess_allocator *allocator, tess_status *status);
void tess__json_tree_cleanup(tess__json_tree *tree);

/* How many bytes of a text belong into an error: at most so many, whole characters. */
int tess__json_shown(const tess__json_node *text, size_t most);
/* A string node that is this text. */
static inline bool tess__json_is(const tess__json_node *node, const char *text) {
  return node->type == TESS__JSON_IS_STRING && strlen(text) == node->size &&
         memcmp(node->text, text, node->size) == 0;
}

#endif
