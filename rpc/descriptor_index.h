/* SPDX-License-Identifier: Apache-2.0
 *
 * What the descriptors that a program carries declare, found by name: files,
 * symbols, extensions. Made once of constant data; constant afterwards, so any
 * thread may ask.
 * Source: google/protobuf/descriptor.proto.
 */
#ifndef TESSERA_RPC_DESCRIPTOR_INDEX_H
#define TESSERA_RPC_DESCRIPTOR_INDEX_H

#include <tessera/memory.h>
#include <tessera/schema.h>

#define TESS__NO_FILE SIZE_MAX

typedef struct tess__symbol {
  const char *name; /* full name, without a leading dot */
  size_t file;      /* that declares it */
  bool is_message;
} tess__symbol;

typedef struct tess__extension {
  const char *extendee; /* full name, without a leading dot */
  int32_t number;
  size_t file;
} tess__extension;

typedef struct tess__indexed_file {
  const tess_file_schema *schema;
  tess_slice descriptor; /* the schema's, less imports that are nowhere (see below) */
} tess__indexed_file;

/* A file that was imported for its options alone (nanopb.proto) is not part of a
 * program. Who reads the descriptors could not resolve such an import: it is cut
 * out, and the options stay as unknown fields. */
typedef struct tess__descriptor_index {
  tess_arena arena;
  tess__indexed_file *files; /* what a file imports stands before it */
  size_t file_count;
  tess__symbol *symbols; /* by name */
  size_t symbol_count;
  tess__extension *extensions; /* by extendee and number */
  size_t extension_count;
  /* while it is made */
  const tess_allocator *allocator;
  size_t file_room, symbol_room, extension_room;
} tess__descriptor_index;

/* The files given (NULLs are skipped) and all that they import.
 * TESS_INVALID_ARGUMENT: a descriptor is malformed; TESS_RESOURCE_EXHAUSTED.
 * Undo with cleanup, after an error too. */
tess_code tess__descriptor_index_init(tess__descriptor_index *index,
                                      const tess_file_schema *const *files, size_t count,
                                      const tess_allocator *allocator, tess_status *status);
void tess__descriptor_index_cleanup(tess__descriptor_index *index);

/* TESS__NO_FILE: not there. */
size_t tess__descriptor_index_file(const tess__descriptor_index *index, tess_slice name);
/* NULL: not there. */
const tess__symbol *tess__descriptor_index_symbol(const tess__descriptor_index *index,
                                                  tess_slice name);
const tess__extension *tess__descriptor_index_extension(const tess__descriptor_index *index,
                                                        tess_slice extendee, int32_t number);
/* The extensions of a message: the first, and how many follow each other. */
const tess__extension *tess__descriptor_index_extensions_of(const tess__descriptor_index *index,
                                                            tess_slice extendee, size_t *count);

#endif
