/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common_options.h"

#include <string.h>

#include "cli/report.h"

int cli_take_number(const program_number_option *option, const char *text, uint64_t *number) {
  char why[PROGRAM_WHY_BYTES];
  return program_number_take(option, text, number, why) ? -1 : cli_wrong_usage("%s", why);
}

int cli_check_url(const char *option, const char *url) {
  const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                     : strncmp(url, "https://", 8) == 0 ? url + 8
                                                        : "";
  const char *at = host;
  while (*at > ' ' || *at < 0)
    at++;
  if (at != host && *at == 0 && *host != '/' && *host != ':') return -1;
  return cli_wrong_usage("%s%s: not a URL like http://HOST:PORT", option, url);
}

int cli_take_ms(const char *name, const char *text, int64_t *ms) {
  const program_number_option option = {name, PROGRAM_MS, 1, INT32_MAX};
  uint64_t number = 0;
  int code = cli_take_number(&option, text, &number);
  if (code < 0) *ms = (int64_t)number;
  return code;
}

int cli_take_dtype(const char *text, tess_dtype *dtype) {
  static const tess_dtype taken[] = {TESS_DTYPE_FLOAT32, TESS_DTYPE_FLOAT64};
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
    if (strcmp(text, tess_dtype_name(taken[i])) != 0) continue;
    *dtype = taken[i];
    return -1;
  }
  return cli_wrong_usage("--dtype is float32 or float64, not '%s'", text);
}
