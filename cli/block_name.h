/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of operand blocks as people write them: sha256: and 64 hexadecimal digits.
 * Threads: none.
 */
#ifndef TESSERA_CLI_BLOCK_NAME_H
#define TESSERA_CLI_BLOCK_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/json_out.h"
#include "matmul/sha256.h"

/* "sha256:", the digits, and NUL. */
#define CLI_BLOCK_NAME_TEXT (7 + 2 * TESS_SHA256_BYTES + 1)

/* Is it meant as a name? It may still be none. */
bool cli_block_name_is(const char *text);
/* False: not such a name. */
bool cli_block_name_parse(const char *text, uint8_t name[TESS_SHA256_BYTES]);
void cli_block_name_format(char text[CLI_BLOCK_NAME_TEXT], const uint8_t name[TESS_SHA256_BYTES]);
/* What every line of JSON about a block begins with, within its object. */
void cli_block_name_json(cli_json *json, const uint8_t name[TESS_SHA256_BYTES], uint32_t rows,
                         uint32_t cols, const char *dtype);

#endif
