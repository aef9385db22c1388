/* SPDX-License-Identifier: Apache-2.0
 *
 * A tess_server with the echo service of tests/proto on a real HTTP server. Repeat
 * sends `count` messages of 16 KiB, as fast as the client takes them.
 */
#ifndef TESSERA_TESTS_HTTP_RPC_SITE_H
#define TESSERA_TESTS_HTTP_RPC_SITE_H

#include <stdatomic.h>

#include <tessera/http_server.h>
#include <tessera/server.h>

typedef struct rpc_site {
  tess_server *server;
  tess_http_server *http;
  int port;
  _Atomic int echoes;   /* Echo was called */
  _Atomic int streams;  /* Repeat was called */
  _Atomic int canceled; /* streams that ended before their time */
} rpc_site;

#define RPC_ECHO "/tessera.test.v1.EchoService/Echo"
#define RPC_REPEAT "/tessera.test.v1.EchoService/Repeat"
#define RPC_CONCAT "/tessera.test.v1.EchoService/Concat"

/* First the services, then the options of the HTTP server. Fail the test. */
void rpc_site_init(rpc_site *s);
void rpc_site_start(rpc_site *s, tess_http_server_options options);
void rpc_site_stop(rpc_site *s);

#endif
