/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of tessera-server. Sizes are bytes and may carry K, M or G
 * (powers of 1024). Threads: none.
 */
#ifndef TESSERA_SERVER_OPTIONS_H
#define TESSERA_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "program/tls.h"
#include "program/worker_list.h"

#define SERVER_MAX_WORKERS PROGRAM_MAX_WORKERS

typedef struct server_options {
  const char *listen;                      /* "HOST:PORT" */
  const char *workers[SERVER_MAX_WORKERS]; /* checked; "dns+http://...": a name */
  size_t worker_count;
  const char *workers_file; /* more of them, read again and again; or NULL */
  const char *mode;         /* "serial", "proxy", "adaptive", or NULL: the module's default */
  const char *check;        /* "never", "always", "adaptive", or NULL: the module's default */
  const char *engine;       /* a name, or NULL: the first that this build has */
  const char *module_file;  /* or NULL: beside the program, or in the install's lib folder */
  size_t max_message_bytes;
  size_t max_inflight_bytes; /* 0: the host's and the module's defaults */
  int64_t cache_bytes;       /* of blocks that the module keeps; -1: the module's default */
  uint64_t memory_limit;     /* of the module; 0: what it declares */
  int64_t threshold_ms;      /* -1: the module's default */
  int64_t tile_timeout_ms;   /* -1: the module's default */
  int64_t watchdog_ms;
  unsigned max_connections; /* 0: the HTTP server's default */
  const char *cors_origin;  /* or NULL */
  int64_t grace_ms;
  program_tls tls;        /* on the listening side */
  program_tls worker_tls; /* towards workers */
} server_options;

typedef enum server_options_result {
  SERVER_OPTIONS_RUN,
  SERVER_OPTIONS_EXIT, /* --help or --version was printed to out: exit 0 */
  SERVER_OPTIONS_WRONG /* one line on err said why: exit 2 */
} server_options_result;

/* Fills *options with defaults and what argv says; strings are argv's.
 * engines: names of this build, ends with NULL. */
server_options_result server_options_parse(server_options *options, const char *const *engines,
                                           int argc, char **argv, FILE *out, FILE *err);

/* The text of the ABI's configure() with these workers (free() it); NULL: no memory.
 * control_key: "" for none. */
char *server_options_config(const server_options *options, const char *engine,
                            const char *const *workers, size_t worker_count,
                            const char *control_key);
/* May the list of workers change while the server runs? */
bool server_options_workers_change(const server_options *options);

#endif
