/* SPDX-License-Identifier: Apache-2.0
 *
 * One product: its plan, its schedule, the attempts in the hands of executors,
 * and what is told about it at the end. See job.h.
 */
#include "wasm/job.h"

#include <string.h>

#include "matmul/plan_choice.h"
#include "wasm/abi.h"

/* Workers that may join while a product runs. */
#define ROOM_TO_JOIN 16u

/* ---- what is told to people ---- */

tess_reason *tess__job_note(tess_job *job) {
  if (job->note_count == TESS__JOB_MAX_NOTES) return NULL;
  tess_reason *note = &job->notes[job->note_count++];
  tess_reason_clear(note);
  return note;
}

static void note_text(tess_job *job, const char *text) {
  tess_reason_add(tess__job_note(job), text);
}

/* ---- here or there ---- */

/* What other products learnt about the workers holds here, too. */
static void share_health(tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    const tess__worker *worker = &c->workers[i];
    if (job->shares[i].number != 0 && !tess__worker_ready(worker, now_ms))
      tess_schedule_suspend(&job->schedule, job->shares[i].number, tess__worker_retry_ms(worker));
  }
}

static bool wants_remote(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  if (job->workers_only) return true;
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

/* Can it be sent every tile? Tells once if it cannot. */
static bool takes_tiles(tess_job *job, const tess__worker *worker) {
  const uint64_t limit = worker->executor->max_message_bytes;
  tess__share *share = &job->shares[worker - job->controller->workers];
  if (tess_plan_fits_limit(&job->plan, limit)) return true;
  if (!share->left_out) {
    tess_reason why;
    tess_plan_tell_left_out(&job->plan, limit, &why);
    tess_reason_set(tess__job_note(job), TESS_OK, "%s %s", worker->executor->name, why.text);
  }
  share->left_out = job->left_out = true;
  return false;
}

static void join_ready_workers(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    tess__worker *worker = &c->workers[i];
    if (!tess__worker_ready(worker, now_ms)) continue;
    if (job->shares[i].number != 0 || !takes_tiles(job, worker)) continue;
    job->shares[i].number = tess_schedule_join(&job->schedule, worker->health.capacity);
    tess_schedule_use_speed(&job->schedule, job->shares[i].number, &worker->speed);
    if (job->shares[i].number != 0) job->shares[job->joined_count++].joined = i;
  }
}

/* A limit that came to be known after the plan was made: what is refused is not sent again.
 * With operands that nobody else has, what is named is small, and there is nobody else. */
static void part_with_those_that_refuse(tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count && !job->workers_only; i++) {
    const tess__worker *worker = &c->workers[i];
    const tess__share *share = &job->shares[i];
    if (share->number == 0 || share->left_out || worker->executor == NULL ||
        takes_tiles(job, worker))
      continue;
    tess__attempts_drop(job, worker);
    tess_schedule_leave(&job->schedule, share->number, now_ms);
  }
}

/* What workers say of their speed; some say it only when they are asked whether they live. */
static void tell_speeds(tess_job *job) {
  const tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (job->shares[i].number != 0 && c->workers[i].executor != NULL)
      tess_schedule_tell_speed(&job->schedule, job->shares[i].number,
                               c->workers[i].executor->gflops);
}

static void set_side(tess_job *job, bool remote, double now_ms) {
  job->remote = remote;
  const tess_schedule_policy there = job->workers_only ? TESS_POLICY_REMOTE : TESS_POLICY_FALLBACK;
  tess_schedule_set_policy(&job->schedule, remote ? there : TESS_POLICY_LOCAL);
  if (remote) join_ready_workers(job, now_ms);
}

/* ---- the plan ---- */

/* What those take that are ready, in the order in which they join, and behind them those that
 * may join later. */
static uint32_t message_limits(const tess_controller *c, double now_ms, uint64_t *limits) {
  uint32_t count = 0;
  for (unsigned ready = 2; ready-- > 0;)
    for (uint32_t i = 0; i < c->worker_count; i++)
      if (c->workers[i].executor != NULL &&
          tess__worker_ready(&c->workers[i], now_ms) == (ready != 0))
        limits[count++] = c->workers[i].executor->max_message_bytes;
  return count;
}

/* What is known of the speed of each worker that is ready, in the order in which they
 * join; `told` holds what they say themselves, until there is better. */
