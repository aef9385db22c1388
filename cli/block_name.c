/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/block_name.h"

#include <string.h>

#include "rpc/hex.h"

static const char prefix[] = "sha256:";
#define PREFIX (sizeof prefix - 1)

bool cli_block_name_is(const char *text) {
  return strncmp(text, prefix, PREFIX) == 0;
}

bool cli_block_name_parse(const char *text, uint8_t name[TESS_SHA256_BYTES]) {
  if (!cli_block_name_is(text) || strlen(text) != CLI_BLOCK_NAME_TEXT - 1) return false;
  for (unsigned i = 0; i < TESS_SHA256_BYTES; i++) {
    int high = tess__hex_digit(text[PREFIX + 2 * i]);
    int low = tess__hex_digit(text[PREFIX + 2 * i + 1]);
    if (high < 0 || low < 0) return false;
    name[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

void cli_block_name_format(char text[CLI_BLOCK_NAME_TEXT], const uint8_t name[TESS_SHA256_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  memcpy(text, prefix, PREFIX);
  for (unsigned i = 0; i < TESS_SHA256_BYTES; i++) {
    text[PREFIX + 2 * i] = digits[name[i] >> 4];
    text[PREFIX + 2 * i + 1] = digits[name[i] & 15];
  }
  text[CLI_BLOCK_NAME_TEXT - 1] = '\0';
}

void cli_block_name_json(cli_json *json, const uint8_t name[TESS_SHA256_BYTES], uint32_t rows,
                         uint32_t cols, const char *dtype) {
  char text[CLI_BLOCK_NAME_TEXT];
  cli_block_name_format(text, name);
  cli_json_text(json, "block", text);
  cli_json_whole(json, "rows", rows);
  cli_json_whole(json, "cols", cols);
  cli_json_text(json, "dtype", dtype);
}
