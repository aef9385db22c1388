/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts at the tiles of a job: handed to executors, and what becomes of their
 * answers. An answer is looked at in this order: is it still awaited, is it to be
 * checked and does it pass, and only then it goes into its place in C (or is
 * added to it, where it is a part of the inner dimension). So a tile that is
 * late, doubled or wrong never touches C.
 */
#include "wasm/job.h"

#include <string.h>

#include "wasm/abi.h"

/* ---- what is told to people ---- */

/* "product p: tile 0,128 (64x64) on http://...: why" */
static void log_failure(tess_job *job, const tess_tile *tile, const char *executor,
                        const tess_reason *why) {
  tess_reason line;
  tess_reason_set(&line, TESS_OK, "product %s: tile %u,%u of %ux%u on %s: %s", job->product_id,
                  tile->row, tile->col, tile->rows, tile->cols, executor, why->text);
  tess__controller_log(job->controller, TESS_ABI_LOG_WARNING, &line);
}

static const char *executor_name(const tess_job *job, const tess__worker *worker) {
  return worker != NULL ? worker->executor->name : job->controller->local->name;
}

static void tell_failure(tess_job *job, const tess_tile *tile, const tess__worker *worker,
                         tess_code code, const tess_reason *why) {
  const char *name = executor_name(job, worker);
  log_failure(job, tile, name, why);
  tess_reason_set(tess__job_note(job), TESS_OK, "%s: %s", name, why->text);
  if (worker == NULL || job->workers_only) {
    job->code = code;
    job->message = *why;
  }
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
  tess__controller_dealloc(attempt->job->controller, attempt);
}

/* Takes the attempt from its executor, whatever that is doing with it. */
static void attempt_cancel(tess__attempt *attempt) {
  tess_tile_executor *executor =
      attempt->worker != NULL ? attempt->worker->executor : attempt->job->controller->local;
  executor->ops->cancel(executor, &attempt->work);
  attempt_unlink(attempt);
}

void tess__attempts_drop(tess_job *job, const tess__worker *worker) {
  for (tess__attempt *attempt = job->attempts, *next; attempt != NULL; attempt = next) {
    next = attempt->next;
    if (worker != NULL && attempt->worker != worker) continue;
    attempt_cancel(attempt);
    if (attempt->worker != NULL) tess_health_dropped(&attempt->worker->health);
    attempt_free(attempt);
  }
}

void tess__attempts_sweep(tess_job *job, double now_ms) {
  for (tess__attempt *attempt = job->attempts, *next; attempt != NULL; attempt = next) {
    next = attempt->next;
    tess_attempt_fate fate = tess_schedule_fate(&job->schedule, &attempt->token);
    if (fate == TESS_FATE_CURRENT) continue;
    attempt_cancel(attempt);
    tess_reason why;
    uint32_t ms = (uint32_t)(now_ms - attempt->token.started_ms);
    if (fate == TESS_FATE_BEATEN && attempt->worker != NULL) {
      tess_health_dropped(&attempt->worker->health);
    } else {
      if (attempt->worker != NULL) tess_health_failed(&attempt->worker->health, now_ms);
      tess_reason_set(&why, TESS_DEADLINE_EXCEEDED,
                      fate == TESS_FATE_OVERDUE ? "no answer in %u ms, another was faster"
                                                : "no answer in %u ms",
                      ms);
      tell_failure(job, &attempt->work.tile, attempt->worker, TESS_DEADLINE_EXCEEDED, &why);
    }
    attempt_free(attempt);
  }
}

/* ---- checks ---- */

/* Is an answer added to C? */
static bool is_part(const tess_job *job, uint32_t tile) {
  return job->plan.tiles[tile].depth != job->shape.k ||
         (job->params.keeps_c && job->params.gemm.beta != 0);
}

/* What was put into C unchecked can be computed anew later, if its worker turns
 * out to be lying: not where C0 is gone, sums are mixed, or somebody saw it. */
static bool can_take_back(const tess_job *job, uint32_t tile) {
  return job->params.gemm.beta == 0 && !is_part(job, tile) && job->params.on_tile == NULL;
}

static bool wants_check(tess_job *job, const tess__worker *worker, uint32_t tile) {
  if (worker == NULL || job->check == TESS_CHECK_NEVER) return false;
  if (job->check == TESS_CHECK_ALWAYS || !can_take_back(job, tile)) return true;
  return tess_trust_wants_check(&worker->trust, tess__controller_random(job->controller, NULL));
}

static tess_matrix unconst(tess_const_matrix matrix) {
  union {
    const void *in;
    void *out;
  } data = {matrix.data}; /* read only, as the check promises */
  return (tess_matrix){data.out, matrix.rows, matrix.cols, matrix.row_stride, matrix.dtype};
}

/* TESS_DATA_LOSS: wrong. TESS_RESOURCE_EXHAUSTED: no memory to tell. */
static tess_code check_answer(tess_job *job, const tess_gemm *gemm, tess_const_matrix answer,
                              tess_reason *why) {
  tess_controller *c = job->controller;
  tess_gemm question = *gemm;
  question.c = unconst(answer);
  job->checked++;
  c->counts.checked++;
  return tess_verifier_check(&job->verifier, &question, tess_matrix_as_const(gemm->c), NULL, why);
}

