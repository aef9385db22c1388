/* SPDX-License-Identifier: Apache-2.0
 *
 * Method tables. Generated code makes one tess_service for each service of a
 * .proto and for each protobuf runtime; server and client read them.
 */
#ifndef TESSERA_SERVICE_H
#define TESSERA_SERVICE_H

#include <tessera/codec.h>
#include <tessera/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tess_stream_kind {
  TESS_UNARY = 0,
  TESS_SERVER_STREAM = 1,
  TESS_CLIENT_STREAM = 2,
  TESS_BIDI_STREAM = 3 /* half-duplex over HTTP/1.1: the request ends first */
} tess_stream_kind;

/* google.protobuf.MethodOptions.IdempotencyLevel */
typedef enum tess_idempotency {
  TESS_IDEMPOTENCY_UNKNOWN = 0,
  TESS_NO_SIDE_EFFECTS = 1, /* may travel as HTTP GET */
  TESS_IDEMPOTENT = 2
} tess_idempotency;

typedef struct tess_method {
  const char *name; /* "Multiply" */
  const char *path; /* "/tessera.matmul.v1.MatmulService/Multiply" */
  tess_stream_kind stream_kind;
  tess_idempotency idempotency;
  const tess_message_type *request;
  const tess_message_type *response;
} tess_method;

typedef struct tess_service {
  const char *full_name;      /* "tessera.matmul.v1.MatmulService" */
  const tess_method *methods; /* in declaration order */
  size_t method_count;
  const tess_file_schema *file; /* the file that declares it; NULL: unknown */
} tess_service;

#ifdef __cplusplus
}
#endif
#endif
