/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the scheduler share; private to schedule*.c.
 *
 *   schedule.c           made and unmade; who takes part; questions
 *   schedule_hand_out.c  which tile an executor gets, and when to ask again
 *   schedule_backup.c    second copies of tiles that are late
 *   schedule_outcome.c   how attempts end, and where their tiles go then
 *   schedule_expect.c    how long things should take
 *   schedule_lists.c     tiles that wait, attempts by start
 *
 * Where a tile can be:
 *   its owner's queue   not tried yet
 *   the retry list      tried and failed, may go to anyone again
 *   the local list      too many remote failures: local alone
 *   in flight           with one executor, or with two: an attempt and its backup
 *   done
 *
 * A flight is one attempt under way; those of tile t are 2t and 2t + 1. Remote ones
 * stand in a list by start time; the first TESS__SCHEDULE_SCAN of them are looked at
 * for what is overdue.
 */
#ifndef TESSERA_MATMUL_SCHEDULE_PRIVATE_H
#define TESSERA_MATMUL_SCHEDULE_PRIVATE_H

#include "matmul/schedule.h"

#define TESS__NONE UINT32_MAX
#define TESS__SCHEDULE_SCAN 64u

typedef enum tess__tile_state {
  TESS__TILE_OWNED,
  TESS__TILE_RETRY,
  TESS__TILE_LOCAL,
  TESS__TILE_IN_FLIGHT,
  TESS__TILE_DONE
} tess__tile_state;

typedef struct tess__schedule_tile {
  uint32_t before, after; /* neighbours in the list that the state names */
  tess__tile_state state;
  uint32_t generation; /* of the latest attempt */
  uint32_t executor;   /* of the latest attempt that failed, or that is under way */
  uint32_t attempts;   /* that failed */
} tess__schedule_tile;

typedef struct tess__schedule_flight {
  uint32_t before, after; /* remote flights by start */
  uint32_t executor;
  uint32_t generation;
  uint32_t epoch; /* of the executor when the attempt began */
  bool live;
  bool beaten;
  bool overdue;
  double started_ms;
  double deadline_ms; /* at the latest; NO_WAKE: none */
  uint64_t bytes;     /* that it was to move when it began */
  double expected_ms; /* its end; NO_WAKE: nothing is known */
  bool seen;          /* expected_ms is by what was seen of its own worker */
} tess__schedule_flight;

typedef struct tess__schedule_executor {
  bool joined;
  bool left;
  uint32_t capacity;
  uint32_t failures_in_row;
  uint32_t epoch;        /* counts back-offs: tiles that fall with the same blow count once */
  double retry_at_ms;    /* end of the back-off */
  double first_start_ms; /* of its first attempt */
  double last_done_ms;
  double asked_ms;   /* last time that it had room */
  double free_at_ms; /* when all that it holds is expected to be done */
  uint64_t queue_flops;
  double pace;       /* ms per flop of its latest tiles, transfer and all; 0: none yet */
  tess_speed *speed; /* own_speed, or the caller's */
  tess_speed own_speed;
  tess_speed told;                               /* by itself */
  uint32_t queue_head, queue_tail, queue_length; /* tiles owned and not tried */
  tess_executor_stats stats;
} tess__schedule_executor;

/* ---- schedule.c ---- */

/* The schedule as a whole fails with this tile. */
void tess__schedule_fail(tess_schedule *s, uint32_t tile);
/* Fails it, where a tile can go nowhere any more. */
void tess__schedule_check_hope(tess_schedule *s);

/* ---- schedule_lists.c ---- */

/* Of tiles; head and tail are the list's. */
void tess__schedule_list_append(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile);
void tess__schedule_list_remove(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile);
void tess__schedule_flight_append(tess_schedule *s, uint32_t flight);
void tess__schedule_flight_remove(tess_schedule *s, uint32_t flight);

/* ---- schedule_expect.c ---- */

uint64_t tess__schedule_tile_flops(const tess_schedule *s, uint32_t tile);
/* That it would move to and from this executor now. */
uint64_t tess__schedule_tile_bytes(const tess_schedule *s, uint32_t executor, uint32_t tile);
/* < 0: nothing is known. */
double tess__schedule_estimate_ms(const tess_schedule *s, const tess__schedule_executor *e,
                                  uint64_t flops, uint64_t bytes);
double tess__schedule_tile_estimate_ms(const tess_schedule *s, uint32_t executor, uint32_t tile);
/* Beside that, for a tile that is `from`'s: operands of it that `from` holds and this one
 * lacks travel once more, at the rate at which all else came. 0 among many executors: a
 * panel is then a small part of what travels. */
double tess__schedule_moved_ms(const tess_schedule *s, uint32_t executor, uint32_t from,
                               uint32_t tile, double now_ms);
/* When the executor will be done with what it has under way, tiles like this one, and so
 * much more: end_ms, or sooner by its pace alone. For whoever would have to be sent again
 * what it holds. Infinity (never) stays. */
double tess__schedule_capped_end_ms(const tess_schedule *s, uint32_t executor, uint64_t more_flops,
                                    uint32_t tile, double end_ms, double now_ms);
/* When the flight should end; NO_WAKE: nothing is known, and there is no limit. */
double tess__schedule_flight_expected_ms(const tess_schedule *s, uint32_t flight);
/* From when on the flight is so far behind its expectation that this speaks against its
 * worker; NO_WAKE: never. */
double tess__schedule_overdue_ms(const tess_schedule *s, uint32_t flight);
bool tess__schedule_is_overdue(const tess_schedule *s, uint32_t flight, double now_ms);
/* When the flight is given up, by what is known now; NO_WAKE: never. */
double tess__schedule_deadline_ms(const tess_schedule *s, uint32_t flight);

/* ---- schedule_outcome.c ---- */

/* The other attempt at the same tile, where there is one under way; else NONE. */
uint32_t tess__schedule_sibling(const tess_schedule *s, uint32_t flight);
void tess__schedule_attempt_failed(tess_schedule *s, uint32_t flight, double now_ms);

/* ---- schedule_hand_out.c ---- */

/* Is there an idle worker that would be much sooner done with this tile? */
bool tess__schedule_leave_to_faster(tess_schedule *s, uint32_t executor, uint32_t tile,
                                    double now_ms);

/* ---- schedule_backup.c ---- */

/* The tile that this worker should compute a second time; NONE. */
uint32_t tess__schedule_take_backup(tess_schedule *s, uint32_t executor, double now_ms);
/* When the first flight will be so late that an idle worker backs it up; NO_WAKE. */
double tess__schedule_backup_wake_ms(const tess_schedule *s, double now_ms);

#endif
