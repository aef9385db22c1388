/* SPDX-License-Identifier: Apache-2.0
 *
 * See controller.h: the list of jobs, the turns they take, the mode.
 */
#include "wasm/controller.h"

#include <string.h>

#include "matmul/plan_choice.h"
#include "wasm/abi.h"
#include "wasm/job.h"

#define DEFAULT_TILE_TIMEOUT_MS 60000.0
#define DEFAULT_MAX_JOBS 64u
#define DEFAULT_STEP_MS 4.0

static const struct {
  tess_mode mode;
  const char *name;
} mode_names[] = {
    {TESS_MODE_SERIAL, "serial"}, {TESS_MODE_PROXY, "proxy"}, {TESS_MODE_ADAPTIVE, "adaptive"}};
#define MODE_COUNT (sizeof mode_names / sizeof mode_names[0])

const char *tess_mode_name(tess_mode mode) {
  for (size_t i = 0; i < MODE_COUNT; i++)
    if (mode_names[i].mode == mode) return mode_names[i].name;
  return NULL;
}

tess_mode tess_mode_from_name(const char *text, size_t size) {
  for (size_t i = 0; i < MODE_COUNT; i++)
    if (strlen(mode_names[i].name) == size && memcmp(mode_names[i].name, text, size) == 0)
      return mode_names[i].mode;
  return TESS_MODE_UNSPECIFIED;
}

void tess__controller_log(const tess_controller *controller, int32_t level,
                          const tess_reason *line) {
  if (controller->host.log != NULL)
    controller->host.log(controller->host.ctx, level, line->text, strlen(line->text));
}

void *tess__controller_alloc(const tess_controller *c, size_t size) {
  void *memory = c->allocator->alloc(c->allocator->ctx, size);
  if (memory != NULL) memset(memory, 0, size);
  return memory;
}

