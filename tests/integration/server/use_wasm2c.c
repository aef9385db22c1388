/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_under_test.h"
#include "server/engine_wasm2c.h"

/* The thread sanitizer holds a signal back until the thread calls something it
 * watches, which a spinning loop never does. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INTERRUPTIBLE false
#endif
#endif
#ifndef INTERRUPTIBLE
#define INTERRUPTIBLE true
#endif

extern const tess_wasm2c_image ECHO_IMAGE;
const engine_under_test under_test = {.ops = &tess_engine_wasm2c,
                                      .image = &ECHO_IMAGE,
                                      .traps = true,
                                      .interruptible = INTERRUPTIBLE,
                                      .sandbox = true};
