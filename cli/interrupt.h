/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C and its kin. The first SIGINT, SIGTERM, SIGQUIT or SIGHUP asks the work to stop;
 * the second ends the program at once. Either way no temporary file stays.
 * SIGBUS (an input file that was cut while it is read) ends it with one line.
 * Threads: install from the main thread; the question may be asked from any.
 */
#ifndef TESSERA_CLI_INTERRUPT_H
#define TESSERA_CLI_INTERRUPT_H

#include <stdbool.h>

void cli_interrupt_install(void);
bool cli_interrupted(void);
/* From now on SIGHUP is no reason to stop, but a question: did one come since the last
 * time that this was asked? */
void cli_interrupt_keep_hangups(void);
bool cli_hung_up(void);
/* After cleaning up: ends the program by the signal that came, so that a shell's
 * loop ends too. */
void cli_interrupt_die(void);

#endif
