/* SPDX-License-Identifier: Apache-2.0
 *
 * The lists of a schedule: tiles that wait, and remote attempts by start time.
 */
#include "matmul/schedule_private.h"

void tess__schedule_list_append(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile) {
  s->tiles[tile].before = *tail;
  s->tiles[tile].after = TESS__NONE;
  if (*tail == TESS__NONE) {
    *head = tile;
  } else {
    s->tiles[*tail].after = tile;
  }
  *tail = tile;
}

void tess__schedule_list_remove(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile) {
  uint32_t before = s->tiles[tile].before;
  uint32_t after = s->tiles[tile].after;
  if (before == TESS__NONE) {
    *head = after;
  } else {
    s->tiles[before].after = after;
  }
  if (after == TESS__NONE) {
    *tail = before;
  } else {
    s->tiles[after].before = before;
  }
}

void tess__schedule_flight_append(tess_schedule *s, uint32_t flight) {
  s->flights[flight].before = s->flight_tail;
  s->flights[flight].after = TESS__NONE;
  if (s->flight_tail == TESS__NONE) {
    s->flight_head = flight;
  } else {
    s->flights[s->flight_tail].after = flight;
  }
  s->flight_tail = flight;
}

void tess__schedule_flight_remove(tess_schedule *s, uint32_t flight) {
  uint32_t before = s->flights[flight].before;
  uint32_t after = s->flights[flight].after;
  if (before == TESS__NONE) {
    s->flight_head = after;
  } else {
    s->flights[before].after = after;
  }
  if (after == TESS__NONE) {
    s->flight_tail = before;
  } else {
    s->flights[after].before = before;
  }
}
