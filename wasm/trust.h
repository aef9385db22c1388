/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a worker's answers are believed: adaptive replication as BOINC does it
 * (D. Anderson, "BOINC: A Platform for Volunteer Computing", J. Grid Computing
 * 2020, section 4.1), with Freivalds' check in the place of a second computation.
 * A worker starts untrusted: every tile is checked. After TESS_TRUST_AFTER valid
 * tiles in a row a tile is checked with a probability that falls with the length
 * of the row, down to TESS_TRUST_FLOOR. A wrong tile ends the row and puts the
 * worker into quarantine: 30 s, doubled each time up to an hour; what it still
 * brings is checked.
 *
 * Times are ms on the controller's clock. Pure. Threads: none.
 */
#ifndef TESSERA_WASM_TRUST_H
#define TESSERA_WASM_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#define TESS_TRUST_AFTER 10u
#define TESS_TRUST_FLOOR 0.05
#define TESS_TRUST_QUARANTINE_MS 30000.0
#define TESS_TRUST_QUARANTINE_MAX_MS 3600000.0

/* Zero: a worker nobody knows. */
typedef struct tess_trust {
  uint32_t valid_in_row;
  uint32_t wrong; /* times */
  double quarantine_until_ms;
} tess_trust;

/* random: uniform in [0, 1). */
bool tess_trust_wants_check(const tess_trust *trust, double random);
void tess_trust_valid(tess_trust *trust);
void tess_trust_wrong(tess_trust *trust, double now_ms);
bool tess_trust_quarantined(const tess_trust *trust, double now_ms);

#endif
