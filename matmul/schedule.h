/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler: which executor computes which tile of a plan, and what happens
 * when that fails. A state machine without I/O and without a clock: the caller
 * passes now_ms (any monotonic milliseconds) and reports what it saw.
 *
 * Executors are numbered. TESS_SCHEDULE_LOCAL is the controller itself; workers
 * that join get 1, 2, ... . A worker takes `capacity` tiles at a time.
 *
 * Rules
 *   - A tile goes to the worker it was planned for. A worker with room and no
 *     tile of its own steals from whoever would end last, unless the owner would
 *     be sooner done with it itself; among few, operands that the owner holds and the
 *     thief would be sent count twice, at the rate at which all else came. What is
 *     stolen, failed before or backed up is left to a much faster worker, if one asked
 *     for work a moment ago.
 *   - When nothing waits any more, a worker with room computes a second copy (a
 *     backup) of the tile that is expected last, if it would be sooner done with
 *     it: an attempt that is late by x is expected to need x more, and one of which
 *     nothing is known to take an eighth of tile_timeout_ms. The first
 *     answer counts; the other attempt is no longer current. At most
 *     backup_share of the tiles, and two, are backed up. Local attempts are not:
 *     they compute in place. (Dean and Ghemawat, "MapReduce", OSDI 2004, section
 *     3.6.)
 *   - A tile that failed goes elsewhere where it can; after max_attempts remote
 *     attempts it goes to local alone.
 *   - A worker that fails backs off: backoff_initial_ms, doubled with each
 *     failure in a row up to backoff_max_ms. Then it is probed with one tile;
 *     a success gives it its full capacity again.
 *   - An attempt that takes longer than tile_timeout_ms counts as failed, and,
 *     once its worker's speed is known, one that takes 5 times as long as expected and 5 s
 *     more; also where that becomes known while it runs. Of a worker that has not done a
 *     tile yet, who is measured by others or by what it says of itself, 20 times is
 *     allowed, a link of 1 MB/s, and twice as long for each attempt of the tile that
 *     failed. So one connection that stalls is not awaited for all of tile_timeout_ms. Its
 *     late answer is recognised by the attempt's generation and ignored, so
 *     every tile is counted once. A new attempt may begin while the old one still
 *     runs: whoever receives must drop what tess_schedule_is_current refuses
 *     before it touches C.
 *   - Local takes tiles as its policy says; a worker that is backing off or being
 *     probed is no reason for it to wait. Its attempts have no deadline.
 *   - With neither timeouts nor failures reported, an attempt is awaited for ever.
 *   - When a tile can go nowhere any more, the schedule fails as a whole.
 *
 * Every call is O(workers) or better, apart from tick and leave, which walk over
 * the attempts they give up, and next, which may walk over tiles that failed; memory is allocated
 * by tess_schedule_make alone. Threads: one at a time.
 *
 *   while ((state = tess_schedule_state_get(&s)) == TESS_SCHEDULE_RUNNING) {
 *     tess_schedule_tick(&s, now);
 *     for each executor: while (tess_schedule_next(&s, executor, now, &attempt)) send(attempt);
 *     ... on an answer: tess_schedule_done(&s, &attempt, now, bytes...) or _failed ...
 *     sleep until tess_schedule_next_wake(&s, now), or an event
 *   }
 */
#ifndef TESSERA_MATMUL_SCHEDULE_H
#define TESSERA_MATMUL_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#include "matmul/plan.h"
#include "matmul/reason.h"
#include "matmul/speed.h"

#define TESS_SCHEDULE_LOCAL 0u
#define TESS_SCHEDULE_NO_WAKE (-1.0)

typedef enum tess_schedule_policy {
  TESS_POLICY_FALLBACK = 0, /* local only takes tiles that no worker can take */
  TESS_POLICY_MIXED = 1,    /* local works beside the workers */
  TESS_POLICY_LOCAL = 2,    /* everything is computed here; nothing new goes out */
  TESS_POLICY_REMOTE = 3    /* nothing is ever computed here */
} tess_schedule_policy;

