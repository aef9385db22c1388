/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec seam. A message type is a constant that generated code makes; it
 * ties a C struct to the protobuf runtime that knows it (protobuf-c or nanopb).
 * The core moves `void *` messages through the type's functions and knows
 * neither runtime.
 */
#ifndef TESSERA_CODEC_H
#define TESSERA_CODEC_H

#include <tessera/memory.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_message_type tess_message_type;
struct tess_message_schema; /* schema.h: names and field types, for JSON */

/* One of these per protobuf runtime: tess_runtime_protobuf_c,
 * tess_runtime_nanopb. */
typedef struct tess_message_runtime {
  const char *name;
  /* Makes *message the empty message (every field at its default). */
  void (*init)(const tess_message_type *type, void *message);
  /* Parses binary protobuf into *message, which need not be initialised.
   * With an arena, everything the message points to lives in the arena or in
   * `data` itself: large `bytes` fields are views of `data`, which must then
   * live as long as the message. Without one (NULL), nothing refers to `data`
   * and `clear` frees the message's fields.
   * TESS_INVALID_ARGUMENT: not a message of this type, nested deeper than 100,
   * or a string that is not UTF-8. TESS_RESOURCE_EXHAUSTED: memory. After an
   * error *message is empty. */
  tess_code (*decode)(const tess_message_type *type, tess_slice data, tess_arena *arena,
                      const tess_allocator *allocator, void *message, tess_status *status);
  /* Appends binary protobuf. Large `bytes` fields are borrowed: the message
   * must stay unchanged while the segments are in use. */
  tess_code (*encode)(const tess_message_type *type, const void *message, tess_segments *segments,
                      tess_status *status);
  /* Frees the fields of a message that was decoded without an arena, and makes
   * it the empty message. The struct itself belongs to the caller. */
  void (*clear)(const tess_message_type *type, const tess_allocator *allocator, void *message);
} tess_message_runtime;

struct tess_message_type {
  const char *full_name;  /* "tessera.matmul.v1.MatmulRequest" */
  size_t size;            /* sizeof the generated struct */
  const void *descriptor; /* ProtobufCMessageDescriptor or pb_msgdesc_t */
  const tess_message_runtime *runtime;
  const struct tess_message_schema *schema; /* NULL: no JSON for this type */
};

/* How messages look on the wire, chosen by the content subtype: "proto" is built
 * in, others ("json") are added to a server and named to a client. Arguments and
 * results are those of the runtime's decode and encode. Constant data. */
typedef struct tess_codec {
  const char *name; /* "proto": application/proto, application/connect+proto, ... */
  tess_code (*decode)(const struct tess_codec *codec, const tess_message_type *type,
                      tess_slice data, tess_arena *arena, const tess_allocator *allocator,
                      void *message, tess_status *status);
  tess_code (*encode)(const struct tess_codec *codec, const tess_message_type *type,
                      const void *message, tess_segments *segments, tess_status *status);
} tess_codec;

/* Binary protobuf, through the message's runtime. */
extern const tess_codec tess_codec_proto;

/* Defined in the libraries tessera-protobuf-c and tessera-nanopb. */
extern const tess_message_runtime tess_runtime_protobuf_c;
extern const tess_message_runtime tess_runtime_nanopb;
/* Messages that stay binary protobuf: the C struct is a tess_slice. For tools and
 * services that know a message by its descriptor or not at all; a type with a
 * schema speaks JSON too. Nothing is checked. Part of the core. */
extern const tess_message_runtime tess_runtime_bytes;

#ifdef __cplusplus
}
#endif
#endif
