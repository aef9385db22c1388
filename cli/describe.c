/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera describe URL: what runs there, for people.
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/plain.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/wire.h"
#include "matmul/matrix.h"

/* A server with a thousand workers describes itself in less. */
#define MAX_REPLY_BYTES ((size_t)4 << 20)
#define TIMEOUT_MS 10000

static const char help_text[] =
    "Usage: tessera describe URL [OPTION]...\n"
    "Tells what runs at a URL: a tessera-worker or a tessera-server with its workers.\n";

static void print_kernels(const Tessera__Matmul__V1__DescribeResponse *reply) {
  for (size_t i = 0; i < reply->n_kernels; i++) {
    const Tessera__Matmul__V1__KernelInfo *kernel = reply->kernels[i];
    cli_printable(kernel->name);
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
    cli_printable(worker->url);
    printf("%-14s%s  %s, %u tiles, %u failures\n", i == 0 ? "workers" : "", worker->url,
           worker->available ? "available" : "not available", worker->tiles, worker->failures);
  }
}

static void print_reply(const char *url, const Tessera__Matmul__V1__DescribeResponse *reply) {
  char *const texts[] = {reply->name, reply->version, reply->engine};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    cli_printable(texts[i]);
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

static tess_code talk(cli_remote *remote, const tess_call_options *options, void *ctx,
                      tess_status *status) {
  Tessera__Matmul__V1__DescribeRequest request = TESSERA__MATMUL__V1__DESCRIBE_REQUEST__INIT;
  Tessera__Matmul__V1__DescribeResponse reply;
  (void)ctx;
  tess_code code =
      cli_remote_call(remote, cli_method_describe(), options, &request, &reply, status);
  if (code == TESS_OK) print_reply(remote->url, &reply);
  return code;
}

int cli_describe(int argc, char **argv) {
  cli_plain plain = {.name = "describe",
                     .help = help_text,
                     .arguments = "one URL: tessera describe URL",
                     .min_arguments = 1,
                     .max_arguments = 1,
                     .max_reply_bytes = MAX_REPLY_BYTES,
                     .timeout_ms = TIMEOUT_MS};
  int exit_code = cli_plain_parse(&plain, argc, argv);
  return exit_code >= 0 ? exit_code : cli_plain_run(&plain, argv[optind], talk, NULL);
}
