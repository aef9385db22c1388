/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/printable.h"
#include "cli/progress.h"

/* Longer ones are cut. */
#define MAX_LINE 4096

static void print_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
static void print_line(const char *format, va_list arguments) {
  char line[MAX_LINE] = "";
  const int size = vsnprintf(line, sizeof line, format, arguments);
  cli_printable(line);
  fprintf(stderr, "tessera: %s%s\n", line, size >= (int)sizeof line ? "..." : "");
}

int cli_wrong_usage(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  cli_progress_clear();
  print_line(format, arguments);
  va_end(arguments);
  return CLI_WRONG_USAGE;
}

int cli_failed(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  cli_progress_clear();
  print_line(format, arguments);
  va_end(arguments);
  return CLI_FAILED;
}

void cli_note(bool quiet, const char *format, ...) {
  if (quiet) return;
  va_list arguments;
  va_start(arguments, format);
  cli_progress_clear();
  print_line(format, arguments);
  va_end(arguments);
}

void cli_note_beside(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_line(format, arguments);
  va_end(arguments);
}

const char *cli_status_text(const tess_status *status) {
  if (status->message != NULL && status->message[0] != '\0') return status->message;
  const char *name = tess_code_name(status->code);
  return name != NULL ? name : "unknown error";
}

int cli_failed_status(const char *what, const tess_status *status) {
  return cli_failed("%s: %s", what, cli_status_text(status));
}
