/* SPDX-License-Identifier: Apache-2.0
 *
 * One product: its plan, its schedule, the attempts in the hands of executors,
 * and what is told about it at the end. See job.h.
 */
#include "wasm/job.h"

#include <string.h>

#include "wasm/abi.h"

/* Local tiles are cut to about this much work, so that a change of mode finds
 * tiles that have not started. */
#define LOCAL_TILE_FLOPS 2000000000u
#define LOCAL_MAX_PIECES 64u
/* Where somebody watches the tiles. */
#define WATCHED_PIECES 16u
#define WATCHED_TILES_PER_WORKER 4u

static void *job_alloc(const tess_controller *c, size_t size) {
  void *memory = c->allocator->alloc(c->allocator->ctx, size);
  if (memory != NULL) memset(memory, 0, size);
  return memory;
}

static void job_dealloc(const tess_controller *c, void *memory) {
  c->allocator->free(c->allocator->ctx, memory);
}

/* ---- what is told to people ---- */

static tess_reason *add_note(tess_job *job) {
  if (job->note_count == TESS__JOB_MAX_NOTES) return NULL;
  tess_reason *note = &job->notes[job->note_count++];
  tess_reason_clear(note);
  return note;
}

static void note_text(tess_job *job, const char *text) {
  tess_reason_add(add_note(job), text);
}

/* "product p: tile 0,128 (64x64) on http://...: why" */
static void log_failure(tess_job *job, const tess_tile *tile, const char *executor,
                        const tess_reason *why) {
  tess_reason line;
  tess_reason_set(&line, TESS_OK, "product %s: tile %u,%u of %ux%u on %s: %s", job->product_id,
                  tile->row, tile->col, tile->rows, tile->cols, executor, why->text);
  tess__controller_log(job->controller, TESS_ABI_LOG_WARNING, &line);
}

static void note_failure(tess_job *job, const char *executor, const tess_reason *why) {
  tess_reason_set(add_note(job), TESS_OK, "%s: %s", executor, why->text);
}

/* ---- attempts ---- */

static void attempt_unlink(tess__attempt *attempt) {
  tess_job *job = attempt->job;
  if (attempt->next != NULL) attempt->next->prev = attempt->prev;
  if (attempt->prev != NULL) {
    attempt->prev->next = attempt->next;
  } else {
    job->attempts = attempt->next;
  }
  if (attempt->worker == NULL) job->controller->local_in_flight--;
}

static void attempt_free(tess__attempt *attempt) {
  job_dealloc(attempt->job->controller, attempt);
}

/* Takes the attempt from its executor, whatever that is doing with it. */
static void attempt_cancel(tess__attempt *attempt) {
  tess_tile_executor *executor =
      attempt->worker != NULL ? attempt->worker->executor : attempt->job->controller->local;
  executor->ops->cancel(executor, &attempt->work);
  attempt_unlink(attempt);
}

static void tile_complete(tess_job *job, const tess__attempt *attempt,
                          const tess_tile_outcome *outcome) {
  tess_controller *c = job->controller;
  const char *name = attempt->worker != NULL ? attempt->worker->executor->name : c->local->name;
  job->compute_ms += outcome->compute_ms;
  job->kernel_ms[attempt->worker != NULL ? attempt->worker - c->workers + 1 : 0] +=
      outcome->compute_ms;
  memcpy(job->kernel, outcome->kernel, sizeof job->kernel);
  if (job->executor != NULL && job->executor != name) job->mixed = true;
  job->executor = name;
  const tess_tile *tile = &attempt->work.tile;
  if (attempt->worker == NULL) {
    c->counts.local_tiles++;
    uint64_t flops = tess_gemm_flops(tile->rows, tile->cols, job->shape.k);
    c->policy->ops->observe_local_tile(c->policy, flops, outcome->compute_ms);
  } else {
    c->counts.proxied_tiles++;
  }
  if (job->params.on_tile == NULL) return;
  tess_job_tile event = {.tile = *tile,
                         .executor = name,
                         .kernel = outcome->kernel,
                         .compute_ms = outcome->compute_ms,
                         .done = job->schedule.tiles_done,
                         .total = (uint32_t)job->plan.tile_count};
  job->params.on_tile(job->params.ctx, job, &event);
}