void tess__controller_dealloc(const tess_controller *c, void *memory) {
  c->allocator->free(c->allocator->ctx, memory);
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
double tess__controller_random(tess_controller *c, uint64_t *bits) {
  uint64_t z = (c->random += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  if (bits != NULL) *bits = z;
  return (double)(z >> 11) * 0x1p-53;
}

bool tess__worker_ready(const tess__worker *worker, double now_ms) {
  return worker->executor != NULL && tess_health_ready(&worker->health, now_ms) &&
         !tess_trust_quarantined(&worker->trust, now_ms);
}

double tess__worker_retry_ms(const tess__worker *worker) {
  double health = worker->health.failures_in_row > 0 ? worker->health.retry_at_ms : 0;
  double trust = worker->trust.quarantine_until_ms;
  return health > trust ? health : trust;
}

uint32_t tess__controller_ready_workers(const tess_controller *controller, double now_ms) {
  uint32_t ready = 0;
  for (uint32_t i = 0; i < controller->worker_count; i++)
    if (tess__worker_ready(&controller->workers[i], now_ms)) ready++;
  return ready;
}

/* ---- the list of jobs ---- */

static void list_append(tess_controller *c, tess_job *job) {
  job->prev = c->last;
  job->next = NULL;
  if (c->last != NULL)
    c->last->next = job;
  else
    c->first = job;
  c->last = job;
}

static void list_remove(tess_controller *c, tess_job *job) {
  if (job->prev != NULL)
    job->prev->next = job->next;
  else
    c->first = job->next;
  if (job->next != NULL)
    job->next->prev = job->prev;
  else
    c->last = job->prev;
}

/* ---- making and ending ---- */

static void free_parts(tess_tile_executor *local, tess_tile_executor **workers, uint32_t count,
                       tess_policy *policy) {
  if (local != NULL) local->ops->free(local);
  for (uint32_t i = 0; i < count; i++)
    if (workers[i] != NULL) workers[i]->ops->free(workers[i]);
  if (policy != NULL) policy->ops->free(policy);
}

tess_controller *tess_controller_new(const tess_controller_options *options, tess_status *status) {
  const tess_allocator *allocator =
      options->allocator != NULL ? options->allocator : tess_allocator_default();
  tess_policy *policy = options->policy;
  bool usable = options->local != NULL && options->host.now_ms != NULL &&
                options->worker_count <= TESS_CONTROLLER_MAX_WORKERS;
  for (uint32_t i = 0; usable && i < options->worker_count; i++)
    usable = options->workers[i] != NULL;
  if (!usable) {
    free_parts(options->local, options->workers, options->worker_count, policy);
    tess_status_set(status, TESS_INVALID_ARGUMENT,
                    "a controller needs a clock, a local executor and at most %u workers",
                    TESS_CONTROLLER_MAX_WORKERS);
    return NULL;
  }
  if (policy == NULL) policy = tess_policy_adaptive_new(options->threshold_ms, allocator);
  size_t workers_size = sizeof(tess__worker) * TESS_CONTROLLER_MAX_WORKERS;
  tess_controller *c = allocator->alloc(allocator->ctx, sizeof *c);
  tess__worker *workers = allocator->alloc(allocator->ctx, workers_size);
  if (policy == NULL || c == NULL || workers == NULL) {
    allocator->free(allocator->ctx, c);
    allocator->free(allocator->ctx, workers);
    free_parts(options->local, options->workers, options->worker_count, policy);
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  memset(workers, 0, workers_size);
  *c = (tess_controller){
      .allocator = allocator,
      .host = options->host,
      .mode = options->mode == TESS_MODE_UNSPECIFIED ? TESS_MODE_ADAPTIVE : options->mode,
      .policy = policy,
      .local = options->local,
      .workers = workers,
      .worker_count = options->worker_count,
      .tile_timeout_ms =
          options->tile_timeout_ms > 0 ? options->tile_timeout_ms : DEFAULT_TILE_TIMEOUT_MS,
      .min_tile_flops =
          options->min_tile_flops > 0 ? options->min_tile_flops : TESS_PLAN_MIN_TILE_FLOPS,
      .max_jobs = options->max_jobs > 0 ? options->max_jobs : DEFAULT_MAX_JOBS,
      .memory_limit_bytes = options->memory_limit_bytes,
      .step_ms = options->step_ms > 0 ? options->step_ms : DEFAULT_STEP_MS,
      .check = options->check != TESS_CHECK_UNSPECIFIED ? options->check : TESS_CHECK_NEVER,
      .random = options->seed,
  };
  for (uint32_t i = 0; i < options->worker_count; i++) {
    workers[i].executor = options->workers[i];
    tess_health_init(&workers[i].health, options->workers[i]->capacity);
  }
  return c;
}

void tess_controller_free(tess_controller *c) {
  if (c == NULL) return;
  while (c->first != NULL)
    tess_controller_cancel(c, c->first);
  c->local->ops->free(c->local);
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (c->workers[i].executor != NULL) c->workers[i].executor->ops->free(c->workers[i].executor);
  c->policy->ops->free(c->policy);
  const tess_allocator *allocator = c->allocator;
  allocator->free(allocator->ctx, c->workers);
  allocator->free(allocator->ctx, c);
}

/* ---- modes ---- */

bool tess_controller_set_mode(tess_controller *c, tess_mode mode) {
  if (tess_mode_name(mode) == NULL) return false;
  c->mode = mode; /* jobs see it at their next turn */
  return true;
}

tess_mode tess_controller_mode(const tess_controller *c) {
  return c->mode;
}

tess_mode tess_controller_effective_mode(const tess_controller *c) {
  if (tess_controller_worker_count(c) == 0 || c->mode == TESS_MODE_SERIAL) return TESS_MODE_SERIAL;
  if (c->mode == TESS_MODE_PROXY) return TESS_MODE_PROXY;
  return c->policy->ops->would_choose(c->policy) ? TESS_MODE_PROXY : TESS_MODE_SERIAL;
}

/* ---- jobs ---- */

/* The product that got the least so far, of those that may still get something. */
static tess_job *least_served(const tess_controller *c) {
  tess_job *least = NULL;
  for (tess_job *job = c->first; job != NULL; job = job->next)
    if (!job->waits && (least == NULL || job->served < least->served)) least = job;
  return least;
}

tess_code tess_controller_submit(tess_controller *c, const tess_job_params *params,
                                 tess_job **job_out, tess_reason *reason) {
  if (c->counts.jobs >= c->max_jobs)
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "%u products are under way already: try again later", c->counts.jobs);
  tess_code code = TESS_OK;
  tess_job *job = tess__job_new(c, params, c->host.now_ms(c->host.ctx), &code, reason);
  if (job == NULL) return code;
  if (c->first != NULL) job->served = c->first->served;
  for (const tess_job *other = c->first; other != NULL; other = other->next)
    if (other->served < job->served) job->served = other->served;
  list_append(c, job);
  c->counts.jobs++;
  c->counts.started++;
  if (job_out != NULL) *job_out = job;
  return TESS_OK;
}

static void remove_job(tess_controller *c, tess_job *job) {
  list_remove(c, job);
  c->counts.jobs--;
  c->counts.retries += job->schedule.retries;
  c->counts.backups += job->schedule.backups;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (job->shares[i].number != 0)
      c->workers[i].backups += tess_schedule_stats(&job->schedule, job->shares[i].number).backups;
}

void tess_controller_cancel(tess_controller *c, tess_job *job) {
  remove_job(c, job);
  c->counts.cancelled++;
  tess__job_free(job);
}

/* The job is over: out of the list, told, freed. */
static void finish(tess_controller *c, tess_job *job, double now_ms) {
  remove_job(c, job);
  if (job->code == TESS_OK) {
    c->counts.finished++;
    c->counts.flops += job->flops;
    tess_policy_product product = {
        .flops = job->flops,
        .bytes = job->bytes,
        .elapsed_ms = now_ms - job->started_ms,
        .remote = job->schedule.local_tiles * 2 < job->schedule.tiles_done,
    };
    c->policy->ops->observe(c->policy, &product, now_ms);
  } else {
    c->counts.failed++;
  }
  tess__job_report(job, now_ms);
  tess__job_free(job);
}

static tess_job *first_ended(const tess_controller *c) {
  for (tess_job *job = c->first; job != NULL; job = job->next)
    if (job->ended) return job;
  return NULL;
}

/* Fair sharing: room goes to the product that was served least, in flops, so that
 * products under way together progress alike, whatever the size of their tiles; one
 * that comes later begins where the least served one is. (Start-time fair queueing:
 * P. Goyal, H. Vin, H. Cheng, SIGCOMM 1996, with equal weights.) */
static void advance_all(tess_controller *c, double now_ms) {
  for (tess_job *job = c->first; job != NULL; job = job->next) {
    tess__job_refresh(job, now_ms);
    job->waits = false;
  }
  for (tess_job *job = least_served(c); job != NULL; job = least_served(c))
    if (!tess__job_hand_out(job, now_ms)) job->waits = true;
  for (tess_job *job = c->first; job != NULL; job = job->next)
    tess__job_settle(job);
}

double tess_controller_step(tess_controller *c) {
  double now = c->host.now_ms(c->host.ctx);
  double wake_in = -1;
  bool naming = false;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    tess_tile_executor *executor = c->workers[i].executor;
    if (executor == NULL || executor->ops->step == NULL) continue;
    /* One that names a panel has all of the slice: what it sends is on its way sooner. */
    double wants = executor->ops->step(executor, now, naming ? 0 : c->step_ms);
    naming = naming || executor->eager;
    if (wants >= 0 && (wake_in < 0 || wants < wake_in)) wake_in = wants;
  }
  advance_all(c, now);
  if (c->local->ops->step(c->local, now, c->step_ms) >= 0) {
    wake_in = 0;
  } else {
    /* A tile that just ended may have been the last, or may make room. */
    now = c->host.now_ms(c->host.ctx);
    advance_all(c, now);
  }
  for (tess_job *job = first_ended(c); job != NULL; job = first_ended(c))
    finish(c, job, now);
  if (c->local_in_flight > 0) return 0;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (c->workers[i].executor != NULL && c->workers[i].executor->eager) return 0;
  for (const tess_job *job = c->first; job != NULL && wake_in != 0; job = job->next) {
    double at = tess__job_wake_at(job, now);
    if (at < 0) continue;
    double in = at > now ? at - now : 0;
    if (wake_in < 0 || in < wake_in) wake_in = in;
  }
  return wake_in;
}

/* ---- what it knows ---- */

uint32_t tess_controller_max_jobs(const tess_controller *c) {
  return c->max_jobs;
}

uint32_t tess_controller_worker_count(const tess_controller *c) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (c->workers[i].executor != NULL) count++;
  return count;
}