/* The worker gave a wrong tile: what it gave before is checked now. */
static void take_back(tess_job *job, const tess__worker *worker) {
  tess_controller *c = job->controller;
  uint32_t index = (uint32_t)(worker - c->workers);
  for (uint32_t i = 0; i < job->plan.tile_count; i++) {
    tess__tile *tile = &job->tiles[i];
    if (tile->worker != index + 1 || tile->checked) continue;
    tess_tile t = job->plan.tiles[i].tile;
    tess_gemm gemm = tess_gemm_tile(&job->params.gemm, t.row, t.col, t.rows, t.cols);
    tess_reason why;
    tess_reason_clear(&why);
    job->shares[index].checked++;
    if (check_answer(job, &gemm, tess_matrix_as_const(gemm.c), &why) == TESS_OK) {
      tile->checked = true;
      continue;
    }
    tile->worker = 0;
    job->rejected++;
    c->counts.rejected++;
    job->shares[index].rejected++;
    tess_schedule_reopen(&job->schedule, i, job->shares[index].number);
  }
}

static void reject(tess_job *job, tess__attempt *attempt, double now_ms) {
  tess_controller *c = job->controller;
  tess__worker *worker = attempt->worker;
  job->rejected++;
  c->counts.rejected++;
  job->shares[worker - c->workers].rejected++;
  worker->rejected++;
  /* Tiles of one blow count once. */
  if (!tess_trust_quarantined(&worker->trust, now_ms)) tess_trust_wrong(&worker->trust, now_ms);
  tess_schedule_failed(&job->schedule, &attempt->token, now_ms);
  if (job->check == TESS_CHECK_ADAPTIVE) take_back(job, worker);
}

/* ---- answers ---- */

/* Into its place in C. */
static tess_code commit(tess_job *job, const tess__attempt *attempt, tess_const_matrix answer) {
  uint32_t index = attempt->token.tile;
  if (answer.data == NULL) return TESS_OK; /* computed in place */
  if (!is_part(job, index)) return tess_matrix_copy(attempt->work.gemm.c, answer);
  return tess_matrix_add(attempt->work.gemm.c, answer);
}

static void tile_complete(tess_job *job, const tess__attempt *attempt,
                          const tess_tile_outcome *outcome, bool checked) {
  tess_controller *c = job->controller;
  const char *name = executor_name(job, attempt->worker);
  job->tiles[attempt->token.tile].worker =
      attempt->worker != NULL ? (uint32_t)(attempt->worker - c->workers) + 1 : 0;
  job->tiles[attempt->token.tile].checked = checked;
  job->compute_ms += outcome->compute_ms;
  memcpy(job->kernel, outcome->kernel, sizeof job->kernel);
  const size_t name_size = strnlen(name, sizeof job->executor - 1);
  if (job->executor[0] != '\0' && strncmp(job->executor, name, sizeof job->executor - 1) != 0)
    job->mixed = true;
  memcpy(job->executor, name, name_size);
  job->executor[name_size] = '\0';
  const tess_tile *tile = &attempt->work.tile;
  if (attempt->worker == NULL) {
    c->counts.local_tiles++;
    uint64_t flops =
        tess_gemm_flops(tile->rows, tile->cols, job->plan.tiles[attempt->token.tile].depth);
    c->policy->ops->observe_local_tile(c->policy, flops, outcome->compute_ms);
  } else {
    c->counts.proxied_tiles++;
  }
  if (job->params.on_tile == NULL) return;
  tess_job_tile event = {.tile = *tile,
                         .executor = name,
                         .kernel = outcome->kernel,
                         .compute_ms = outcome->compute_ms,
                         .depth = job->plan.tiles[attempt->token.tile].depth,
                         .done = job->schedule.tiles_done,
                         .total = (uint32_t)job->plan.tile_count};
  job->params.on_tile(job->params.ctx, job, &event);
}

/* What a worker sent, as far as a check wants to see it. */
static tess_code inspect(tess_job *job, tess__attempt *attempt, const tess_tile_outcome *outcome,
                         bool *checked, tess_reason *why) {
  *checked = wants_check(job, attempt->worker, attempt->token.tile);
  if (!*checked) return TESS_OK;
  job->shares[attempt->worker - job->controller->workers].checked++;
  return check_answer(job, &attempt->work.gemm, outcome->result, why);
}

static void count_work(tess__attempt *attempt, const tess_tile_outcome *outcome, double now_ms) {
  tess__worker *worker = attempt->worker;
  if (worker == NULL) return;
  double took = now_ms - attempt->token.started_ms;
  worker->bytes_sent += outcome->bytes_sent;
  worker->bytes_received += outcome->bytes_received;
  worker->cache_bytes += outcome->cache_bytes;
  tess__share *share = &attempt->job->shares[worker - attempt->job->controller->workers];
  share->cache_hits += outcome->cache_hits;
  share->cache_bytes += outcome->cache_bytes;
  worker->compute_ms += outcome->compute_ms;
  if (took > outcome->compute_ms) worker->wait_ms += took - outcome->compute_ms;
}

