/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock of the programs. Threads: any.
 */
#ifndef TESSERA_PROGRAM_CLOCK_H
#define TESSERA_PROGRAM_CLOCK_H

/* CLOCK_MONOTONIC, in milliseconds with a fraction. */
double program_now_ms(void);

#endif
