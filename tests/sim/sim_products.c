/* SPDX-License-Identifier: Apache-2.0
 *
 * One product on a thousand workers, on a fake clock and a fake network, by the
 * plan, the costs and the schedule that production uses.
 *
 *   sim_products [SEED [COUNT [WORKERS]]]   each seed is a world of its own
 *
 * The world: a star. Speeds spread 10x and links spread 10x, log-uniform and
 * independent. Each worker's link carries one message at a time, in either
 * direction; it computes one tile at a time and holds two. The coordinator's own
 * link carries all messages, one after another, at COORDINATOR_BYTES_PER_MS.
 * 1 % of the workers fail in each minute: half of them audibly (the connection
 * breaks), half silently; half of each come back a minute later. Speeds are known
 * from earlier products with an error of up to 10 %, and what a tile takes varies
 * by 5 %. One answer in 1000 is refused (a check failed).
 *
 * Ideal: all workers that live do their share of C, each as fast as it can, and
 * receives no more than the half perimeter of its share needs (matmul/cost.h):
 * total work over total live speed plus unavoidable transfer; never less than
 * what the coordinator's link needs for those bytes. Speed that failed is taken
 * out from the moment at which it failed.
 *
 * Fails (exit 1) where a product takes more than LIMIT times the ideal, hangs, or
 * counts a tile other than once. Prints each seed.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/cost.h"
#include "matmul/gemm.h"
#include "matmul/schedule.h"
#include "tests/unit/random.h"

#define LIMIT 1.15
#define COORDINATOR_BYTES_PER_MS 50e6 /* 400 Gbit/s */
#define FAILS_PER_MINUTE 0.01
#define TILES_EACH 32 /* as wasm/job.c for so many workers */

/* ---- random numbers ---- */

static uint64_t state;

static double spread(double least, double factor) {
  return least * pow(factor, random_unit(&state));
}

/* ---- events ---- */

typedef enum event_kind { ARRIVED, COMPUTED, ANSWERED, BROKE, RETURNED } event_kind;

typedef struct event {
  double at;
  event_kind kind;
  uint32_t worker;
  uint32_t life; /* of the worker when it was made: a new life knows nothing of it */
  double bytes;  /* of the attempt's request */
  tess_attempt attempt;
} event;

#define PANELS 64
typedef struct panels {
  uint32_t at[PANELS], lines[PANELS], count, oldest;
} panels;

typedef struct worker {
  panels rows, cols;   /* what it was sent and still has */
  tess_speed speed;    /* true */
  tess_speed estimate; /* what the schedule knows */
  double link_free_ms, core_free_ms;
  double fails_at_ms, returns_at_ms;
  bool dead, silent;
  uint32_t life;
  uint32_t number; /* in the schedule */
} worker;

typedef struct world {
  tess_plan_params params;
  tess_plan plan;
  tess_schedule schedule;
  worker *workers;
  uint32_t count;
  event *heap;
  size_t size, room;
  double now, link_free_ms;
  uint32_t *counted;
  uint64_t sent;
} world;

static void push(world *w, event e) {
  if (w->size == w->room) {
    w->room = w->room ? 2 * w->room : 4096;
    w->heap = realloc(w->heap, w->room * sizeof *w->heap);
    if (w->heap == NULL) abort();
  }
  size_t i = w->size++;
  while (i > 0 && w->heap[(i - 1) / 2].at > e.at) {
    w->heap[i] = w->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  w->heap[i] = e;
}

static event pop(world *w) {
  event top = w->heap[0], last = w->heap[--w->size];
  size_t i = 0;
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= w->size) break;
    if (child + 1 < w->size && w->heap[child + 1].at < w->heap[child].at) child++;
    if (w->heap[child].at >= last.at) break;
    w->heap[i] = w->heap[child];
    i = child;
  }
  w->heap[i] = last;
  return top;
}

/* ---- messages and work ---- */

/* Through the coordinator's link and the worker's, one message at a time on each. */
static double transfer(world *w, worker *x, double bytes) {
  double start = w->now > w->link_free_ms ? w->now : w->link_free_ms;
  w->link_free_ms = start + bytes / COORDINATOR_BYTES_PER_MS;
  if (x->link_free_ms > start) start = x->link_free_ms;
  x->link_free_ms = start + bytes * x->speed.ms_per_byte;
  return x->link_free_ms > w->link_free_ms ? x->link_free_ms : w->link_free_ms;
}

static bool holds(const panels *p, uint32_t at, uint32_t lines) {
  for (uint32_t i = 0; i < p->count; i++)
    if (p->at[i] == at && p->lines[i] == lines) return true;
  return false;
}

static void keep(panels *p, uint32_t at, uint32_t lines) {
  if (holds(p, at, lines)) return;
  uint32_t i = p->count < PANELS ? p->count++ : p->oldest++ % PANELS;
  p->at[i] = at;
  p->lines[i] = lines;
}

static tess_tile tile_of(const world *w, const tess_attempt *a) {
  return w->plan.tiles[a->tile].tile;
}

