/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers hold of a job's operands: in which blocks these travel, what that does
 * to the plan, and what each tile would still move to each worker.
 */
#include "wasm/job.h"

/* ---- what is known ---- */

static bool holds(const tess__worker *worker, const uint8_t *name) {
  const tess_tile_executor *executor = worker->executor;
  return executor != NULL && executor->ops->holds != NULL && executor->ops->holds(executor, name);
}

static bool all_hold(const tess_controller *c, const uint8_t *name, double now_ms) {
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (tess__worker_ready(&c->workers[i], now_ms) && !holds(&c->workers[i], name)) return false;
  return true;
}

/* A named operand travels as the whole block that the client named where few workers need
 * it, or all have it; else in parts. */
static bool travels_whole(const tess_controller *c, const tess_operand_block *block,
                          double now_ms) {
  if (block->name == NULL) return false;
  return block->elsewhere ||
         tess__controller_ready_workers(c, now_ms) <= TESS_PANEL_WHOLE_WORKERS ||
         all_hold(c, block->name, now_ms);
}

static uint64_t missing_bytes(const tess__worker *worker, const tess_operand_block *block) {
  if (holds(worker, block->name)) return 0;
  return (uint64_t)block->block.rows * block->block.cols * tess_dtype_size(block->block.dtype);
}

/* ---- the plan ---- */

void tess__job_tell_held(const tess_job *job, double now_ms, tess_plan_params *params,
                         uint64_t *first_bytes) {
  const tess_controller *c = job->controller;
  const tess_operand_block *a = &job->params.a_block, *b = &job->params.b_block;
  params->a_held = travels_whole(c, a, now_ms);
  params->b_held = travels_whole(c, b, now_ms);
  uint32_t count = 0;
  for (uint32_t i = 0; i < c->worker_count; i++) {
    const tess__worker *worker = &c->workers[i];
    if (!tess__worker_ready(worker, now_ms)) continue;
    first_bytes[count++] = (params->a_held ? missing_bytes(worker, a) : 0) +
                           (params->b_held ? missing_bytes(worker, b) : 0);
  }
  params->first_bytes = first_bytes;
}

/* Without memory for panels every operand travels as it is. */
tess_code tess__job_make_panels(tess_job *job, double now_ms) {
  const tess_controller *c = job->controller;
  const tess_panels_params params = {.allocator = c->allocator,
                                     .gemm = job->params.gemm,
                                     .a = job->params.a_block,
                                     .b = job->params.b_block,
                                     .a_whole = travels_whole(c, &job->params.a_block, now_ms),
                                     .b_whole = travels_whole(c, &job->params.b_block, now_ms)};
  return tess_panels_make(&job->panels, &params, &job->plan);
}

/* ---- the schedule ---- */

/* tess_schedule_params.tile_bytes: blocks that a worker holds move nothing, others whole. */
uint64_t tess__job_tile_bytes(void *context, uint32_t executor, uint32_t tile) {
  const tess_job *job = context;
  const tess_plan_tile *t = &job->plan.tiles[tile];
  const uint64_t element = tess_dtype_size(job->plan.dtype);
  uint64_t bytes = (uint64_t)t->tile.rows * t->tile.cols * element;
  const uint32_t sides[2] = {t->tile.rows, t->tile.cols};
  const tess__worker *worker = executor != TESS_SCHEDULE_LOCAL && executor <= job->joined_count
                                   ? &job->controller->workers[job->shares[executor - 1].joined]
                                   : NULL;
  for (unsigned i = 0; i < 2; i++) {
    const tess_panel *panel = tess_panels_ref(&job->panels, tile, i).panel;
    if (panel == NULL || worker == NULL)
      bytes += (uint64_t)sides[i] * t->depth * element;
    else if (!panel->named || !holds(worker, panel->name))
      bytes += tess_panel_bytes(panel);
  }
  return bytes;
}
