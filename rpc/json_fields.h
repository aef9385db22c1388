/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the fields of a binary message lie: the occurrences of each field in the
 * order of the wire, as chains of positions. What the schema does not know, or has
 * in another form, is not among them.
 *
 *   tess__json_fields fields;
 *   code = tess__json_fields_index(&fields, schema, message, allocator);
 *   for (at = fields.chains[i].first; at != TESS__JSON_NO_FIELD; at = fields.occurrences[at].next)
 *     wire = tess__json_field_at(&fields, at);
 *   tess__json_fields_cleanup(&fields);
 *
 * Borrows the message. It stays where it was made: most of its memory lies in it.
 */
#ifndef TESSERA_RPC_JSON_FIELDS_H
#define TESSERA_RPC_JSON_FIELDS_H

#include <tessera/memory.h>
#include <tessera/schema.h>

#include "rpc/wire.h"

#define TESS__JSON_NO_FIELD UINT32_MAX

typedef struct tess__json_occurrence {
  uint32_t offset; /* of the tag, in the message */
  uint32_t next;   /* index of the field's next occurrence */
} tess__json_occurrence;

typedef struct tess__json_chain {
  uint32_t first, last; /* indices of occurrences */
  uint32_t count;
} tess__json_chain;

enum { TESS__JSON_FEW_FIELDS = 24, TESS__JSON_FEW_OCCURRENCES = 32 };

typedef struct tess__json_fields {
  const uint8_t *data;
  size_t size;
  const tess_allocator *allocator;
  tess__json_occurrence *occurrences;
  tess__json_chain *chains; /* one for each field of the schema */
  /* Messages nest at most TESS__WIRE_MAX_DEPTH deep, so this may lie on the stack. */
  tess__json_chain few_chains[TESS__JSON_FEW_FIELDS];
  tess__json_occurrence few_occurrences[TESS__JSON_FEW_OCCURRENCES];
} tess__json_fields;

/* TESS_INVALID_ARGUMENT: malformed; TESS_RESOURCE_EXHAUSTED: 4 GiB and more, or no
 * memory. Undo with cleanup, after an error too. */
tess_code tess__json_fields_index(tess__json_fields *fields, const tess_message_schema *schema,
                                  tess_slice message, const tess_allocator *allocator);
void tess__json_fields_cleanup(tess__json_fields *fields);
tess__wire_field tess__json_field_at(const tess__json_fields *fields, uint32_t index);
/* Of a map's entries with the same key the last counts: takes the others out of the
 * chain. Codes as above. */
tess_code tess__json_fields_keep_last_entries(tess__json_fields *fields,
                                              const tess_field_schema *field,
                                              tess__json_chain *entries);

#endif
