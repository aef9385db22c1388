/* SPDX-License-Identifier: Apache-2.0
 *
 * Options that several commands take alike. Each function returns an exit code,
 * when it has said what is wrong, or -1: go on. Threads: the main thread.
 */
#ifndef TESSERA_CLI_COMMON_OPTIONS_H
#define TESSERA_CLI_COMMON_OPTIONS_H

#include <stdint.h>

#include "matmul/matrix.h"
#include "program/number.h"

int cli_take_number(const program_number_option *option, const char *text, uint64_t *number);
/* Looks whether it is a URL of a peer: http or https, a host, perhaps a port and a path.
 * option: "--server ", or "" where it is no option. */
int cli_check_url(const char *option, const char *url);
/* --NAME MS, from 1. */
int cli_take_ms(const char *name, const char *text, int64_t *ms);
/* --dtype float32 or float64. */
int cli_take_dtype(const char *text, tess_dtype *dtype);

#endif