static void attempt_failed(tess_job *job, const tess__attempt *attempt, tess_code code,
                           const tess_reason *why) {
  const char *name = attempt->worker != NULL ? attempt->worker->executor->name : "local";
  log_failure(job, &attempt->work.tile, name, why);
  note_failure(job, name, why);
  if (attempt->worker == NULL) {
    job->code = code;
    job->message = *why;
  }
}

/* tess_tile_work.done */
static void on_done(tess_tile_work *work, const tess_tile_outcome *outcome) {
  tess__attempt *attempt = work->owner;
  tess_job *job = attempt->job;
  tess_controller *c = job->controller;
  double now = c->host.now_ms(c->host.ctx);
  attempt_unlink(attempt);
  if (outcome->wrong_answer) c->counts.wrong_answers++;
  if (outcome->code == TESS_OK) {
    if (attempt->worker != NULL) tess_health_succeeded(&attempt->worker->health);
    if (tess_schedule_done(&job->schedule, &attempt->token, now, outcome->bytes_sent,
                           outcome->bytes_received))
      tile_complete(job, attempt, outcome);
  } else {
    if (attempt->worker != NULL) tess_health_failed(&attempt->worker->health, now);
    attempt_failed(job, attempt, outcome->code, &outcome->reason);
    tess_schedule_failed(&job->schedule, &attempt->token, now);
  }
  attempt_free(attempt);
}

/* Hands a tile that the schedule gave out to its executor. False: that failed. */
static bool attempt_start(tess_job *job, const tess_attempt *token, tess__worker *worker,
                          double now_ms) {
  tess_controller *c = job->controller;
  tess_reason why;
  tess_reason_clear(&why);
  tess__attempt *attempt = job_alloc(c, sizeof *attempt);
  if (attempt == NULL) {
    job->code = TESS_RESOURCE_EXHAUSTED;
    tess_reason_set(&job->message, job->code, "out of memory");
    tess_schedule_failed(&job->schedule, token, now_ms);
    return false;
  }
  tess_tile tile = job->plan.tiles[token->tile].tile;
  attempt->work.gemm = tess_gemm_tile(&job->params.gemm, tile.row, tile.col, tile.rows, tile.cols);
  attempt->work.tile = tile;
  attempt->work.product_id = job->product_id;
  attempt->work.done = on_done;
  attempt->work.owner = attempt;
  attempt->token = *token;
  attempt->job = job;
  attempt->worker = worker;
  if (worker != NULL) {
    double timeout = c->tile_timeout_ms;
    if (job->params.deadline_ms > 0 && job->params.deadline_ms - now_ms < timeout)
      timeout = job->params.deadline_ms - now_ms;
    attempt->work.timeout_ms = timeout < 1 ? 1 : timeout;
    tess_health_started(&worker->health);
  } else {
    c->local_in_flight++;
  }
  attempt->next = job->attempts;
  if (job->attempts != NULL) job->attempts->prev = attempt;
  job->attempts = attempt;

  tess_tile_executor *executor = worker != NULL ? worker->executor : c->local;
  tess_code code = executor->ops->start(executor, &attempt->work, &why);
  if (code == TESS_OK) return true;
  attempt_unlink(attempt);
  if (worker != NULL) tess_health_failed(&worker->health, now_ms);
  attempt_failed(job, attempt, code, &why);
  tess_schedule_failed(&job->schedule, token, now_ms);
  attempt_free(attempt);
  return false;
}

/* Cancels attempts that the schedule has given up: their time is over. */
static void sweep(tess_job *job, double now_ms) {
  for (tess__attempt *attempt = job->attempts, *next; attempt != NULL; attempt = next) {
    next = attempt->next;
    if (tess_schedule_is_current(&job->schedule, &attempt->token)) continue;
    attempt_cancel(attempt);
    if (attempt->worker != NULL) tess_health_failed(&attempt->worker->health, now_ms);
    tess_reason why;
    tess_reason_set(&why, TESS_DEADLINE_EXCEEDED, "no answer in %u ms",
                    (uint32_t)job->controller->tile_timeout_ms);
    attempt_failed(job, attempt, TESS_DEADLINE_EXCEEDED, &why);
    attempt_free(attempt);
  }
}