tess_controller_worker tess_controller_worker_at(const tess_controller *c, uint32_t index) {
  const tess__worker *worker = c->workers;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    if (c->workers[i].executor == NULL) continue;
    worker = &c->workers[i];
    if (index-- == 0) break;
  }
  double now = c->host.now_ms(c->host.ctx);
  double gflops = tess_speed_gflops(&worker->speed);
  return (tess_controller_worker){
      .name = worker->executor->name,
      .available = tess__worker_ready(worker, now),
      .in_flight = worker->health.in_flight,
      .tiles = worker->health.tiles,
      .failures = worker->health.failures,
      .quarantined = tess_trust_quarantined(&worker->trust, now),
      .gflops = gflops > 0 ? gflops : worker->executor->gflops,
      .megabytes_per_second = tess_speed_megabytes_per_second(&worker->speed),
      .bytes_sent = worker->bytes_sent,
      .bytes_received = worker->bytes_received,
      .backups = worker->backups,
      .rejected = worker->rejected,
      .cache_bytes = worker->cache_bytes,
      .compute_ms = worker->compute_ms,
      .wait_ms = worker->wait_ms,
  };
}

/* ---- workers that come and go ---- */

static bool place_is_free(const tess_controller *c, uint32_t index) {
  if (c->workers[index].executor != NULL) return false;
  for (const tess_job *job = c->first; job != NULL; job = job->next)
    if (job->shares[index].number != 0) return false; /* its figures are still told */
  return true;
}