static uint32_t ready_speeds(const tess_job *job, double now_ms, const tess_speed **speeds,
                             tess_speed *told) {
  const tess_controller *c = job->controller;
  uint32_t count = 0;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    const tess__worker *worker = &c->workers[i];
    if (!tess__worker_ready(worker, now_ms)) continue;
    speeds[count] = &worker->speed;
    if (worker->speed.samples == 0) {
      told[count] = tess_speed_told(worker->executor->gflops);
      speeds[count] = &told[count];
    }
    count++;
  }
  return count;
}

static bool all_are_far(const tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (tess__worker_ready(&c->workers[i], now_ms) && !c->workers[i].executor->far) return false;
  return true;
}

static tess_code make_plan(tess_job *job, bool remote, double now_ms, tess_reason *reason) {
  tess_controller *c = job->controller;
  const tess_speed *speeds[TESS_CONTROLLER_MAX_WORKERS];
  tess_speed told[TESS_CONTROLLER_MAX_WORKERS];
  double weights[TESS_CONTROLLER_MAX_WORKERS];
  uint64_t limits[TESS_CONTROLLER_MAX_WORKERS];
  tess_plan_choice choice = {
      .m = job->shape.m,
      .n = job->shape.n,
      .k = job->shape.k,
      .dtype = job->params.gemm.c.dtype,
      .sends_c = job->params.gemm.beta != 0 && !job->params.keeps_c,
      .many_tiles = job->params.many_tiles,
      .named = job->params.a_block.name != NULL && job->params.b_block.name != NULL,
      .whole_tiles = job->params.whole_tiles,
      .far = all_are_far(job, now_ms),
      .limits = limits,
      .limit_count = message_limits(c, now_ms, limits),
      .min_tile_flops = c->min_tile_flops,
      .worker_count = remote ? ready_speeds(job, now_ms, speeds, told) : 0,
      .speeds = speeds,
      .weights = weights,
  };
  tess_plan_params held = {.m = choice.m,
                           .n = choice.n,
                           .k = choice.k,
                           .dtype = choice.dtype,
                           .sends_c = choice.sends_c,
                           .worker_count = choice.worker_count};
  uint64_t first_bytes[TESS_CONTROLLER_MAX_WORKERS];
  if (choice.worker_count > 0) tess__job_tell_held(job, now_ms, &held, first_bytes);
  choice.a_held = held.a_held;
  choice.b_held = held.b_held;
  choice.first_bytes = held.first_bytes;
  choice.workers_only = job->workers_only;
  tess_plan_params params;
  bool local_only = false;
  tess_reason why;
  tess_reason_clear(&why);
  tess_code code =
      tess_plan_make_chosen(&job->plan, &choice, &params, &local_only, c->allocator, &why);
  if (code != TESS_OK) return tess_reason_set(reason, code, "%s", why.text);
  job->local_only = job->local_only || local_only;
  if (local_only && remote)
    tess_reason_set(tess__job_note(job), TESS_OK, "computed locally: %s", why.text);
  return TESS_OK;
}

static uint64_t product_bytes(const tess_gemm *gemm) {
  return (uint64_t)tess_matrix_span_bytes(gemm->a) + tess_matrix_span_bytes(gemm->b) +
         tess_matrix_span_bytes(tess_matrix_as_const(gemm->c));
}

/* Answers that may be on their way at a time: one for each place at a worker, and not
 * more than all of C. */
static uint64_t answer_bytes(const tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  uint64_t places = 0, beside = 0;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (tess__worker_ready(&c->workers[i], now_ms) &&
        tess_plan_fits_limit(&job->plan, c->workers[i].executor->max_message_bytes)) {
      places += c->workers[i].executor->capacity;
      if (c->workers[i].executor->answer_bytes > beside)
        beside = c->workers[i].executor->answer_bytes;
    }
  if (places > job->plan.tile_count) places = job->plan.tile_count;
  const uint64_t each = job->plan.largest_reply_bytes;
  const bool all = places != 0 && job->plan.bytes_in / places < each;
  return (all ? job->plan.bytes_in : places * each) + places * beside;
}

/* What it will hold at most, by its plan; refused beforehand if that is too much. */
static tess_code admit(tess_job *job, bool remote, double now_ms, tess_reason *reason) {
  const uint64_t limit = job->controller->memory_limit_bytes;
  const uint64_t answers = remote && !job->local_only ? answer_bytes(job, now_ms) : 0;
  job->peak_bytes = job->bytes + answers;
  if (limit == 0 || job->peak_bytes <= limit) return TESS_OK;
  return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                         "the product needs %U bytes at its peak (%U for operands and result, %U "
                         "for answers of workers), over the limit of %U",
                         job->peak_bytes, job->bytes, answers, limit);
}

