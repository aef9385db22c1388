/* SPDX-License-Identifier: Apache-2.0
 *
 * Does an object of a JSON tree hold a name twice? Without hashing, so that no
 * sender can choose names that make it slow: n log n comparisons at worst.
 */
#ifndef TESSERA_RPC_JSON_NAMES_H
#define TESSERA_RPC_JSON_NAMES_H

#include "rpc/json_tree.h"

/* *twice: a name that comes again; NULL: none does. False: no memory. */
bool tess__json_names_differ(const tess__json_node *object, const tess_allocator *allocator,
                             const tess__json_node **twice);

#endif