/* ---- here or there ---- */

/* What other products learnt about the workers holds here, too. */
static void share_health(tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    const tess_health *health = &c->workers[i].health;
    if (job->number_of_worker[i] != 0 && !tess_health_ready(health, now_ms))
      tess_schedule_suspend(&job->schedule, job->number_of_worker[i], health->retry_at_ms);
  }
}

static bool wants_remote(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  if (job->local_only || c->worker_count == 0 || c->mode == TESS_MODE_SERIAL) return false;
  if (c->mode == TESS_MODE_PROXY) return true;
  /* Adaptive: within one product it does not come back. */
  if (job->remote) return true;
  tess_policy_question question = {
      .flops = job->flops,
      .bytes = job->bytes,
      .age_ms = now_ms - job->started_ms,
      .ready_workers = tess__controller_ready_workers(c, now_ms),
  };
  return c->policy->ops->choose(c->policy, &question, now_ms);
}

static void join_ready_workers(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    tess__worker *worker = &c->workers[i];
    if (!tess_health_ready(&worker->health, now_ms)) continue;
    if (job->number_of_worker[i] != 0) continue;
    job->number_of_worker[i] = tess_schedule_join(&job->schedule, worker->health.capacity);
    job->joined_count++;
  }
}

static void set_side(tess_job *job, bool remote, double now_ms) {
  job->remote = remote;
  tess_schedule_set_policy(&job->schedule, remote ? TESS_POLICY_FALLBACK : TESS_POLICY_LOCAL);
  if (remote) join_ready_workers(job, now_ms);
}

/* ---- the plan ---- */

static uint64_t message_limit(const tess_controller *c) {
  uint64_t limit = 0;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    uint64_t theirs = c->workers[i].executor->max_message_bytes;
    if (theirs != 0 && (limit == 0 || theirs < limit)) limit = theirs;
  }
  return limit;
}

static uint32_t local_pieces(const tess_job *job) {
  uint64_t pieces = job->flops / LOCAL_TILE_FLOPS;
  if (job->params.many_tiles && pieces < WATCHED_PIECES) pieces = WATCHED_PIECES;
  if (pieces > LOCAL_MAX_PIECES) pieces = LOCAL_MAX_PIECES;
  return pieces == 0 ? 1 : (uint32_t)pieces;
}

static tess_code make_plan(tess_job *job, bool remote, double now_ms, tess_reason *reason) {
  tess_controller *c = job->controller;
  uint32_t ready = tess__controller_ready_workers(c, now_ms);
  tess_plan_params params = {
      .m = job->shape.m,
      .n = job->shape.n,
      .k = job->shape.k,
      .dtype = job->params.gemm.c.dtype,
      .sends_c = job->params.gemm.beta != 0,
      .min_tile_flops = c->min_tile_flops,
      .max_message_bytes = message_limit(c),
  };
  if (remote && ready > 0) {
    params.worker_count = ready;
    /* One tile each moves the fewest bytes. */
    params.tiles_per_worker = job->params.many_tiles ? WATCHED_TILES_PER_WORKER : 1;
  } else {
    params.worker_count = 1;
    params.tiles_per_worker = local_pieces(job);
  }
  tess_code code = tess_plan_make(&job->plan, &params, c->allocator, reason);
  if (code != TESS_RESOURCE_EXHAUSTED || params.max_message_bytes == 0) return code;
  /* Too long for any message: then it stays here. */
  params.max_message_bytes = 0;
  params.worker_count = 1;
  params.tiles_per_worker = local_pieces(job);
  code = tess_plan_make(&job->plan, &params, c->allocator, reason);
  if (code == TESS_OK) {
    job->local_only = true;
    if (remote) note_text(job, "no tile fits into a message to a worker: computed locally");
  }
  return code;
}

