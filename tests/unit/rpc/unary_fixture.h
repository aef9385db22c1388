/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of unary calls, over the in-process transport, for tests: of a canned answer or
 * of a real server.
 */
#ifndef TESSERA_TESTS_UNARY_FIXTURE_H
#define TESSERA_TESTS_UNARY_FIXTURE_H

#include "canned.h"
#include "echo_service.h"

#include <tessera/client.h>
#include <tessera/transport_memory.h>

#define PROTO "content-type: application/proto\n"
#define JSON "content-type: application/json\n"
#define WEB "content-type: application/grpc-web+proto\n"

/* An echo_response with the text "hi". */
extern const char hi[5];

/* A client of a canned answer. */
typedef struct fixture {
  canned canned;
  echo_state state;
  tess_server *server; /* NULL: canned */
  tess_transport *transport;
  tess_client *client;
  tess_status status;
} fixture;

void set_up_with(fixture *f, tess_client_options options, size_t max_piece_bytes, bool with_server);
void set_up(fixture *f, bool with_server);
void tear_down(fixture *f);
/* Sends "hi". */
tess_code echo(fixture *f, const tess_call_options *options, echo_response *response);

#endif
