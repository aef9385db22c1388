/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/trust.h"

#include <stddef.h>
#include <string.h>

static const struct {
  tess_check check;
  const char *name;
} names[] = {
    {TESS_CHECK_NEVER, "never"}, {TESS_CHECK_ALWAYS, "always"}, {TESS_CHECK_ADAPTIVE, "adaptive"}};
#define NAME_COUNT (sizeof names / sizeof names[0])

const char *tess_check_name(tess_check check) {
  for (size_t i = 0; i < NAME_COUNT; i++)
    if (names[i].check == check) return names[i].name;
  return NULL;
}

tess_check tess_check_from_name(const char *text, uint64_t size) {
  for (size_t i = 0; i < NAME_COUNT; i++)
    if (strlen(names[i].name) == size && memcmp(names[i].name, text, size) == 0)
      return names[i].check;
  return TESS_CHECK_UNSPECIFIED;
}

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
