/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/version.h>

#include "matmul/kernel.h"
#include "program/listen.h"
#include "program/memory.h"
#include "program/number.h"
#include "program/processors.h"

static const char help_text[] =
    "Usage: tessera-worker [--listen HOST:PORT] [OPTION]...\n"
    "Computes matrix products for tessera-server, the tessera command and any Connect client.\n"
    "\n"
    "  --listen HOST:PORT        where to listen; port 0 picks a free one (" WORKER_DEFAULT_LISTEN
    ")\n"
    "  --threads N               threads that compute (all cores)\n"
    "  --concurrency N           products computed at a time; they share the threads\n"
    "                            (1, or N threads with a kernel that has no threads inside)\n"
    "  --queue N                 products that may wait for their turn (64)\n"
    "  --max-connections N       connections open at a time (256)\n"
    "  --max-message-bytes N     largest request and largest reply (1G)\n"
    "  --max-inflight-bytes N    operands and results held at one time; more is refused at\n"
    "                            once with resource_exhausted (half of the memory)\n"
    "  --cache-bytes N           operands kept by name, so that they are sent once; the least\n"
    "                            recently used go first; 0: none (a quarter of the memory)\n"
    "  --kernel NAME             compute with this kernel alone (the fastest for each type\n"
    "                            and shape, measured at start)\n"
    "  --cors ORIGIN             let pages of ORIGIN call this worker; '*' for all\n"
    "  --measure                 print what the kernels reach here in Gflop/s, and exit\n"
    "  --grace-ms N              time for products in progress after SIGTERM "
    "(10000)\n" PROGRAM_TLS_SERVER_HELP
    "  --help, --version\n"
    "\n"
    "Sizes are bytes; K, M and G multiply by powers of 1024. The first line printed is\n"
    "'listening on http://HOST:PORT' (or https). GET /livez, /readyz and /metrics answer on the "
    "same port.\n"
    "SIGTERM and SIGINT: finish what is in progress, then exit with 0.\n";

enum {
  OPTION_LISTEN = 256,
  OPTION_THREADS,
  OPTION_CONCURRENCY,
  OPTION_QUEUE,
  OPTION_MAX_CONNECTIONS,
  OPTION_MAX_MESSAGE_BYTES,
  OPTION_MAX_INFLIGHT_BYTES,
  OPTION_CACHE_BYTES,
  OPTION_KERNEL,
  OPTION_CORS,
  OPTION_GRACE_MS,
  OPTION_MEASURE,
  OPTION_HELP,
  OPTION_VERSION
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
    {"queue", required_argument, NULL, OPTION_QUEUE},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"max-message-bytes", required_argument, NULL, OPTION_MAX_MESSAGE_BYTES},
    {"max-inflight-bytes", required_argument, NULL, OPTION_MAX_INFLIGHT_BYTES},
    {"cache-bytes", required_argument, NULL, OPTION_CACHE_BYTES},
    {"kernel", required_argument, NULL, OPTION_KERNEL},
    {"cors", required_argument, NULL, OPTION_CORS},
    {"grace-ms", required_argument, NULL, OPTION_GRACE_MS},
    {"measure", no_argument, NULL, OPTION_MEASURE},
    PROGRAM_TLS_SERVER_OPTIONS,
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* optarg is the option's number. */
static bool take_number(const program_number_option *option, uint64_t *to, FILE *err) {
  char why[PROGRAM_WHY_BYTES];
  if (program_number_take(option, optarg, to, why)) return true;
  fprintf(err, "tessera-worker: %s\n", why);
  return false;
}

static bool take_unsigned(const char *name, uint64_t min, uint64_t max, unsigned *to, FILE *err) {
  const program_number_option option = {name, PROGRAM_COUNT, min, max};
  uint64_t number = 0;
  if (!take_number(&option, &number, err)) return false;
  *to = (unsigned)number;
  return true;
}

static bool take_bytes(const char *name, uint64_t min, size_t *to, FILE *err) {
  const program_number_option option = {name, PROGRAM_BYTES, min, PTRDIFF_MAX};
  uint64_t number = 0;
  if (!take_number(&option, &number, err)) return false;
  *to = (size_t)number;
  return true;
}

static bool take_ms(const char *name, uint64_t min, int64_t *to, FILE *err) {
  const program_number_option option = {name, PROGRAM_MS, min, 86400000};
  uint64_t number = 0;
  if (!take_number(&option, &number, err)) return false;
  *to = (int64_t)number;
  return true;
}