static uint64_t product_bytes(const tess_gemm *gemm) {
  return (uint64_t)tess_matrix_span_bytes(gemm->a) + tess_matrix_span_bytes(gemm->b) +
         tess_matrix_span_bytes(tess_matrix_as_const(gemm->c));
}

tess_job *tess__job_new(tess_controller *controller, const tess_job_params *params, double now_ms,
                        tess_code *code, tess_reason *reason) {
  *code = tess_gemm_check(&params->gemm, reason);
  if (*code != TESS_OK) return NULL;
  tess_job *job = job_alloc(controller, sizeof *job);
  uint32_t *numbers = job_alloc(controller, sizeof *numbers * (controller->worker_count + 1u));
  double *kernel_ms = job_alloc(controller, sizeof *kernel_ms * (controller->worker_count + 1u));
  if (job == NULL || numbers == NULL || kernel_ms == NULL) {
    job_dealloc(controller, job);
    job_dealloc(controller, kernel_ms);
    job_dealloc(controller, numbers);
    *code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  job->controller = controller;
  job->params = *params;
  job->number_of_worker = numbers;
  job->kernel_ms = kernel_ms;
  job->started_ms = now_ms;
  job->shape = tess_gemm_shape_get(&params->gemm);
  job->flops = tess_gemm_flops(job->shape.m, job->shape.n, job->shape.k);
  job->bytes = product_bytes(&params->gemm);
  if (params->product_id != NULL) {
    size_t size = strnlen(params->product_id, sizeof job->product_id - 1);
    memcpy(job->product_id, params->product_id, size);
  }
  job->params.product_id = job->product_id;
  /* Nothing to send: scaling alone. */
  job->local_only = job->shape.k == 0 || params->gemm.alpha == 0;
  bool remote = wants_remote(job, now_ms);
  *code = make_plan(job, remote, now_ms, reason);
  if (*code == TESS_OK) {
    tess_schedule_params schedule = {
        .max_workers = controller->worker_count,
        .policy = TESS_POLICY_LOCAL,
        .tile_timeout_ms = controller->tile_timeout_ms,
        .backoff_initial_ms = TESS_HEALTH_BACKOFF_INITIAL_MS,
        .backoff_max_ms = TESS_HEALTH_BACKOFF_MAX_MS,
    };
    *code =
        tess_schedule_make(&job->schedule, &job->plan, &schedule, controller->allocator, reason);
    if (*code != TESS_OK) tess_plan_cleanup(&job->plan);
  }
  if (*code != TESS_OK) {
    job_dealloc(controller, numbers);
    job_dealloc(controller, kernel_ms);
    job_dealloc(controller, job);
    return NULL;
  }
  set_side(job, remote && !job->local_only, now_ms);
  return job;
}

void tess__job_free(tess_job *job) {
  if (job == NULL) return;
  while (job->attempts != NULL) {
    tess__attempt *attempt = job->attempts;
    attempt_cancel(attempt);
    if (attempt->worker != NULL) tess_health_dropped(&attempt->worker->health);
    attempt_free(attempt);
  }
  tess_schedule_cleanup(&job->schedule);
  tess_plan_cleanup(&job->plan);
  job_dealloc(job->controller, job->number_of_worker);
  job_dealloc(job->controller, job->kernel_ms);
  job_dealloc(job->controller, job);
}

/* ---- the turn of a job ---- */

/* One tile to each worker that has room. True: somebody got one. */
static bool hand_out_round(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  bool progress = false;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    tess__worker *worker = &c->workers[i];
    tess_attempt token;
    if (job->number_of_worker[i] == 0 || tess_health_room(&worker->health, now_ms) == 0) continue;
    if (!tess_schedule_next(&job->schedule, job->number_of_worker[i], now_ms, &token)) continue;
    if (attempt_start(job, &token, worker, now_ms)) progress = true;
  }
  return progress;
}

static void hand_out(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  tess_attempt token;
  /* In rounds, so that nobody takes a second tile before others have their first. */
  while (job->remote && hand_out_round(job, now_ms))
    continue;
  while (c->local_in_flight < c->local->capacity &&
         tess_schedule_next(&job->schedule, TESS_SCHEDULE_LOCAL, now_ms, &token)) {
    if (!attempt_start(job, &token, NULL, now_ms)) break;
  }
}

