/* SPDX-License-Identifier: Apache-2.0
 *
 * The processors that this process may use (its affinity).
 */
#ifndef TESSERA_PROGRAM_PROCESSORS_H
#define TESSERA_PROGRAM_PROCESSORS_H

/* At least 1. */
unsigned program_processors(void);

#endif
