/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera.test.v1.EchoService over protobuf-c, for tests of the RPC core.
 */
#ifndef TESSERA_TESTS_ECHO_SERVICE_H
#define TESSERA_TESTS_ECHO_SERVICE_H

#include "tessera/test/v1/echo.rpc.pb-c.h"

typedef Tessera__Test__V1__EchoRequest echo_request;
typedef Tessera__Test__V1__EchoResponse echo_response;

/* What the handlers saw, and how they shall behave. Zero means the default. */
typedef struct echo_state {
  tess_call *later; /* the call of EchoLater that waits for echo_reply_later */
  const echo_request *later_request;
  int unary_calls;
  int cancels;
  tess_code cancel_why;
  int ends;
  int messages; /* of client streams */
  int half_closes;
  size_t text_size; /* Concat */
  char text[1024];
  bool pause_each;     /* Concat, Chat: pause after each message, until the test resumes */
  bool keep_open;      /* Repeat, Chat: do not finish */
  bool data_aliased;   /* the last unary request's data lay in `body` */
  const uint8_t *body; /* of the request, for data_aliased; or NULL */
  size_t body_size;
  tess_call *stream;
  uint32_t repeat_left;
  uint32_t repeat_index;
  int writable_events;
  tess_code last_send;
} echo_state;

/* Adds the service; state outlives the server's calls. */
void echo_register(tess_server *server, echo_state *state);
/* Replies to the call that EchoLater keeps. */
void echo_reply_later(echo_state *state);

#endif
