/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_under_test.h"

const engine_under_test under_test = {
    .ops = &tess_engine_jsc, .file = ECHO_FILE, .traps = true, .sandbox = true};
