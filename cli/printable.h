/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that others chose (peers, arguments, names of files) on its way to a terminal.
 * UTF-8 stays as it is, but for what commands the terminal or lets text appear as
 * something else: control characters (C0, DEL, C1), line and paragraph separators, what
 * changes the direction of text (U+202E and its like), and spaces without width, marks of
 * byte order and tags, which nobody sees. Each of them, and each byte that is no UTF-8,
 * becomes one '?'.
 *
 *   cli_printable(reply->name);
 *   printf("%s\n", reply->name);
 *
 * Pure, but for the widths of characters, which are the C library's. Threads: any.
 */
#ifndef TESSERA_CLI_PRINTABLE_H
#define TESSERA_CLI_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In place. */
void cli_printable(char *text);
/* As much as fits into size bytes (at least 1) with the NUL, in whole characters. from may
 * be NULL, and may be to. */
void cli_printable_copy(char *to, size_t size, const char *from);

/* The character at text, which is not at its end: its bytes, whether it may be printed, and
 * how many columns a terminal gives it: 2 where it is wide, 0 where it combines with the one
 * before it. One that the C library does not know gets as many as it may have. */
size_t cli_printable_next(const char *text, bool *printable, uint32_t *columns);

#endif
