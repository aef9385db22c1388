/* SPDX-License-Identifier: Apache-2.0
 *
 * See health.h.
 */
#include "wasm/health.h"

void tess_health_init(tess_health *health, uint32_t capacity) {
  *health = (tess_health){.capacity = capacity == 0 ? 1 : capacity};
}

bool tess_health_ready(const tess_health *health, double now_ms) {
  return health->failures_in_row == 0 || now_ms >= health->retry_at_ms;
}

uint32_t tess_health_room(const tess_health *health, double now_ms) {
  if (!tess_health_ready(health, now_ms)) return 0;
  uint32_t limit = health->failures_in_row > 0 ? 1 : health->capacity;
  return health->in_flight < limit ? limit - health->in_flight : 0;
}

void tess_health_started(tess_health *health) {
  health->in_flight++;
}

void tess_health_dropped(tess_health *health) {
  if (health->in_flight > 0) health->in_flight--;
}

void tess_health_succeeded(tess_health *health) {
  tess_health_dropped(health);
  health->failures_in_row = 0;
  health->tiles++;
}

void tess_health_failed(tess_health *health, double now_ms) {
  tess_health_dropped(health);
  health->failures++;
  /* Several attempts that were in flight together fail together: one back-off. */
  if (health->failures_in_row > 0 && now_ms < health->retry_at_ms) return;
  double wait = TESS_HEALTH_BACKOFF_INITIAL_MS;
  for (uint32_t i = 0; i < health->failures_in_row && wait < TESS_HEALTH_BACKOFF_MAX_MS; i++)
    wait *= 2;
  if (wait > TESS_HEALTH_BACKOFF_MAX_MS) wait = TESS_HEALTH_BACKOFF_MAX_MS;
  if (health->failures_in_row < 64) health->failures_in_row++;
  health->retry_at_ms = now_ms + wait;
}
