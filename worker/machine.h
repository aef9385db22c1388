/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory that this process may use (physical, or the limit of its control group where
 * that is lower), and its clock.
 */
#ifndef TESSERA_WORKER_MACHINE_H
#define TESSERA_WORKER_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* At least 64 MiB. */
size_t worker_machine_memory_bytes(void);
/* CLOCK_MONOTONIC, in milliseconds with a fraction. */
double worker_machine_now_ms(void);

#endif