tess_job *tess__job_new(tess_controller *controller, const tess_job_params *params, double now_ms,
                        tess_code *code, tess_reason *reason) {
  *code = tess_gemm_check(&params->gemm, reason);
  if (*code == TESS_OK && (params->a_block.elsewhere || params->b_block.elsewhere) &&
      tess_controller_worker_count(controller) == 0)
    *code = tess_reason_set(reason, TESS_FAILED_PRECONDITION,
                            "an operand is not here, and there is no worker that holds it");
  if (*code != TESS_OK) return NULL;
  tess_job *job = tess__controller_alloc(controller, sizeof *job);
  tess__share *shares =
      tess__controller_alloc(controller, sizeof *shares * TESS_CONTROLLER_MAX_WORKERS);
  if (job == NULL || shares == NULL) {
    tess__controller_dealloc(controller, job);
    tess__controller_dealloc(controller, shares);
    *code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  job->controller = controller;
  job->params = *params;
  job->shares = shares;
  job->check = params->check != TESS_CHECK_UNSPECIFIED ? params->check : controller->check;
  uint64_t seed;
  tess__controller_random(controller, &seed);
  tess_verifier_init(&job->verifier, seed, controller->allocator);
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
  job->workers_only = (params->a_block.elsewhere || params->b_block.elsewhere) && !job->local_only;
  if (job->workers_only) job->check = TESS_CHECK_NEVER;
  bool remote = wants_remote(job, now_ms);
  *code = make_plan(job, remote, now_ms, reason);
  if (*code == TESS_OK) *code = admit(job, remote, now_ms, reason);
  if (*code == TESS_OK) {
    tess_schedule_params schedule = {
        .max_workers = controller->worker_count + ROOM_TO_JOIN,
        .policy = TESS_POLICY_LOCAL,
        .tile_timeout_ms = controller->tile_timeout_ms,
        .backoff_initial_ms = TESS_HEALTH_BACKOFF_INITIAL_MS,
        .backoff_max_ms = TESS_HEALTH_BACKOFF_MAX_MS,
        .tile_bytes = tess__job_tile_bytes,
        .context = job,
    };
    *code =
        tess_schedule_make(&job->schedule, &job->plan, &schedule, controller->allocator, reason);
    job->tiles =
        tess__controller_alloc(controller, (job->plan.tile_count + 1) * sizeof *job->tiles);
    if (*code == TESS_OK && job->tiles == NULL)
      *code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    if (*code == TESS_OK && controller->worker_count > 0) {
      tess_code made = tess__job_make_panels(job, now_ms);
      if (job->workers_only) *code = made;
    }
  }
  if (*code != TESS_OK) {
    tess__job_free(job);
    return NULL;
  }
  set_side(job, remote && !job->local_only, now_ms);
  return job;
}

void tess__job_free(tess_job *job) {
  if (job == NULL) return;
  tess__attempts_drop(job, NULL);
  tess_schedule_cleanup(&job->schedule);
  tess_panels_cleanup(&job->panels);
  tess_plan_cleanup(&job->plan);
  tess_verifier_cleanup(&job->verifier);
  tess__controller_dealloc(job->controller, job->shares);
  tess__controller_dealloc(job->controller, job->tiles);
  tess__controller_dealloc(job->controller, job);
}

/* ---- the turn of a job ---- */

/* One tile to each worker that has room. True: somebody got one. */
static bool hand_out_round(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  bool progress = false;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    tess__worker *worker = &c->workers[i];
    tess_attempt token;
    if (job->shares[i].number == 0 || !tess__worker_ready(worker, now_ms) ||
        tess_health_room(&worker->health, now_ms) == 0)
      continue;
    if (!tess_schedule_next(&job->schedule, job->shares[i].number, now_ms, &token)) continue;
    if (tess__attempt_start(job, &token, worker, now_ms)) progress = true;
  }
  return progress;
}

bool tess__job_hand_out(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  tess_attempt token;
  if (job->ended) return false;
  bool progress = job->remote && hand_out_round(job, now_ms);
  if (c->local_in_flight < c->local->capacity &&
      tess_schedule_next(&job->schedule, TESS_SCHEDULE_LOCAL, now_ms, &token))
    progress = tess__attempt_start(job, &token, NULL, now_ms) || progress;
  return progress;
}

