/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock of a worker.
 */
#ifndef TESSERA_WORKER_MACHINE_H
#define TESSERA_WORKER_MACHINE_H

/* CLOCK_MONOTONIC, in milliseconds with a fraction. */
double worker_machine_now_ms(void);

#endif
