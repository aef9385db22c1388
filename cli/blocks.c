/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera blocks URL: the operand blocks that a server or worker holds; drops some.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/block_name.h"
#include "cli/commands.h"
#include "cli/plain.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/wire.h"
#include "matmul/matrix.h"

/* 1,024 blocks take less. */
#define MAX_REPLY_BYTES ((size_t)1 << 20)
#define MAX_LINE_BYTES 512u
#define TIMEOUT_MS 10000
#define MAX_DROPS 64

static const char help_text[] =
    "Usage: tessera blocks URL [--drop sha256:HEX]... [--json] [OPTION]...\n"
    "Tells which operand blocks a server or worker holds, last used first: name, shape, type\n"
    "and bytes, and how much of its budget they take. --drop gives blocks up instead; what a\n"
    "running product uses stays until that ends. --json: a line of JSON for each block.\n";

enum { OPTION_DROP = 256, OPTION_JSON };

typedef struct blocks_options {
  const char *drops[MAX_DROPS];
  unsigned drop_count;
  bool json;
} blocks_options;

static tess_code print_json(const Tessera__Matmul__V1__BlockInfo *info, const char *dtype,
                            tess_status *status) {
  cli_json json;
  cli_json_init(&json, MAX_LINE_BYTES);
  cli_json_begin(&json, NULL);
  cli_block_name_json(&json, info->sha256.data, info->rows, info->cols, dtype);
  cli_json_whole(&json, "bytes", info->bytes);
  cli_json_end(&json);
  const tess_code code = cli_json_write(&json, stdout, status);
  cli_json_cleanup(&json);
  return code;
}

static tess_code print_block(const Tessera__Matmul__V1__BlockInfo *info, bool json,
                             tess_status *status) {
  if (info->sha256.len != TESS_SHA256_BYTES) return TESS_OK;
  const char *dtype = tess_dtype_name((tess_dtype)info->dtype);
  if (dtype == NULL) dtype = "unknown";
  if (json) return print_json(info, dtype, status);
  char text[CLI_BLOCK_NAME_TEXT];
  cli_block_name_format(text, info->sha256.data);
  printf("%s %ux%u %s %" PRIu64 "\n", text, info->rows, info->cols, dtype, info->bytes);
  return TESS_OK;
}

static tess_code list(cli_remote *remote, const tess_call_options *call, bool json,
                      tess_status *status) {
  Tessera__Matmul__V1__ListBlocksRequest request;
  Tessera__Matmul__V1__ListBlocksResponse reply;
  tessera__matmul__v1__list_blocks_request__init(&request);
  tess_code code =
      cli_remote_call(remote, cli_method_list_blocks(), call, &request, &reply, status);
  for (size_t i = 0; code == TESS_OK && i < reply.n_blocks; i++)
    code = print_block(reply.blocks[i], json, status);
  if (code != TESS_OK) return code;
  char used[16], capacity[16];
  cli_format_bytes(used, reply.used_bytes);
  cli_format_bytes(capacity, reply.capacity_bytes);
  if (!json)
    printf("%zu %s, %s of %s\n", reply.n_blocks, reply.n_blocks == 1 ? "block" : "blocks", used,
           capacity);
  return TESS_OK;
}

static tess_code drop(cli_remote *remote, const tess_call_options *call, const char *text,
                      tess_status *status) {
  Tessera__Matmul__V1__DropBlockRequest request;
  Tessera__Matmul__V1__DropBlockResponse reply;
  uint8_t name[TESS_SHA256_BYTES];
  cli_block_name_parse(text, name); /* checked before */
  tessera__matmul__v1__drop_block_request__init(&request);
  request.sha256 = (ProtobufCBinaryData){sizeof name, name};
  tess_code code = cli_remote_call(remote, cli_method_drop_block(), call, &request, &reply, status);
  if (code != TESS_OK) return code;
  if (!reply.dropped)
    return tess_status_set(status, TESS_NOT_FOUND, "%s does not hold %s", remote->url, text);
  return TESS_OK;
}

static tess_code talk(cli_remote *remote, const tess_call_options *call, void *ctx,
                      tess_status *status) {
  const blocks_options *options = ctx;
  tess_code code = TESS_OK;
  for (unsigned i = 0; i < options->drop_count && code == TESS_OK; i++)
    code = drop(remote, call, options->drops[i], status);
  if (options->drop_count == 0) code = list(remote, call, options->json, status);
  if (code == TESS_UNIMPLEMENTED) tess_status_set(status, code, "%s keeps no blocks", remote->url);
  return code;
}

static int take_option(blocks_options *options, program_tls *tls, int option, char *value,
                       const char *text) {
  uint8_t name[TESS_SHA256_BYTES];
  switch (option) {
    case OPTION_DROP:
      if (!cli_block_name_parse(value, name))
        return cli_wrong_usage("--drop takes sha256: and 64 hexadecimal digits, not '%s'", value);
      if (options->drop_count == MAX_DROPS)
        return cli_wrong_usage("at most %d blocks are dropped at a time", MAX_DROPS);
      options->drops[options->drop_count++] = value;
      return -1;
    case OPTION_JSON:
      options->json = true;
      return -1;
    case 'h':
      printf("%s\n%s", help_text, PROGRAM_TLS_CLIENT_HELP);
      return CLI_DONE;
    case ':':
      return cli_wrong_usage("%s needs a value; see tessera blocks --help", text);
    default:
      if (program_tls_take(tls, option, value)) return -1;
      return cli_wrong_usage("unknown option '%s'; see tessera blocks --help", text);
  }
}

int cli_blocks(int argc, char **argv) {
  static const struct option long_options[] = {
      {"drop", required_argument, NULL, OPTION_DROP},
      {"json", no_argument, NULL, OPTION_JSON},
      PROGRAM_TLS_CLIENT_OPTIONS,
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  cli_plain plain = {
      .name = "blocks", .max_reply_bytes = MAX_REPLY_BYTES, .timeout_ms = TIMEOUT_MS};
  blocks_options options = {0};
  int option;
  optind = 1;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    int exit_code = take_option(&options, &plain.tls, option, optarg, argv[optind - 1]);
    if (exit_code >= 0) return exit_code;
  }
  const char *wrong = program_tls_check(&plain.tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  if (argc - optind != 1) return cli_wrong_usage("blocks takes one URL: tessera blocks URL");
  return cli_plain_run(&plain, argv[optind], talk, &options);
}