static void end(tess_job *job, tess_code code) {
  job->ended = true;
  job->code = code;
}

void tess__job_refresh(tess_job *job, double now_ms) {
  if (job->ended) return;
  if (job->params.deadline_ms > 0 && now_ms >= job->params.deadline_ms) {
    tess_reason_set(&job->message, TESS_DEADLINE_EXCEEDED,
                    "the deadline passed with %u of %u tiles done", job->schedule.tiles_done,
                    (uint32_t)job->plan.tile_count);
    end(job, TESS_DEADLINE_EXCEEDED);
    return;
  }
  tell_speeds(job);
  tess_schedule_tick(&job->schedule, now_ms);
  tess__attempts_sweep(job, now_ms);
  bool remote = wants_remote(job, now_ms);
  if (remote != job->remote) set_side(job, remote, now_ms);
  if (remote) {
    share_health(job, now_ms);
    part_with_those_that_refuse(job, now_ms);
    join_ready_workers(job, now_ms);
  }
}

void tess__job_settle(tess_job *job) {
  if (job->ended) return;
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
    if (c->workers[i].executor != NULL && !tess__worker_ready(&c->workers[i], now_ms))
      sooner(&wake_at, tess__worker_retry_ms(&c->workers[i]));
  }
  return wake_at;
}

void tess__job_report(tess_job *job, double now_ms) {
  tess_controller *c = job->controller;
  const tess_schedule *schedule = &job->schedule;
  uint32_t proxied = schedule->tiles_done - schedule->local_tiles;
  if (job->remote && job->code == TESS_OK && proxied == 0 && schedule->local_tiles > 0)
    note_text(job, job->answered ? "no answer of a worker could be used: computed locally"
                   : job->left_out && job->joined_count == 0
                       ? "no worker takes its tiles: computed locally"
                   : tess_controller_worker_count(c) == 0 ? "there is no worker: computed locally"
                                                          : "no worker answered: computed locally");

  const char *notes[TESS__JOB_MAX_NOTES];
  for (uint32_t i = 0; i < job->note_count; i++)
    notes[i] = job->notes[i].text;
  tess_job_executor *executors =
      tess__controller_alloc(c, sizeof *executors * (c->worker_count + 1u));
  uint32_t count = 0;
  uint64_t bytes_sent = 0, bytes_received = 0, cache_bytes = 0;
  if (executors != NULL) {
    tess_executor_stats local = tess_schedule_stats(schedule, TESS_SCHEDULE_LOCAL);
    if (local.tiles > 0)
      executors[count++] = (tess_job_executor){
          .name = c->local->name, .stats = local, .compute_ms = local.compute_ms};
    for (uint32_t i = 0; i < c->worker_count; i++) {
      const tess__share *share = &job->shares[i];
      if (share->number == 0) continue;
      tess_executor_stats stats = tess_schedule_stats(schedule, share->number);
      if (stats.tiles == 0 && stats.failures == 0 && stats.beaten == 0) continue;
      const tess__worker *worker = &c->workers[i];
      executors[count++] = (tess_job_executor){
          .name = worker->executor != NULL ? worker->executor->name : "a worker that left",
          .stats = stats,
          .compute_ms = stats.compute_ms,
          .checked = share->checked,
          .rejected = share->rejected,
          .cache_hits = share->cache_hits,
          .cache_bytes = share->cache_bytes,
          .gflops = tess_speed_gflops(&worker->speed)};
      bytes_sent += stats.bytes_sent;
      bytes_received += stats.bytes_received;
      cache_bytes += share->cache_bytes;
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
      .backups = schedule->backups,
      .checked = job->checked,
      .rejected = job->rejected,
      .bytes_sent = bytes_sent,
      .bytes_received = bytes_received,
      .cache_bytes = cache_bytes,
      .flops = job->flops,
      .peak_bytes = job->peak_bytes,
      .elapsed_ms = now_ms - job->started_ms,
      .compute_ms = job->compute_ms,
      .kernel = job->kernel,
      .executor = job->mixed ? "" : job->executor,
      .executors = executors,
      .executor_count = count,
      .notes = notes,
      .note_count = job->note_count,
  };
  job->params.done(job->params.ctx, job, &report);
  tess__controller_dealloc(c, executors);
}
