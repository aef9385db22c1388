/* SPDX-License-Identifier: Apache-2.0
 *
 * What the echo servers of the benchmarks do with a finished tess_server: serve it
 * on loopback until SIGTERM or SIGINT.
 */
#ifndef TESSERA_BENCH_RPC_SERVE_H
#define TESSERA_BENCH_RPC_SERVE_H

#include <tessera/server.h>

/* Listens on 127.0.0.1:port (text, "0": any), prints "listening on URL" and returns
 * the program's exit code once a signal came; name begins its error. The server is
 * taken, NULL (out of memory) too. */
int bench_serve(const char *name, const char *port, tess_server *server);

#endif
