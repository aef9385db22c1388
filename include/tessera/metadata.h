/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata: an ordered list of (name, value), names repeatable, as HTTP headers
 * and trailers carry it. Names are kept in lower case. A name that ends in
 * "-bin" carries bytes: the value is unpadded base64 on the wire and plain
 * bytes through the _binary calls. What came joined, "AP8, AQ", is added as an entry
 * for each of its values, of which there may be 64.
 * Source: https://connectrpc.com/docs/protocol ("Custom-Metadata"), RFC 9110 5.
 */
#ifndef TESSERA_METADATA_H
#define TESSERA_METADATA_H

#include <tessera/memory.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_metadata_entry {
  const char *name;  /* lower case, NUL-terminated */
  const char *value; /* as on the wire, NUL-terminated */
  size_t value_size;
} tess_metadata_entry;

typedef struct tess_metadata {
  tess_metadata_entry *entries; /* in order of arrival */
  size_t count;
  size_t capacity;    /* private */
  size_t max_bytes;   /* bound on names plus values; 0: no limit */
  tess_arena storage; /* private; storage.used_bytes counts towards max_bytes */
  size_t bytes;       /* names plus values so far */
} tess_metadata;

void tess_metadata_init(tess_metadata *metadata, const tess_allocator *allocator, size_t max_bytes);
void tess_metadata_cleanup(tess_metadata *metadata);
/* Empties it and keeps its limits. */
void tess_metadata_clear(tess_metadata *metadata);

/* Appends a copy. TESS_INVALID_ARGUMENT: the name is no HTTP token or the value
 * holds a control character (CR, LF, NUL, ...); TESS_RESOURCE_EXHAUSTED: over
 * max_bytes or out of memory. */
tess_code tess_metadata_add(tess_metadata *metadata, const char *name, const char *value);
tess_code tess_metadata_add_n(tess_metadata *metadata, const char *name, size_t name_size,
                              const char *value, size_t value_size);
/* name must end in "-bin". */
tess_code tess_metadata_add_binary(tess_metadata *metadata, const char *name, const void *value,
                                   size_t value_size);
/* First value of a name (any case), or NULL. Borrowed until the next change. */
const char *tess_metadata_get(const tess_metadata *metadata, const char *name);
/* Entry at or after `from` with this name, or NULL: walk repeats with
 * `entry = tess_metadata_find(m, name, (size_t)(entry - m->entries) + 1)`. */
const tess_metadata_entry *tess_metadata_find(const tess_metadata *metadata, const char *name,
                                              size_t from);
/* Decodes a "-bin" value (padded or not) into the arena. TESS_INVALID_ARGUMENT
 * where it is not base64. */
tess_code tess_metadata_decode_binary(const tess_metadata_entry *entry, tess_arena *arena,
                                      tess_slice *out);
tess_code tess_metadata_append(tess_metadata *to, const tess_metadata *from);

#ifdef __cplusplus
}
#endif
#endif
