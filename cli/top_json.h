/* SPDX-License-Identifier: Apache-2.0
 *
 * A look of `tessera top` as one line of JSON, for programs: the figures of the
 * screen. What is not known is null. Threads: none.
 */
#ifndef TESSERA_CLI_TOP_JSON_H
#define TESSERA_CLI_TOP_JSON_H

#include <stdio.h>

#include "cli/top_view.h"

typedef struct cli_top_json {
  const char *url;            /* that was asked */
  const char *problem;        /* why it did not answer; NULL: it did */
  double time_ms;             /* since 1970 */
  const cli_top_look *now;    /* not read where there is a problem */
  const cli_top_look *before; /* an older look, for rates; or NULL */
} cli_top_json;

/* False: no memory, or nobody reads any more. */
bool cli_top_json_print(const cli_top_json *line, FILE *to);

#endif
