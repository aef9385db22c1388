/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the JSON codec: what the two directions (json_to_proto.c,
 * proto_to_json.c) and the well-known types (json_well_known_read.c,
 * json_well_known_write.c) share.
 */
#ifndef TESSERA_RPC_JSON_CONVERT_H
#define TESSERA_RPC_JSON_CONVERT_H

#include <tessera/json.h>

#include "rpc/json_output.h"
#include "rpc/json_tree.h"
#include "rpc/wire.h"

/* TESS__WIRE_... of one value of the field, not packed. */
int tess__json_wire_type(const tess_field_schema *field);

/* ---- reading JSON ---- */

/* One step of the way to a value: a member by its name in the schema, a member by
 * its key in the text, or an element. It lies on the stack of who reads that value. */
typedef struct tess__json_place {
  const struct tess__json_place *outer;
  const char *name;
  const tess__json_node *key;
  size_t index;
} tess__json_place;

typedef struct tess__json_in {
  const tess_json_options *options;
  const tess_allocator *allocator;
  tess__output *out; /* binary protobuf */
  tess_status *status;
  int depth;
  const tess_message_schema *root; /* what the whole text is */
  const tess__json_place *place;   /* of what is being read; NULL: the root */
  const tess__json_node *any_type; /* name of "@type" of an Any: a member that is no field */
  char where[256];                 /* text about the place, for an error */
} tess__json_in;

/* Appends the message's fields, without tag and length. */
tess_code tess__json_read_message(tess__json_in *in, const tess_message_schema *schema,
                                  const tess__json_node *value);
/* Appends one value of the field, with its tag. Never a repeated field as a whole. */
tess_code tess__json_read_value(tess__json_in *in, const tess_field_schema *field,
                                const tess__json_node *value);
/* "JSON field a.b[1]" or, for the whole text, "JSON for pkg.Message"; in in->where. */
const char *tess__json_where_is(tess__json_in *in);
/* INVALID_ARGUMENT: the value in question is "not WANTED". */
tess_code tess__json_mismatch(tess__json_in *in, const char *wanted);
/* A number, or a string that holds one. */
bool tess__json_read_double(const tess__json_node *value, double *number);

/* ---- writing JSON ---- */

typedef struct tess__json_out {
  const tess_json_options *options;
  const tess_allocator *allocator;
  tess__output *out; /* JSON text */
  tess_status *status;
  int depth;
} tess__json_out;

tess_code tess__json_write_message(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message);
/* The members of the object, without its braces; *first: none was written yet. */
tess_code tess__json_write_members(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message, bool *first);
/* Of a message whose one field is a list or a map: that, without a name. */
tess_code tess__json_write_content(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message);
/* One value as it stands in the wire format (of a packed field: an element). */
tess_code tess__json_write_value(tess__json_out *to, const tess_field_schema *field,
                                 const tess__wire_field *value);
tess_code tess__json_malformed(tess__json_out *to, const tess_message_schema *schema);

/* ---- well-known types ---- */

typedef struct tess__json_special {
  const char *full_name;
  tess_code (*read)(tess__json_in *in, const tess_message_schema *schema,
                    const tess__json_node *value);
  tess_code (*write)(tess__json_out *to, const tess_message_schema *schema, tess_slice message);
} tess__json_special;

/* NULL: the message has no special form. */
const tess__json_special *tess__json_special_of(const tess_message_schema *schema);
/* google.protobuf.Value, which is the one message that null is a value of. */
bool tess__json_takes_null(const tess_field_schema *field);
/* By full name, in the options' registry; NULL: not there. */
const tess_message_schema *tess__json_registered(const tess_json_options *options, const char *name,
                                                 size_t size);

tess_code tess__json_read_any(tess__json_in *, const tess_message_schema *,
                              const tess__json_node *);
tess_code tess__json_read_duration(tess__json_in *, const tess_message_schema *,
                                   const tess__json_node *);
tess_code tess__json_read_field_mask(tess__json_in *, const tess_message_schema *,
                                     const tess__json_node *);
tess_code tess__json_read_list(tess__json_in *, const tess_message_schema *,
                               const tess__json_node *);
tess_code tess__json_read_struct(tess__json_in *, const tess_message_schema *,
                                 const tess__json_node *);
tess_code tess__json_read_timestamp(tess__json_in *, const tess_message_schema *,
                                    const tess__json_node *);
tess_code tess__json_read_any_value(tess__json_in *, const tess_message_schema *,
                                    const tess__json_node *);
tess_code tess__json_read_wrapper(tess__json_in *, const tess_message_schema *,
                                  const tess__json_node *);

tess_code tess__json_write_any(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_duration(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_field_mask(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_list(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_struct(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_timestamp(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_any_value(tess__json_out *, const tess_message_schema *, tess_slice);
tess_code tess__json_write_wrapper(tess__json_out *, const tess_message_schema *, tess_slice);

#endif
