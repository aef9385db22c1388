/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the suite's messages (protobuf-c) and the library's types, for the
 * server. Everything made here lives in the arena that is given; running out of
 * memory ends the program.
 */
#ifndef TESSERA_CONFORMANCE_CONVERT_H
#define TESSERA_CONFORMANCE_CONVERT_H

#include <tessera/codec.h>
#include <tessera/metadata.h>

#include "tests/conformance/suite.h"

#include "connectrpc/conformance/v1/service.pb-c.h"

typedef Connectrpc__Conformance__V1__Header conf_header;
typedef Connectrpc__Conformance__V1__Error conf_error;
typedef Connectrpc__Conformance__V1__ConformancePayload conf_payload;
typedef Connectrpc__Conformance__V1__ConformancePayload__RequestInfo conf_request_info;
typedef Google__Protobuf__Any conf_any;

/* Adds every value of every header. */
void conf_add_headers(tess_metadata *metadata, conf_header *const *headers, size_t count);
/* Groups the entries by name. */
conf_header **conf_headers(tess_arena *arena, const tess_metadata *metadata, size_t *count);
/* The fields of a query, unescaped. */
conf_header **conf_query(tess_arena *arena, const char *query, size_t *count);

/* Packs a message into an Any; type_name without prefix. */
conf_any *conf_pack_any(tess_arena *arena, const char *type_name, const ProtobufCMessage *message);
/* Behind the last slash. */
const char *conf_any_type(const conf_any *any);

/* Code, message and details. */
void conf_set_status(tess_status *status, const conf_error *error);

/* A message of the runtime under test as protobuf-c has it, and back: the message
 * itself where that is the runtime, else what its bytes say. `type` is the
 * message's, `known` the same type of protobuf-c. */
const void *conf_view(tess_arena *arena, const tess_message_type *type,
                      const tess_message_type *known, const void *message);
void conf_fill(tess_arena *arena, const tess_message_type *type, const tess_message_type *known,
               const void *known_message, void *message);

#endif