typedef enum tess_schedule_state {
  TESS_SCHEDULE_RUNNING = 0,
  TESS_SCHEDULE_DONE = 1,   /* every tile is complete */
  TESS_SCHEDULE_FAILED = 2, /* a tile can go nowhere: tess_schedule_failed_tile */
  TESS_SCHEDULE_CANCELED = 3
} tess_schedule_state;

typedef struct tess_schedule_params {
  uint32_t max_workers; /* most that may ever join; 0: none, all local */
  tess_schedule_policy policy;
  uint32_t local_capacity;      /* tiles at a time; 0: 1 */
  uint32_t max_attempts;        /* remote attempts for one tile; 0: 4 */
  double tile_timeout_ms;       /* 0: none */
  double backoff_initial_ms;    /* 0: 100 */
  double backoff_max_ms;        /* 0: 10000 */
  uint32_t max_worker_failures; /* in a row, then the worker is given up; 0: never */
  double backup_share;          /* of the tiles; 0: 0.1; negative: no backups */
  /* Elements that a tile would move to and from this executor now, in bytes, which may
   * hold some of its operands already. NULL: all of them. */
  uint64_t (*tile_bytes)(void *context, uint32_t executor, uint32_t tile);
  void *context;
} tess_schedule_params;

/* One try of one tile on one executor. A value; keep it beside the request. */
typedef struct tess_attempt {
  uint32_t tile;     /* index into the plan */
  uint32_t executor; /* TESS_SCHEDULE_LOCAL or a worker's number */
  uint32_t generation;
  double started_ms;
  double deadline_ms; /* started + tile_timeout_ms, or TESS_SCHEDULE_NO_WAKE; it may be
                       * given up before */
} tess_attempt;

typedef struct tess_executor_stats {
  uint32_t tiles;     /* counted: each tile of the product once */
  uint32_t failures;  /* attempts that failed or timed out */
  uint32_t timeouts;  /* of these, by time */
  uint32_t late;      /* answers that came after their attempt was given up */
  uint32_t backups;   /* second copies begun here */
  uint32_t beaten;    /* attempts that were given up because another answered */
  uint32_t in_flight; /* now */
  double busy_ms;     /* sum over counted tiles: answer minus start */
  double compute_ms;  /* sum over counted tiles, as the executor tells */
  uint64_t bytes_sent;
  uint64_t bytes_received;
} tess_executor_stats;

typedef struct tess_schedule {
  const tess_plan *plan;       /* borrowed */
  tess_schedule_params params; /* with defaults filled in */
  tess_schedule_state state;
  uint32_t tiles_done;
  uint32_t local_tiles;                      /* of tiles_done */
  uint32_t retries;                          /* attempts beyond a tile's first, backups apart */
  uint32_t backups;                          /* second copies begun */
  uint32_t executor_count;                   /* local and every worker that joined */
  struct tess__schedule_tile *tiles;         /* private */
  struct tess__schedule_executor *executors; /* private */
  struct tess__schedule_flight *flights;     /* private: two for each tile */
  tess_speed mean_speed;                     /* private: of the workers of this product */
  uint32_t pending_count;                    /* private: tiles waiting for an executor */
  uint32_t retry_head, retry_tail;           /* private: failed tiles that wait again */
  uint32_t local_head, local_tail;           /* private: tiles for local alone */
  uint32_t flight_head, flight_tail;         /* private: remote attempts, oldest first */
  uint32_t slot_count;                       /* private: executors and owners of the plan */
  uint32_t failed_tile;                      /* private */
  double ticked_ms;                          /* private: of the last tick */
  double recheck_ms;                         /* private: a tile was left for a faster worker */
  const tess_allocator *allocator;           /* private */
} tess_schedule;

/* TESS_INVALID_ARGUMENT: a parameter is negative, not finite, or REMOTE without
 * workers. TESS_RESOURCE_EXHAUSTED: memory. *schedule is empty after an error.
 * plan and allocator (NULL: malloc) are borrowed until the cleanup. A plan
 * without tiles is DONE at once. */
tess_code tess_schedule_make(tess_schedule *schedule, const tess_plan *plan,
                             const tess_schedule_params *params, const tess_allocator *allocator,
                             tess_reason *reason);
