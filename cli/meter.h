/* SPDX-License-Identifier: Apache-2.0
 *
 * A transport around a transport that counts the bytes of one request as they
 * go out and come in, for the progress bar. One request at a time.
 * Threads: as the transport inside; the counts may be read from any.
 */
#ifndef TESSERA_CLI_METER_H
#define TESSERA_CLI_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tessera/http.h>

typedef struct cli_meter {
  tess_transport transport; /* give this one to the client */
  atomic_uint_fast64_t sent;
  atomic_uint_fast64_t to_send;
  atomic_uint_fast64_t received;
  atomic_uint_fast64_t to_receive; /* 0: not known yet */
  atomic_bool answered;            /* the head of a response came */
  tess_transport *inside;          /* private, like the rest */
  tess_http_outgoing outgoing;
  tess_http_outgoing *caller;
  tess_slice piece; /* what the caller's body gave and has not gone out */
  atomic_bool active;
} cli_meter;

/* inside is taken: it is freed with the meter's transport. */
void cli_meter_init(cli_meter *meter, tess_transport *inside);

#endif
