/* SPDX-License-Identifier: Apache-2.0
 *
 * What the runner asks of a client under test and what it is told, without a
 * protobuf runtime: ClientCompatRequest and ClientCompatResponse of
 * connectrpc/conformance/v1/client_compat.proto, field by field. So the same
 * client works over protobuf-c, over nanopb and in WebAssembly.
 *
 * Everything that a case or a result points to lives in its arena, or in the
 * request's bytes; running out of memory ends the program. Threads: one per case.
 */
#ifndef TESSERA_CONFORMANCE_SUITE_H
#define TESSERA_CONFORMANCE_SUITE_H

#include <tessera/memory.h>
#include <tessera/metadata.h>
#include <tessera/status.h>

/* The numbers of the suite's enums. */
enum { CONF_PROTOCOL_GRPC_WEB = 3, CONF_CODEC_JSON = 2 };

typedef enum conf_cancel {
  CONF_CANCEL_NEVER = 0,
  CONF_CANCEL_BEFORE_CLOSE_SEND = 1,
  CONF_CANCEL_AFTER_CLOSE_SEND_MS = 2,
  CONF_CANCEL_AFTER_RESPONSES = 3
} conf_cancel;

/* A message of the suite as an Any carries it. */
typedef struct conf_message {
  const char *type_name; /* without the prefix */
  tess_slice value;      /* in the request's bytes */
} conf_message;

typedef struct conf_case {
  tess_arena *arena;
  const char *test_name;
  int protocol; /* numbers of the suite */
  int codec;
  int compression;
  const char *host;
  uint32_t port;
  const char *server_certificate; /* PEM; NULL: no TLS */
  const char *client_certificate; /* PEM; NULL: none */
  const char *client_key;
  uint32_t message_receive_limit;
  const char *service; /* NULL: not said */
  const char *method;
  bool use_get;
  tess_metadata headers;
  conf_message *messages;
  size_t message_count;
  int64_t timeout_ms; /* 0: none */
  uint32_t request_delay_ms;
  conf_cancel cancel;
  uint32_t cancel_after; /* ms or responses */
} conf_case;

/* How a call went. */
typedef struct conf_result {
  tess_arena *arena;
  tess_status status;
  tess_metadata headers;
  tess_metadata trailers;
  tess_slice *payloads; /* ConformancePayload messages, encoded */
  size_t payload_count;
  size_t payload_capacity;
  size_t unsent_requests;
} conf_result;

void *conf_alloc(tess_arena *arena, size_t size);
char *conf_text(tess_arena *arena, const void *text, size_t size);

/* `request` stays in place as long as the case. False: no ClientCompatRequest. */
bool conf_case_parse(conf_case *test, tess_arena *arena, tess_slice request);
void conf_case_cleanup(conf_case *test);

void conf_result_init(conf_result *result, tess_arena *arena);
void conf_result_cleanup(conf_result *result);
/* Keeps the payload of a response, which all responses have as field 1 or not at
 * all, given as encoded bytes; they are copied. */
void conf_result_add(conf_result *result, const tess_segments *response);

/* A ClientCompatResponse in the arena. error: the call could not be made at all
 * (the result is then left out); NULL: it went as the result says. */
tess_slice conf_response(const conf_case *test, const conf_result *result, const char *error);

#endif
