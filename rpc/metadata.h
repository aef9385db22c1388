/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata calls for the core itself, which knows what it adds.
 */
#ifndef TESSERA_RPC_METADATA_H
#define TESSERA_RPC_METADATA_H

#include <tessera/metadata.h>

/* Appends without a copy or a check: name (lower case) and value outlive the
 * metadata. */
tess_code tess__metadata_add_static(tess_metadata *metadata, const char *name, const char *value,
                                    size_t value_size);
/* tess_metadata_append with a prefix before each name. */
tess_code tess__metadata_append_prefixed(tess_metadata *to, const char *prefix,
                                         const tess_metadata *from);

/* Adds the header of a line, "name: value", white space around the value aside.
 * TESS_INVALID_ARGUMENT: it has no colon, or tess_metadata_add_n refuses it. */
tess_code tess__metadata_add_line(tess_metadata *metadata, const char *line, size_t size);

static inline char tess__ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
/* Same text, ASCII case aside. */
bool tess__ascii_equal(const char *a, size_t a_size, const char *b);

#endif
