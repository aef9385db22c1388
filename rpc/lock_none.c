/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock seam for builds with one thread: WebAssembly, firmware.
 */
#include "rpc/lock.h"

bool tess__lock_init(tess__lock *lock) {
  (void)lock;
  return true;
}

void tess__lock_cleanup(tess__lock *lock) {
  (void)lock;
}

void tess__lock_acquire(tess__lock *lock) {
  (void)lock;
}

void tess__lock_release(tess__lock *lock) {
  (void)lock;
}
