/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed stubs of one runtime behind plain functions, so that a test can put any
 * client against any server. Each runtime's file makes one table.
 */
#ifndef TESSERA_TESTS_GEN_STUBS_H
#define TESSERA_TESTS_GEN_STUBS_H

#include <tessera/client.h>
#include <tessera/server.h>

/* What the handlers saw, and the call that one of them keeps. */
typedef struct stub_state {
  unsigned calls;
  tess_call *later;
  char later_text[64];
  int32_t sum; /* of what a client or bidi stream brought */
} stub_state;

typedef struct stub_side {
  const char *name;
  /* Registers Echo and Words of tests/proto; handlers answer what is said below. */
  tess_code (*register_services)(tess_server *server, stub_state *state);
  /* The reply that Words.Job left open: its text twice. */
  void (*reply_later)(stub_state *state);
  /* Echo.Ping: the number, plus one. */
  tess_code (*ping)(tess_client *client, int32_t number, int32_t *answer, tess_status *status);
  /* Words.register and Words.Register (two methods): "register:" or "Register:"
   * and the text. */
  tess_code (*say)(tess_client *client, bool capital, const char *text, char *answer, size_t size,
                   tess_status *status);
  /* Words.delete, which has no handler. */
  tess_code (*unhandled)(tess_client *client, tess_status *status);
  /* Words.Job, by its start function; *ended counts calls of done, whose code
   * and answer are kept. */
  tess_code (*job_start)(tess_client *client, const char *text, tess_status *status);
  void (*job_result)(tess_client *client, unsigned *ended, tess_code *code, char *answer,
                     size_t size);
  /* Kinds.ServerStream: `count` messages, "0", "1", ... The last one's text. */
  tess_code (*server_stream)(tess_client *client, unsigned count, unsigned *received, char *last,
                             size_t size, tess_status *status);
  /* Kinds.ClientStream: 1 + 2 + ... + count, as "sum N". */
  tess_code (*client_stream)(tess_client *client, int32_t count, char *answer, size_t size,
                             tess_status *status);
  /* Kinds.Bidi: for each text its length; their sum. */
  tess_code (*bidi)(tess_client *client, unsigned count, int32_t *sum, tess_status *status);
} stub_side;

extern const stub_side stubs_protobuf_c;
extern const stub_side stubs_nanopb;

#endif
