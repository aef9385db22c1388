/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/trust.h"

bool tess_trust_wants_check(const tess_trust *trust, double random) {
  if (trust->valid_in_row < TESS_TRUST_AFTER) return true;
  double share = (double)TESS_TRUST_AFTER / trust->valid_in_row;
  return random < (share > TESS_TRUST_FLOOR ? share : TESS_TRUST_FLOOR);
}

void tess_trust_valid(tess_trust *trust) {
  if (trust->valid_in_row < UINT32_MAX) trust->valid_in_row++;
}

void tess_trust_wrong(tess_trust *trust, double now_ms) {
  double pause = TESS_TRUST_QUARANTINE_MS;
  for (uint32_t i = 0; i < trust->wrong && pause < TESS_TRUST_QUARANTINE_MAX_MS; i++)
    pause *= 2;
  if (pause > TESS_TRUST_QUARANTINE_MAX_MS) pause = TESS_TRUST_QUARANTINE_MAX_MS;
  trust->valid_in_row = 0;
  if (trust->wrong < UINT32_MAX) trust->wrong++;
  trust->quarantine_until_ms = now_ms + pause;
}

bool tess_trust_quarantined(const tess_trust *trust, double now_ms) {
  return now_ms < trust->quarantine_until_ms;
}
