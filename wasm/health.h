/* SPDX-License-Identifier: Apache-2.0
 *
 * What the controller knows about one worker across products: how many tiles it
 * holds, and whether it deserves another. A worker that fails backs off for
 * 100 ms, doubled with each failure in a row up to 10 s; then it gets one tile as
 * a probe, and a success restores it.
 *
 * Times are milliseconds on the controller's clock.
 */
#ifndef TESSERA_WASM_HEALTH_H
#define TESSERA_WASM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define TESS_HEALTH_BACKOFF_INITIAL_MS 100.0
#define TESS_HEALTH_BACKOFF_MAX_MS 10000.0

typedef struct tess_health {
  uint32_t capacity;
  uint32_t in_flight;
  uint32_t failures_in_row;
  double retry_at_ms; /* while failures_in_row > 0 */
  uint64_t tiles;     /* since the start */
  uint64_t failures;
} tess_health;

void tess_health_init(tess_health *health, uint32_t capacity);
/* How many more tiles it may take now. */
uint32_t tess_health_room(const tess_health *health, double now_ms);
/* Not backing off. */
bool tess_health_ready(const tess_health *health, double now_ms);
void tess_health_started(tess_health *health);
void tess_health_succeeded(tess_health *health);
void tess_health_failed(tess_health *health, double now_ms);
/* The attempt was cancelled by us: says nothing about the worker. */
void tess_health_dropped(tess_health *health);

#endif
