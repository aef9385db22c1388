/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of tessera-worker. Sizes are bytes and may carry K, M or G
 * (powers of 1024). Threads: none.
 */
#ifndef TESSERA_WORKER_OPTIONS_H
#define TESSERA_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "program/tls.h"

#define WORKER_DEFAULT_LISTEN "127.0.0.1:8081"
#define WORKER_DEFAULT_MAX_MESSAGE_BYTES ((size_t)1 << 30)
#define WORKER_DEFAULT_GRACE_MS 10000

typedef struct worker_options {
  const char *listen;        /* "HOST:PORT" */
  unsigned threads;          /* that compute, all products together */
  unsigned concurrency;      /* products at a time; divides threads among them; 0: by the kernel */
  unsigned queue;            /* products that may wait for their turn */
  unsigned max_connections;  /* 0: the HTTP server's default */
  size_t max_message_bytes;  /* one request or one reply */
  size_t max_inflight_bytes; /* operands and results held at one time */
  size_t cache_bytes;        /* blocks kept by name; 0: none */
  const char *kernel;        /* name, or NULL: the fastest */
  const char *cors_origin;   /* or NULL */
  int64_t grace_ms;          /* for products in progress after SIGTERM */
  bool measure;              /* print what the kernels reach, and end */
  program_tls tls;           /* on the listening side */
} worker_options;

typedef enum worker_options_result {
  WORKER_OPTIONS_RUN,
  WORKER_OPTIONS_EXIT, /* --help or --version was printed to out: exit 0 */
  WORKER_OPTIONS_WRONG /* one line on err said why: exit 2 */
} worker_options_result;

/* Fills *options with defaults and what argv says; strings are argv's. */
worker_options_result worker_options_parse(worker_options *options, int argc, char **argv,
                                           FILE *out, FILE *err);

#endif