static void end(tess_job *job, tess_code code) {
  job->ended = true;
  job->code = code;
}

void tess__job_advance(tess_job *job, double now_ms) {
  if (job->ended) return;
  if (job->params.deadline_ms > 0 && now_ms >= job->params.deadline_ms) {
    tess_reason_set(&job->message, TESS_DEADLINE_EXCEEDED,
                    "the deadline passed with %u of %u tiles done", job->schedule.tiles_done,
                    (uint32_t)job->plan.tile_count);
    end(job, TESS_DEADLINE_EXCEEDED);
    return;
  }
  tess_schedule_tick(&job->schedule, now_ms);
  sweep(job, now_ms);
  bool remote = wants_remote(job, now_ms);
  if (remote != job->remote) set_side(job, remote, now_ms);
  if (remote) {
    share_health(job, now_ms);
    join_ready_workers(job, now_ms);
  }
  hand_out(job, now_ms);
  switch (tess_schedule_state_get(&job->schedule)) {
    case TESS_SCHEDULE_DONE:
      end(job, TESS_OK);
      break;
    case TESS_SCHEDULE_RUNNING:
      break;
    case TESS_SCHEDULE_FAILED:
    case TESS_SCHEDULE_CANCELED:
      end(job, job->code == TESS_OK ? TESS_INTERNAL : job->code);
      break;
  }
}

static void sooner(double *wake_at, double candidate) {
  if (candidate >= 0 && (*wake_at < 0 || candidate < *wake_at)) *wake_at = candidate;
}

double tess__job_wake_at(const tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  double wake_at = tess_schedule_next_wake(&job->schedule, now_ms);
  if (job->params.deadline_ms > 0) sooner(&wake_at, job->params.deadline_ms);
  for (uint32_t i = 0; i < c->worker_count && job->remote; i++) {
    if (!tess_health_ready(&c->workers[i].health, now_ms))
      sooner(&wake_at, c->workers[i].health.retry_at_ms);
  }
  return wake_at;
}

void tess__job_report(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  const tess_schedule *schedule = &job->schedule;
  uint32_t proxied = schedule->tiles_done - schedule->local_tiles;
  if (job->remote && job->code == TESS_OK && proxied == 0 && schedule->local_tiles > 0)
    note_text(job, "no worker answered: computed locally");

  const char *notes[TESS__JOB_MAX_NOTES];
  for (uint32_t i = 0; i < job->note_count; i++)
    notes[i] = job->notes[i].text;
  tess_job_executor *executors = job_alloc(c, sizeof *executors * (c->worker_count + 1u));
  uint32_t count = 0;
  if (executors != NULL) {
    tess_executor_stats local = tess_schedule_stats(schedule, TESS_SCHEDULE_LOCAL);
    if (local.tiles > 0)
      executors[count++] = (tess_job_executor){c->local->name, local, job->kernel_ms[0]};
    for (uint32_t i = 0; i < c->worker_count; i++) {
      if (job->number_of_worker[i] == 0) continue;
      tess_executor_stats stats = tess_schedule_stats(schedule, job->number_of_worker[i]);
      if (stats.tiles == 0 && stats.failures == 0) continue;
      executors[count++] =
          (tess_job_executor){c->workers[i].executor->name, stats, job->kernel_ms[i + 1]};
    }
  }
  tess_job_report report = {
      .code = job->code,
      .message = job->code == TESS_OK ? "" : job->message.text,
      .mode = c->mode,
      .tiles = schedule->tiles_done,
      .local_tiles = schedule->local_tiles,
      .proxied_tiles = proxied,
      .retries = schedule->retries,
      .elapsed_ms = now_ms - job->started_ms,
      .compute_ms = job->compute_ms,
      .kernel = job->kernel,
      .executor = job->mixed || job->executor == NULL ? "" : job->executor,
      .executors = executors,
      .executor_count = count,
      .notes = notes,
      .note_count = job->note_count,
  };
  job->params.done(job->params.ctx, job, &report);
  job_dealloc(c, executors);
}
