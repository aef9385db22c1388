/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock seam: a mutex where there are threads (lock_pthread.c), nothing where
 * there are none (lock_none.c). The file is chosen in CMake.
 */
#ifndef TESSERA_RPC_LOCK_H
#define TESSERA_RPC_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Room for a platform's mutex; each lock file asserts that it fits. */
typedef union tess__lock {
  uint64_t words[8];
  void *align;
} tess__lock;

/* False: the system has no mutex left. */
bool tess__lock_init(tess__lock *lock);
void tess__lock_cleanup(tess__lock *lock);
void tess__lock_acquire(tess__lock *lock);
void tess__lock_release(tess__lock *lock);

#endif
