/* SPDX-License-Identifier: Apache-2.0
 *
 * What the command tells people on stderr: one line for each thing, in the form
 * "tessera: ...", made printable (printable.h). A progress bar on the same terminal is
 * cleared first.
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_REPORT_H
#define TESSERA_CLI_REPORT_H

#include <stdbool.h>

#include <tessera/status.h>

/* Exit codes of every command. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG_USAGE = 2 };

/* Prints and returns the exit code, so that `return cli_wrong_usage(...)` reads well. */
int cli_wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says what failed: "what: message of the status". */
int cli_failed_status(const char *what, const tess_status *status);
/* Something to know; nothing with quiet. */
void cli_note(bool quiet, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same on any thread; it leaves the progress bar alone. */
void cli_note_beside(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The best words for a status: its message, else the code's name. */
const char *cli_status_text(const tess_status *status);

#endif
