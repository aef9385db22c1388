/* SPDX-License-Identifier: Apache-2.0
 *
 * Which engine a build of test_engine.c (and engine_*.c) tests, and what it can do.
 */
#ifndef TESSERA_TESTS_ENGINE_UNDER_TEST_H
#define TESSERA_TESTS_ENGINE_UNDER_TEST_H

#include "server/module_host.h"

typedef struct engine_under_test {
  const tess_engine_ops *ops;
  const char *file; /* .wasm, or NULL */
  const void *image;
  bool traps;         /* a fault of the module ends the instance alone */
  bool interruptible; /* a loop can be stopped (and the build lets us: see use_wasm2c.c) */
  bool sandbox;       /* there is memory outside the module's */
} engine_under_test;

extern const engine_under_test under_test;

#endif
