/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera describe URL: what runs there, for people.
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/wire.h"
#include "matmul/matrix.h"

/* A server with a thousand workers describes itself in less. */
#define MAX_REPLY_BYTES ((size_t)4 << 20)
#define TIMEOUT_MS 10000

static const char help_text[] =
    "Usage: tessera describe URL\n"
    "Tells what runs at a URL: a tessera-worker or a tessera-server with its workers.\n";

static void print_kernels(const Tessera__Matmul__V1__DescribeResponse *reply) {
  for (size_t i = 0; i < reply->n_kernels; i++) {
    const Tessera__Matmul__V1__KernelInfo *kernel = reply->kernels[i];
    printf("%-14s%s (", i == 0 ? "kernels" : "", kernel->name);
    for (size_t j = 0; j < kernel->n_dtypes; j++) {
      const char *name = tess_dtype_name((tess_dtype)kernel->dtypes[j]);
      printf("%s%s", j == 0 ? "" : ", ", name != NULL ? name : "unknown type");
    }
    printf(")\n");
  }
}

static void print_bytes(const char *name, uint64_t bytes) {
  char text[16];
  if (bytes == 0) return;
  cli_format_bytes(text, bytes);
  printf("%-14s%s\n", name, text);
}

static void print_workers(const Tessera__Matmul__V1__DescribeResponse *reply) {
  for (size_t i = 0; i < reply->n_workers; i++) {
    const Tessera__Matmul__V1__WorkerInfo *worker = reply->workers[i];
    printf("%-14s%s  %s, %u tiles, %u failures\n", i == 0 ? "workers" : "", worker->url,
           worker->available ? "available" : "not available", worker->tiles, worker->failures);
  }
}

static void print_reply(const char *url, const Tessera__Matmul__V1__DescribeResponse *reply) {
  printf("%s %s at %s\n", reply->name, reply->version, url);
  if (reply->engine[0] != '\0') printf("%-14s%s\n", "engine", reply->engine);
  if (reply->mode != TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED)
    printf("%-14s%s\n", "mode", cli_mode_name(reply->mode));
  printf("%-14s%u\n", "cores", reply->cores);
  print_kernels(reply);
  if (reply->max_concurrent_products > 0)
    printf("%-14s%u at a time, waiting ones included\n", "products",
           reply->max_concurrent_products);
  print_bytes("largest call", reply->max_message_bytes);
  print_bytes("memory limit", reply->memory_limit_bytes);
  print_workers(reply);
}

int cli_describe(int argc, char **argv) {
  static const struct option long_options[] = {{"help", no_argument, NULL, 'h'},
                                               {NULL, 0, NULL, 0}};
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    if (option != 'h')
      return cli_wrong_usage("unknown option '%s'; see tessera describe --help", argv[optind - 1]);
    fputs(help_text, stdout);
    return CLI_DONE;
  }
  if (argc - optind != 1) return cli_wrong_usage("describe takes one URL: tessera describe URL");
  const char *url = argv[optind];

  tess_status status = TESS_STATUS_INIT;
  cli_remote remote;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  tess_code code = cli_remote_open(&remote, url, MAX_REPLY_BYTES, &status);
  if (code == TESS_OK) {
    Tessera__Matmul__V1__DescribeRequest request = TESSERA__MATMUL__V1__DESCRIBE_REQUEST__INIT;
    Tessera__Matmul__V1__DescribeResponse reply;
    const tess_call_options options = {.timeout_ms = TIMEOUT_MS, .arena = &arena};
    code = cli_remote_call(&remote, cli_method_describe(), &options, &request, &reply, &status);
    if (code == TESS_OK) print_reply(url, &reply);
  }
  cli_remote_close(&remote);
  if (code != TESS_OK) cli_failed("%s", cli_status_text(&status));
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  return code == TESS_OK ? CLI_DONE : CLI_FAILED;
}