/* Workers keep the panels of A and B that they were sent. */
static uint64_t panel_bytes(const world *w, const worker *x, uint32_t tile) {
  const tess_plan_tile *t = &w->plan.tiles[tile];
  uint64_t lines = 0;
  if (!holds(&x->rows, t->tile.row, t->tile.rows)) lines += t->tile.rows;
  if (!holds(&x->cols, t->tile.col, t->tile.cols)) lines += t->tile.cols;
  return lines * w->params.k * 4;
}

static uint64_t both_ways(void *context, uint32_t executor, uint32_t tile) {
  const world *w = context;
  const tess_tile *t = &w->plan.tiles[tile].tile;
  return panel_bytes(w, &w->workers[executor - 1], tile) + (uint64_t)t->rows * t->cols * 4;
}

static double in_bytes(const world *w, const tess_attempt *a) {
  return (double)tess_plan_reply_bytes(&w->params, tile_of(w, a));
}

static double flops_of(const world *w, const tess_attempt *a) {
  tess_tile t = tile_of(w, a);
  return 2.0 * t.rows * t.cols * w->params.k;
}

static void hand_out(world *w) {
  bool progress = true;
  while (progress) { /* in rounds, as the controller does */
    progress = false;
    for (uint32_t i = 0; i < w->count; i++) {
      worker *x = &w->workers[i];
      tess_attempt a;
      if (!tess_schedule_next(&w->schedule, x->number, w->now, &a)) continue;
      progress = true;
      double out = (double)panel_bytes(w, x, a.tile);
      tess_tile t = tile_of(w, &a);
      w->sent += (uint64_t)out;
      if (x->dead) {
        if (!x->silent) /* refused at once */
          push(w, (event){w->now + 1, ANSWERED, i, UINT32_MAX, 0, a});
        continue;
      }
      keep(&x->rows, t.row, t.rows);
      keep(&x->cols, t.col, t.cols);
      push(w, (event){transfer(w, x, out), ARRIVED, i, x->life, out, a});
    }
  }
}

static void handle(world *w, event e) {
  worker *x = &w->workers[e.worker];
  switch (e.kind) {
    case BROKE:
      x->dead = true;
      x->life++;
      x->rows.count = x->cols.count = 0;
      if (x->returns_at_ms > 0)
        push(w, (event){x->returns_at_ms, RETURNED, e.worker, x->life, 0, {0}});
      return;
    case RETURNED:
      x->dead = false;
      x->link_free_ms = x->core_free_ms = w->now;
      return;
    case ARRIVED:
      if (e.life == x->life && tess_schedule_is_current(&w->schedule, &e.attempt)) {
        double start = w->now > x->core_free_ms ? w->now : x->core_free_ms;
        x->core_free_ms = start + flops_of(w, &e.attempt) * x->speed.ms_per_flop *
                                      (0.975 + 0.05 * random_unit(&state));
        push(w, (event){x->core_free_ms, COMPUTED, e.worker, x->life, e.bytes, e.attempt});
        return;
      }
      break;
    case COMPUTED:
      if (e.life == x->life) {
        push(w, (event){transfer(w, x, in_bytes(w, &e.attempt)), ANSWERED, e.worker, x->life,
                        e.bytes, e.attempt});
        return;
      }
      break;
    case ANSWERED:
      if (e.life != x->life) break;
      if (random_unit(&state) < 0.001) {
        tess_schedule_failed(&w->schedule, &e.attempt, w->now);
      } else if (tess_schedule_done_in(&w->schedule, &e.attempt, w->now, (uint64_t)e.bytes,
                                       (uint64_t)in_bytes(w, &e.attempt),
                                       flops_of(w, &e.attempt) * x->speed.ms_per_flop)) {
        w->counted[e.attempt.tile]++;
      }
      return;
  }
  /* Its connection broke meanwhile: heard, or not. */
  if (!x->silent) tess_schedule_failed(&w->schedule, &e.attempt, w->now);
}

/* ---- the ideal ---- */

/* Work that is done by T with every worker alone, without what failed. */
static double ideal_ms(const world *w) {
  double area = (double)w->params.m * w->params.n;
  double low = 0, high = 1e12;
  for (int i = 0; i < 200; i++) {
    double t = (low + high) / 2, sum = 0;
    for (uint32_t j = 0; j < w->count; j++) {
      const worker *x = &w->workers[j];
      double lives = t;
      if (x->fails_at_ms < t) {
        lives = x->fails_at_ms;
        if (x->returns_at_ms > 0 && x->returns_at_ms < t) lives += t - x->returns_at_ms;
      }
      /* area_within by bisection on the public cost. */
      double a = 0, b = area;
      for (int k = 0; k < 50; k++) {
        double c = (a + b) / 2;
        if (tess_cost_ms(&w->params, &x->speed, c) <= lives)
          a = c;
        else
          b = c;
      }
      sum += a;
    }
    if (sum < area)
      low = t;
    else
      high = t;
  }
  double link = ((double)tess_plan_bytes_out_bound(&w->params) + (double)w->plan.bytes_in) /
                COORDINATOR_BYTES_PER_MS;
  return high > link ? high : link;
}

