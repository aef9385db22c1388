/* SPDX-License-Identifier: Apache-2.0
 *
 * Proto3 JSON for every message that carries a schema: the codec "json" for
 * servers and clients, and plain conversions between JSON text and binary
 * protobuf. Independent of the protobuf runtime.
 * Source: https://protobuf.dev/programming-guides/json/ , RFC 8259.
 *
 *   tess_server_add_codec(server, &tess_codec_json.codec);
 *
 * Reading is strict: duplicate keys, invalid UTF-8, numbers out of range, two
 * members of a oneof, and unknown fields (unless ignored by option) are
 * TESS_INVALID_ARGUMENT; nesting is bounded by 100. The well-known types have
 * their special forms; Any needs its type in the registry.
 *
 * Threads: constant data. Link with tessera-json.
 */
#ifndef TESSERA_JSON_H
#define TESSERA_JSON_H

#include <tessera/codec.h>
#include <tessera/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default. */
typedef struct tess_json_options {
  bool ignore_unknown_fields; /* reading: skip what the schema does not know */
  bool use_proto_names;       /* writing: names as declared, not lowerCamelCase */
  bool enums_as_numbers;      /* writing */
  bool write_defaults;        /* writing: also fields without presence at their default */
  size_t max_bytes;           /* of the result; default no limit */
  /* Reading: values and names in a text. A guard: two bytes of JSON can become
   * fifty of memory. Over it: TESS_RESOURCE_EXHAUSTED. Default 2 Mi, which 4 MiB
   * of text cannot exceed. */
  size_t max_values;
  /* Files whose messages an Any may hold (their imports included). */
  const tess_file_schema *const *registry;
  size_t registry_count;
} tess_json_options;

/* A codec with options of its own; constant once it is made. */
typedef struct tess_json_codec {
  tess_codec codec; /* pass &x.codec */
  tess_json_options options;
} tess_json_codec;
/* With all defaults. */
extern const tess_json_codec tess_codec_json;
void tess_json_codec_init(tess_json_codec *codec, const tess_json_options *options);

/* JSON text to binary protobuf, appended. TESS_INVALID_ARGUMENT: not JSON, or
 * not this message (status says where: a.b[1].c["key"], names as in the .proto; of
 * a long path the inner end). options may be NULL. */
tess_code tess_json_to_proto(const tess_message_schema *schema, tess_slice json,
                             const tess_json_options *options, tess_segments *proto,
                             tess_status *status);
/* Binary protobuf to JSON text, appended. TESS_INVALID_ARGUMENT: malformed
 * message, or an Any whose type the registry lacks. */
tess_code tess_proto_to_json(const tess_message_schema *schema, tess_slice proto,
                             const tess_json_options *options, tess_segments *json,
                             tess_status *status);

#ifdef __cplusplus
}
#endif
#endif
