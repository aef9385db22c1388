/* SPDX-License-Identifier: Apache-2.0
 *
 * The signals that a program waits for (sigwait) in its main thread. Blocking them
 * before it starts threads is not enough: a library may have started some before
 * main() began (OpenBLAS does), and a signal that comes while nobody waits would go to
 * one of those and end the program. Such a thread hands it on to the main thread.
 *
 * Threads: the main thread.
 */
#ifndef TESSERA_PROGRAM_SIGNALS_H
#define TESSERA_PROGRAM_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* SIGTERM, SIGINT and, where it is wanted, SIGHUP: from now on for sigwait alone. SIGPIPE
 * is ignored. */
void program_signals_block(sigset_t *signals, bool hangup);
/* The next one ends the program at once. */
void program_signals_let_go(const sigset_t *signals);

#endif