static bool take_kernel(worker_options *options, FILE *err) {
  const tess_kernel *kernel = tess_kernel_find(optarg);
  if (kernel != NULL && kernel->is_available != NULL && !kernel->is_available()) {
    fprintf(err, "tessera-worker: the kernel '%s' is not installed on this machine\n", optarg);
    return false;
  }
  if (kernel == NULL) {
    fprintf(err, "tessera-worker: no kernel '%s'; this build has", optarg);
    for (size_t i = 0; i < tess_kernel_table_size; i++)
      fprintf(err, "%s %s", i == 0 ? "" : ",", tess_kernel_table[i]->name);
    fprintf(err, "\n");
    return false;
  }
  options->kernel = optarg;
  return true;
}

static void print_version(FILE *out) {
  fprintf(out, "tessera-worker %s (kernels:", TESS_VERSION);
  for (size_t i = 0; i < tess_kernel_table_size; i++)
    fprintf(out, " %s", tess_kernel_table[i]->name);
  fprintf(out, ")\n");
}

static bool take_option(worker_options *options, int option, FILE *err) {
  switch (option) {
    case OPTION_LISTEN:
      return program_listen_take("tessera-worker", optarg, &options->listen, err);
    case OPTION_THREADS:
      return take_unsigned("threads", 1, 1024, &options->threads, err);
    case OPTION_CONCURRENCY:
      return take_unsigned("concurrency", 1, 1024, &options->concurrency, err);
    case OPTION_QUEUE:
      return take_unsigned("queue", 0, 1000000, &options->queue, err);
    case OPTION_MAX_CONNECTIONS:
      return take_unsigned("max-connections", 1, 65536, &options->max_connections, err);
    case OPTION_MAX_MESSAGE_BYTES:
      return take_bytes("max-message-bytes", 4096, &options->max_message_bytes, err);
    case OPTION_MAX_INFLIGHT_BYTES:
      return take_bytes("max-inflight-bytes", 4096, &options->max_inflight_bytes, err);
    case OPTION_CACHE_BYTES:
      return take_bytes("cache-bytes", 0, &options->cache_bytes, err);
    case OPTION_KERNEL:
      return take_kernel(options, err);
    case OPTION_CORS:
      options->cors_origin = optarg;
      return true;
    case OPTION_GRACE_MS:
      return take_ms("grace-ms", 0, &options->grace_ms, err);
    case OPTION_MEASURE:
      options->measure = true;
      return true;
    default:
      return program_tls_take(&options->tls, option, optarg);
  }
}

worker_options_result worker_options_parse(worker_options *options, int argc, char **argv,
                                           FILE *out, FILE *err) {
  *options = (worker_options){.listen = WORKER_DEFAULT_LISTEN,
                              .threads = program_processors(),
                              .queue = 64,
                              .max_message_bytes = WORKER_DEFAULT_MAX_MESSAGE_BYTES,
                              .cache_bytes = program_memory_bytes() / 4,
                              .grace_ms = WORKER_DEFAULT_GRACE_MS};
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    switch (option) {
      case OPTION_HELP:
        fputs(help_text, out);
        return WORKER_OPTIONS_EXIT;
      case OPTION_VERSION:
        print_version(out);
        return WORKER_OPTIONS_EXIT;
      case ':':
        fprintf(err, "tessera-worker: %s needs a value; see --help\n", argv[optind - 1]);
        return WORKER_OPTIONS_WRONG;
      case '?':
        fprintf(err, "tessera-worker: unknown option '%s'; see --help\n", argv[optind - 1]);
        return WORKER_OPTIONS_WRONG;
      default:
        if (!take_option(options, option, err)) return WORKER_OPTIONS_WRONG;
    }
  }
  if (optind < argc) {
    fprintf(err, "tessera-worker: unexpected argument '%s'; see --help\n", argv[optind]);
    return WORKER_OPTIONS_WRONG;
  }
  const char *wrong = program_tls_check(&options->tls);
  if (wrong != NULL) {
    fprintf(err, "tessera-worker: %s; see --help\n", wrong);
    return WORKER_OPTIONS_WRONG;
  }
  if (!program_memory_holds("tessera-worker", "cache-bytes", options->cache_bytes, err))
    return WORKER_OPTIONS_WRONG;
  if (options->max_inflight_bytes == 0) {
    options->max_inflight_bytes = program_memory_bytes() / 2;
    if (options->max_inflight_bytes < options->max_message_bytes)
      options->max_inflight_bytes = options->max_message_bytes;
  }
  return WORKER_OPTIONS_RUN;
}
