/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON that a command prints for programs: one value on one line. It is gathered in a
 * buffer of at most max_bytes, and leaves whole or not at all. Errors stick: call on,
 * and look once at the end.
 *
 *   cli_json json;
 *   cli_json_init(&json, 4096);
 *   cli_json_begin(&json, NULL);
 *   cli_json_text(&json, "url", url);
 *   cli_json_end(&json);
 *   code = cli_json_write(&json, stdout, &status); // {"url":"http://a:1"}
 *   cli_json_cleanup(&json);
 *
 * name: of a member, which comes in the order of the calls; NULL in a list, and for the
 * value itself. Names and texts are borrowed for the call. Threads: one at a time.
 */
#ifndef TESSERA_CLI_JSON_OUT_H
#define TESSERA_CLI_JSON_OUT_H

#include <stdalign.h>
#include <stdio.h>

#include <tessera/status.h>

#include "rpc/output.h"

struct yajl_gen_t;

/* Private. It must not move. */
typedef struct cli_json {
  tess__output text;
  tess__output number; /* the digits of one */
  struct yajl_gen_t *gen;
  const char *wrong; /* NULL: nothing so far */
  size_t used;       /* of memory */
  alignas(max_align_t) uint8_t memory[1024];
} cli_json;

void cli_json_init(cli_json *json, size_t max_bytes);
void cli_json_cleanup(cli_json *json);

/* An object, a list, and their ends. */
void cli_json_begin(cli_json *json, const char *name);
void cli_json_end(cli_json *json);
void cli_json_begin_list(cli_json *json, const char *name);
void cli_json_end_list(cli_json *json);

/* Any UTF-8; other bytes are an error. */
void cli_json_text(cli_json *json, const char *name, const char *text);
void cli_json_bool(cli_json *json, const char *name, bool value);
void cli_json_whole(cli_json *json, const char *name, uint64_t number);
/* A short text that reads back as the same number; null where it is not known: < 0, NaN
 * or infinite. */
void cli_json_known(cli_json *json, const char *name, double number);

/* The value and a newline, flushed. TESS_RESOURCE_EXHAUSTED: no memory, or too long.
 * TESS_INVALID_ARGUMENT: what was put is no JSON. TESS_DATA_LOSS: the file takes no
 * more. */
tess_code cli_json_write(cli_json *json, FILE *to, tess_status *status);

#endif