void tess_schedule_cleanup(tess_schedule *schedule);

/* A worker joins; the first becomes executor 1 and owner 0 of the plan, the
 * second 2 and 1, and so on. 0: max_workers have joined. capacity 0 counts as 1. */
uint32_t tess_schedule_join(tess_schedule *schedule, uint32_t capacity);
/* A worker leaves for good: what it holds fails, and it gets nothing more. */
void tess_schedule_leave(tess_schedule *schedule, uint32_t executor, double now_ms);
/* The caller knows from elsewhere (another product) that this worker does not
 * answer: it counts as backing off until until_ms, and is probed then. What it
 * holds goes on. */
void tess_schedule_suspend(tess_schedule *schedule, uint32_t executor, double until_ms);
/* Estimates with, and teaches, this speed, which the caller keeps across products;
 * borrowed until the cleanup. NULL: one of the schedule's own. */
void tess_schedule_use_speed(tess_schedule *schedule, uint32_t executor, tess_speed *speed);
/* How fast it is as it says itself; 0: unknown. It counts where nothing was seen, and only for
 * when an attempt is given up: what it says knows nothing of its link and of its other work. */
void tess_schedule_tell_speed(tess_schedule *schedule, uint32_t executor, double gflops);
/* Attempts under way go on. */
void tess_schedule_set_policy(tess_schedule *schedule, tess_schedule_policy policy);

/* Hands out a tile for this executor, if it may take one now. Calls tick. */
bool tess_schedule_next(tess_schedule *schedule, uint32_t executor, double now_ms,
                        tess_attempt *attempt);
/* Is this attempt still awaited? False: drop what it brings. */
bool tess_schedule_is_current(const tess_schedule *schedule, const tess_attempt *attempt);
/* Why an attempt is no longer awaited. */
typedef enum tess_attempt_fate {
  TESS_FATE_CURRENT = 0,
  TESS_FATE_BEATEN = 1,  /* another attempt brought the tile: no fault of this one */
  TESS_FATE_OVERDUE = 2, /* the same, and this one was far behind what was expected of it */
  TESS_FATE_GIVEN_UP = 3 /* its time is over, it failed, its worker left, or the schedule is over */
} tess_attempt_fate;
tess_attempt_fate tess_schedule_fate(const tess_schedule *schedule, const tess_attempt *attempt);
/* The attempt brought its tile. True: counted; false: late or unknown, ignored.
 * compute_ms: in its kernel; 0: not known. */
bool tess_schedule_done_in(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                           uint64_t bytes_sent, uint64_t bytes_received, double compute_ms);
bool tess_schedule_done(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                        uint64_t bytes_sent, uint64_t bytes_received);
/* A tile that was counted turned out to be wrong: it waits again, and is no
 * longer counted for this executor. False: it is not complete. */
bool tess_schedule_reopen(tess_schedule *schedule, uint32_t tile, uint32_t executor);
/* The attempt failed. False: it was given up already. */
bool tess_schedule_failed(tess_schedule *schedule, const tess_attempt *attempt, double now_ms);
/* Gives up attempts whose deadline has passed. Returns how many. The caller
 * learns which by tess_schedule_is_current and should cancel their requests. */
uint32_t tess_schedule_tick(tess_schedule *schedule, double now_ms);
/* When tick or next will have something to do without any event: a deadline or
 * the end of a back-off. TESS_SCHEDULE_NO_WAKE: never. */
double tess_schedule_next_wake(const tess_schedule *schedule, double now_ms);
/* Every attempt is given up, nothing more is handed out. */
void tess_schedule_cancel(tess_schedule *schedule);

tess_schedule_state tess_schedule_state_get(const tess_schedule *schedule);
/* The tile that made the schedule fail; UINT32_MAX where it did not. */
uint32_t tess_schedule_failed_tile(const tess_schedule *schedule);
/* Takes tiles at present: joined, not left, not backing off. */
bool tess_schedule_available(const tess_schedule *schedule, uint32_t executor, double now_ms);
tess_executor_stats tess_schedule_stats(const tess_schedule *schedule, uint32_t executor);

#endif
