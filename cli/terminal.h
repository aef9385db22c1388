/* SPDX-License-Identifier: Apache-2.0
 *
 * The terminal as one screen that is drawn again and again: the other screen of the
 * terminal (xterm's alternate screen), keys without Enter, the old state back at the
 * end, however the program ends. There is one. Threads: the main thread;
 * cli_terminal_restore also from a signal handler.
 */
#ifndef TESSERA_CLI_TERMINAL_H
#define TESSERA_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: standard output is no terminal. */
bool cli_terminal_open(void);
/* Gives the terminal back as it was; nothing where it is not open. */
void cli_terminal_restore(void);
/* Columns and rows; 80 x 24 where it does not tell. */
void cli_terminal_size(uint32_t *columns, uint32_t *rows);
/* One frame in one write. False: nobody reads any more. */
bool cli_terminal_write(const char *text, size_t size);
/* Waits for a key, a new size or a signal, timeout_ms at most. The key; 0: none; -1: the
 * size changed. */
int cli_terminal_wait(int timeout_ms);

#endif