static void answer_came(tess_job *job, tess__attempt *attempt, const tess_tile_outcome *outcome,
                        double now_ms) {
  tess__worker *worker = attempt->worker;
  bool checked = false;
  tess_reason why;
  tess_reason_clear(&why);
  count_work(attempt, outcome, now_ms);
  tess_code code = TESS_OK;
  bool awaited = tess_schedule_is_current(&job->schedule, &attempt->token);
  if (awaited) code = inspect(job, attempt, outcome, &checked, &why);
  if (awaited && code == TESS_OK) code = commit(job, attempt, outcome->result);
  if (code != TESS_OK) {
    tess_health_failed(&worker->health, now_ms);
    tell_failure(job, &attempt->work.tile, worker, code, &why);
    if (code == TESS_DATA_LOSS)
      reject(job, attempt, now_ms);
    else
      tess_schedule_failed(&job->schedule, &attempt->token, now_ms);
    return;
  }
  if (worker != NULL) tess_health_succeeded(&worker->health);
  if (checked) tess_trust_valid(&worker->trust);
  if (tess_schedule_done_in(&job->schedule, &attempt->token, now_ms, outcome->bytes_sent,
                            outcome->bytes_received, outcome->compute_ms))
    tile_complete(job, attempt, outcome, checked);
}

/* tess_tile_work.done */
static void on_done(tess_tile_work *work, const tess_tile_outcome *outcome) {
  tess__attempt *attempt = work->owner;
  tess_job *job = attempt->job;
  tess_controller *c = job->controller;
  double now = c->host.now_ms(c->host.ctx);
  attempt_unlink(attempt);
  if (outcome->wrong_answer) c->counts.wrong_answers++;
  if (attempt->worker != NULL &&
      (outcome->code == TESS_OK || outcome->wrong_answer || outcome->answered))
    job->answered = true;
  if (outcome->code == TESS_OK) {
    answer_came(job, attempt, outcome, now);
  } else {
    if (attempt->worker != NULL) tess_health_failed(&attempt->worker->health, now);
    tell_failure(job, &work->tile, attempt->worker, outcome->code, &outcome->reason);
    tess_schedule_failed(&job->schedule, &attempt->token, now);
  }
  attempt_free(attempt);
}

/* ---- starting ---- */

/* A part adds to C, which is scaled before the first of them. */
static void prepare_part(tess_job *job, uint32_t index, tess_gemm *gemm, bool local) {
  const tess_plan_tile *part = &job->plan.tiles[index];
  if (!is_part(job, index)) return;
  tess__tile *group = &job->tiles[part->group];
  if (!group->begun) {
    tess_matrix_scale(gemm->c, gemm->beta);
    group->begun = true;
  }
  gemm->beta = local ? 1 : 0;
}

bool tess__attempt_start(tess_job *job, const tess_attempt *token, tess__worker *worker,
                         double now_ms) {
  tess_controller *c = job->controller;
  tess_reason why;
  tess_reason_clear(&why);
  tess__attempt *attempt = tess__controller_alloc(c, sizeof *attempt);
  if (attempt == NULL) {
    job->code = TESS_RESOURCE_EXHAUSTED;
    tess_reason_set(&job->message, job->code, "out of memory");
    tess_schedule_failed(&job->schedule, token, now_ms);
    return false;
  }
  const tess_plan_tile *part = &job->plan.tiles[token->tile];
  tess_tile tile = part->tile;
  attempt->work.gemm = tess_gemm_part(&job->params.gemm, tile.row, tile.col, tile.rows, tile.cols,
                                      part->k, part->depth);
  prepare_part(job, token->tile, &attempt->work.gemm, worker == NULL);
  attempt->work.tile = tile;
  if (part->depth != job->shape.k) {
    attempt->work.k = part->k;
    attempt->work.depth = part->depth;
  }
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
    attempt->work.a_panel = tess_panels_ref(&job->panels, token->tile, 0);
    attempt->work.b_panel = tess_panels_ref(&job->panels, token->tile, 1);
    attempt->work.ms_per_byte = worker->speed.ms_per_byte;
    tess_health_started(&worker->health);
  } else {
    c->local_in_flight++;
  }
  attempt->next = job->attempts;
  if (job->attempts != NULL) job->attempts->prev = attempt;
  job->attempts = attempt;

  tess_tile_executor *executor = worker != NULL ? worker->executor : c->local;
  tess_code code = executor->ops->start(executor, &attempt->work, &why);
  if (code == TESS_OK) {
    job->served += (double)tess_gemm_flops(tile.rows, tile.cols, part->depth);
    return true;
  }
  attempt_unlink(attempt);
  if (worker != NULL) tess_health_failed(&worker->health, now_ms);
  tell_failure(job, &tile, worker, code, &why);
  tess_schedule_failed(&job->schedule, token, now_ms);
  attempt_free(attempt);
  return false;
}