static tess__worker *find_worker(const tess_controller *c, const char *name) {
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (c->workers[i].executor != NULL && strcmp(c->workers[i].executor->name, name) == 0)
      return &c->workers[i];
  return NULL;
}

tess_code tess_controller_add_worker(tess_controller *c, tess_tile_executor *worker) {
  uint32_t place = 0;
  tess_code code = TESS_OK;
  if (find_worker(c, worker->name) != NULL) code = TESS_ALREADY_EXISTS;
  while (place < c->worker_count && !place_is_free(c, place))
    place++;
  if (code == TESS_OK && place == TESS_CONTROLLER_MAX_WORKERS) code = TESS_RESOURCE_EXHAUSTED;
  if (code != TESS_OK) {
    worker->ops->free(worker);
    return code;
  }
  c->workers[place] = (tess__worker){.executor = worker};
  tess_health_init(&c->workers[place].health, worker->capacity);
  if (place == c->worker_count) c->worker_count++;
  return TESS_OK; /* jobs see it at their next turn */
}

tess_code tess_controller_remove_worker(tess_controller *c, const char *name) {
  tess__worker *worker = find_worker(c, name);
  if (worker == NULL) return TESS_NOT_FOUND;
  double now = c->host.now_ms(c->host.ctx);
  for (tess_job *job = c->first; job != NULL; job = job->next) {
    tess__attempts_drop(job, worker);
    uint32_t number = job->shares[worker - c->workers].number;
    if (number != 0) tess_schedule_leave(&job->schedule, number, now);
  }
  worker->executor->ops->free(worker->executor);
  worker->executor = NULL;
  return TESS_OK;
}

tess_code tess_controller_suspect_worker(tess_controller *c, const char *name) {
  tess__worker *worker = find_worker(c, name);
  if (worker == NULL) return TESS_NOT_FOUND;
  tess_health_failed(&worker->health, c->host.now_ms(c->host.ctx));
  return TESS_OK;
}

/* ---- products ---- */

bool tess_controller_product_at(const tess_controller *c, uint32_t index,
                                tess_controller_product *product) {
  const tess_job *job = c->first;
  while (job != NULL && index-- > 0)
    job = job->next;
  if (job == NULL) return false;
  *product = (tess_controller_product){
      .product_id = job->product_id,
      .shape = job->shape,
      .tiles_done = job->schedule.tiles_done,
      .tiles = (uint32_t)job->plan.tile_count,
      .elapsed_ms = c->host.now_ms(c->host.ctx) - job->started_ms,
  };
  return true;
}

tess_controller_counts tess_controller_counts_get(const tess_controller *c) {
  return c->counts;
}
