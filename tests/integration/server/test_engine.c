/* SPDX-License-Identifier: Apache-2.0
 *
 * The module host with one engine: a file of tests for each topic (engine_*.c).
 */
#include "engine_rig.h"
#include "tests/unit/run_case.h"

int main(void) {
  TCase *const topics[] = {engine_work(),    engine_bounds(), engine_faults(),
                           engine_clients(), engine_posts(),  engine_life()};
  return run_cases(under_test.ops->name, topics, sizeof topics / sizeof topics[0]);
}