/* ---- one world ---- */

static bool run(uint64_t seed, uint32_t count) {
  state = seed * 0x2545f4914f6cdd1du + 1;
  world w = {.count = count};
  w.params = (tess_plan_params){.m = 60000,
                                .n = 50000,
                                .k = 40000,
                                .dtype = TESS_DTYPE_FLOAT32,
                                .worker_count = count,
                                .shared_panels = true,
                                .tiles_per_worker = TILES_EACH};
  w.workers = calloc(count, sizeof *w.workers);
  double *weights = calloc(count, sizeof *weights);
  const tess_speed **speeds = calloc(count, sizeof *speeds);
  for (uint32_t i = 0; i < count; i++) {
    worker *x = &w.workers[i];
    x->speed = (tess_speed){.ms_per_flop = 1e-6 / spread(1, 10), /* 1..10 Gflop/s */
                            .ms_per_byte = 1 / spread(50e3, 10), /* 0.4..4 Gbit/s */
                            .samples = 1};
    x->estimate = x->speed;
    x->estimate.ms_per_flop *= 0.9 + 0.2 * random_unit(&state);
    x->estimate.ms_per_byte *= 0.9 + 0.2 * random_unit(&state);
    x->estimate.samples = 5;
    x->fails_at_ms = -log(1 - random_unit(&state)) * 60000 / FAILS_PER_MINUTE;
    x->silent = random_unit(&state) < 0.5;
    x->returns_at_ms = random_unit(&state) < 0.5 ? x->fails_at_ms + 60000 : 0;
    speeds[i] = &x->estimate;
    push(&w, (event){x->fails_at_ms, BROKE, i, 0, 0, {0}});
  }
  double expected = tess_cost_weights(&w.params, speeds, weights);
  w.params.weights = weights;
  tess_reason why = {""};
  tess_schedule_params params = {.max_workers = count,
                                 .policy = TESS_POLICY_REMOTE,
                                 .max_attempts = 20,
                                 .tile_bytes = both_ways,
                                 .context = &w,
                                 .tile_timeout_ms = 6e5};
  if (tess_plan_make(&w.plan, &w.params, NULL, &why) != TESS_OK ||
      tess_schedule_make(&w.schedule, &w.plan, &params, NULL, &why) != TESS_OK) {
    printf("seed %llu: %s\n", (unsigned long long)seed, why.text);
    return false;
  }
  w.counted = calloc(w.plan.tile_count, sizeof *w.counted);
  for (uint32_t i = 0; i < count; i++) {
    w.workers[i].number = tess_schedule_join(&w.schedule, 2);
    tess_schedule_use_speed(&w.schedule, w.workers[i].number, &w.workers[i].estimate);
  }
  bool hangs = false;
  uint64_t steps = 0;
  while (tess_schedule_state_get(&w.schedule) == TESS_SCHEDULE_RUNNING && !hangs) {
    hand_out(&w);
    double wake = tess_schedule_next_wake(&w.schedule, w.now);
    if (w.size > 0 && (wake < 0 || w.heap[0].at <= wake)) {
      event e = pop(&w);
      w.now = e.at;
      handle(&w, e);
    } else if (wake >= 0) {
      w.now = wake > w.now ? wake : w.now;
    } else {
      hangs = true;
    }
    if (++steps > 2000000) hangs = true;
  }
  double ideal = ideal_ms(&w);
  bool once = true;
  for (size_t i = 0; i < w.plan.tile_count; i++)
    once = once && w.counted[i] == 1;
  bool done = tess_schedule_state_get(&w.schedule) == TESS_SCHEDULE_DONE;
  double ratio = w.now / ideal;
  printf(
      "seed %llu: %u workers, %zu tiles: %.1f s, ideal %.1f s (plan said %.1f): %.3f; %u retries, "
      "%u backups, sent %.2f of the bound%s%s\n",
      (unsigned long long)seed, count, w.plan.tile_count, w.now / 1e3, ideal / 1e3, expected / 1e3,
      ratio, w.schedule.retries, w.schedule.backups,
      (double)w.sent / (double)tess_plan_bytes_out_bound(&w.params), done ? "" : " NOT DONE",
      once || !done ? "" : " TILES NOT ONCE");
  tess_schedule_cleanup(&w.schedule);
  tess_plan_cleanup(&w.plan);
  free(w.counted);
  free(w.heap);
  free(w.workers);
  free(weights);
  free(speeds);
  return done && once && ratio <= LIMIT;
}

int main(int argc, char **argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint32_t workers = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1000;
  int failed = 0;
  for (uint64_t i = 0; i < count; i++)
    if (!run(seed + i, workers)) failed++;
  printf("%llu passed, %d failed\n", (unsigned long long)count - (unsigned)failed, failed);
  return failed > 0;
}
