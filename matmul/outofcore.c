/* SPDX-License-Identifier: Apache-2.0
 *
 * Every sensible number of rows and columns of blocks is tried; for each, panels of
 * k as deep as what is left allows. The cheapest is taken.
 */
#include "matmul/outofcore.h"

#include "matmul/checked.h"

#define PAGE_BYTES 4096u
/* What a step costs beside reading and arithmetic, in bytes that could be read. */
#define STEP_COST_BYTES ((double)(4u << 20))
/* Reading that waits for arithmetic, and arithmetic that waits for reading. */
#define NO_OVERLAP_COST 1.5

/* One way to cut. */
typedef struct cut {
  uint32_t row_blocks, col_blocks, k_panels;
  uint32_t rows, cols, depth;
  uint32_t a_buffers, b_buffers;
  bool by_columns;
} cut;

static uint32_t ceil_div(uint32_t x, uint32_t y) {
  return x / y + (x % y != 0);
}

static uint64_t least_u64(uint64_t x, uint64_t y) {
  return x < y ? x : y;
}

static uint64_t pages(uint64_t bytes) {
  uint64_t rest = bytes % PAGE_BYTES;
  return rest == 0 ? bytes : tess__add_u64(bytes, PAGE_BYTES - rest);
}

static uint64_t buffer_bytes(const tess_outofcore_params *p, uint32_t rows, uint32_t cols) {
  return pages(tess__mul_u64(tess__mul_u64(rows, cols), tess_dtype_size(p->dtype)));
}

static uint64_t pack_bytes(const tess_outofcore_params *p, uint32_t rows, uint32_t cols) {
  uint64_t side = rows > cols ? rows : cols;
  uint64_t bytes = tess__mul_u64(side * p->pack_depth, tess_dtype_size(p->dtype));
  return p->pack_most_bytes != 0 ? least_u64(bytes, p->pack_most_bytes) : bytes;
}

/* Without the panels. */
static uint64_t block_bytes(const tess_outofcore_params *p, uint32_t rows, uint32_t cols) {
  uint64_t c = tess__mul_u64(buffer_bytes(p, rows, cols), (uint64_t)p->result_copies + 1);
  return tess__add_u64(tess__add_u64(p->fixed_bytes, c), pack_bytes(p, rows, cols));
}

static uint64_t peak_bytes(const tess_outofcore_params *p, const cut *c) {
  uint64_t a = tess__mul_u64(buffer_bytes(p, c->rows, c->depth), c->a_buffers);
  uint64_t b = tess__mul_u64(buffer_bytes(p, c->depth, c->cols), c->b_buffers);
  return tess__add_u64(block_bytes(p, c->rows, c->cols), tess__add_u64(a, b));
}

static uint64_t step_count(const cut *c) {
  return tess__mul_u64((uint64_t)c->row_blocks * c->col_blocks, c->k_panels);
}

/* Times that each operand is read. */
static void readings(const cut *c, uint32_t *of_a, uint32_t *of_b) {
  *of_a = c->k_panels == 1 && !c->by_columns ? 1 : c->col_blocks;
  *of_b = c->k_panels == 1 && c->by_columns ? 1 : c->row_blocks;
}

static uint64_t read_bytes(const tess_outofcore_params *p, const cut *c) {
  uint32_t of_a, of_b;
  readings(c, &of_a, &of_b);
  uint64_t a = tess__mul_u64((uint64_t)p->m * p->k, of_a);
  uint64_t b = tess__mul_u64((uint64_t)p->n * p->k, of_b);
  return tess__mul_u64(tess__add_u64(a, b), tess_dtype_size(p->dtype));
}

static double cost_of(const tess_outofcore_params *p, const cut *c) {
  double c_bytes = (double)p->m * p->n * (double)tess_dtype_size(p->dtype);
  double cost = (double)read_bytes(p, c) + c_bytes * c->k_panels;
  bool waits = step_count(c) > 1 && c->a_buffers == 1 && c->b_buffers == 1;
  return (waits ? NO_OVERLAP_COST * cost : cost) + STEP_COST_BYTES * (double)step_count(c);
}

/* Most of k for the panels of c, less than all of it; 0: none. */
static uint32_t deepest(const tess_outofcore_params *p, const cut *c) {
  uint64_t block = block_bytes(p, c->rows, c->cols);
  uint64_t each = ((uint64_t)c->rows * c->a_buffers + (uint64_t)c->cols * c->b_buffers) *
                  tess_dtype_size(p->dtype);
  if (block >= p->limit_bytes || p->k == 0) return 0;
  uint64_t most = least_u64((p->limit_bytes - block) / each, p->k - 1);
  cut trial = *c;
  trial.depth = (uint32_t)most;
  while (trial.depth > 0 && peak_bytes(p, &trial) > p->limit_bytes)
    --trial.depth; /* whole pages took the rest */
  return trial.depth;
}

/* Panels as deep as fit beside a block, with so many buffers. False: none do. */
static bool choose_depth(const tess_outofcore_params *p, cut *c, uint32_t buffers) {
  c->k_panels = 1;
  c->depth = p->k;
  /* One panel of k: what stays for a row or a column of blocks needs one buffer. */
  c->a_buffers = c->by_columns && c->row_blocks > 1 ? buffers : 1;
  c->b_buffers = !c->by_columns && c->col_blocks > 1 ? buffers : 1;
  if (peak_bytes(p, c) <= p->limit_bytes) return true;
  if (c->by_columns) return false; /* with several panels both orders are the same */
  c->a_buffers = c->b_buffers = buffers;
  c->depth = deepest(p, c);
  if (c->depth < TESS_OUTOFCORE_LEAST_SIDE) return false;
  c->k_panels = ceil_div(p->k, c->depth);
  c->depth = ceil_div(p->k, c->k_panels);
  return true;
}

static uint64_t max_steps(const tess_outofcore_params *p) {
  return p->max_steps != 0 ? p->max_steps : TESS_OUTOFCORE_DEFAULT_MAX_STEPS;
}

/* The cheapest of the ways to read for these blocks. */
static bool choose_reading(const tess_outofcore_params *p, cut *best, double *least, cut c,
                           uint32_t most_buffers) {
  bool found = false;
  for (uint32_t buffers = most_buffers; buffers > 0; --buffers) {
    for (int turned = 0; turned < 2; ++turned) {
      c.by_columns = turned != 0;
      if (!choose_depth(p, &c, buffers) || step_count(&c) > max_steps(p)) continue;
      double cost = cost_of(p, &c);
      if (cost >= *least) continue;
      *least = cost;
      *best = c;
      found = true;
    }
  }
  return found;
}

/* Parts of a side: one by one at first, then in steps of 3 %, and the finest at last. */
static uint32_t next_parts(uint32_t parts, uint32_t most) {
  if (parts >= most) return UINT32_MAX;
  uint64_t next = (uint64_t)parts + 1 + parts / 32;
  return next < most ? (uint32_t)next : most;
}

static uint32_t most_parts(uint32_t side) {
  return side > TESS_OUTOFCORE_LEAST_SIDE ? ceil_div(side, TESS_OUTOFCORE_LEAST_SIDE) : 1;
}

/* The finest are of the same size for all sides, or of a shorter side itself: what is left of a
 * product never needs more than all of it did. */
static uint32_t part_of(uint32_t side, uint32_t parts) {
  const uint32_t each = ceil_div(side, parts);
  return each < TESS_OUTOFCORE_LEAST_SIDE && parts > 1 ? TESS_OUTOFCORE_LEAST_SIDE : each;
}

/* Blocks of so many rows and columns, the cheapest; any: the first that fits. */
static bool search(const tess_outofcore_params *p, cut *best, bool any) {
  double least = __builtin_inf();
  const uint32_t most_rows = most_parts(p->m), most_cols = most_parts(p->n);
  bool found = false;
  for (uint32_t i = 1; i <= most_rows; i = next_parts(i, most_rows)) {
    for (uint32_t j = 1; j <= most_cols; j = next_parts(j, most_cols)) {
      cut c = {.row_blocks = i, .col_blocks = j};
      c.rows = part_of(p->m, i);
      c.cols = part_of(p->n, j);
      if (block_bytes(p, c.rows, c.cols) > p->limit_bytes) continue;
      if (choose_reading(p, best, &least, c, any ? 1 : 2)) found = true;
      if (found && any) return true;
    }
  }
  return found;
}

static bool fits(const tess_outofcore_params *params, uint64_t limit) {
  tess_outofcore_params p = *params;
  cut unused;
  p.limit_bytes = limit;
  return search(&p, &unused, true);
}

bool tess_outofcore_fits(const tess_outofcore_params *params) {
  if (params->fixed_bytes > params->limit_bytes) return false;
  return params->m == 0 || params->n == 0 || fits(params, params->limit_bytes);
}

uint64_t tess_outofcore_least_limit(const tess_outofcore_params *params) {
  if (params->m == 0 || params->n == 0) return params->fixed_bytes;
  uint64_t low = params->fixed_bytes, high = UINT64_MAX - 1;
  if (!fits(params, high)) return UINT64_MAX;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (fits(params, middle))
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static tess_code refuse(const tess_outofcore_params *p, tess_reason *reason) {
  return tess_reason_set(
      reason, TESS_RESOURCE_EXHAUSTED,
      "a product of %ux%u by %ux%u in %s needs at least %U bytes (%U of them beside its blocks), "
      "and the limit is %U",
      p->m, p->k, p->k, p->n, tess_dtype_name(p->dtype), tess_outofcore_least_limit(p),
      p->fixed_bytes, p->limit_bytes);
}

tess_code tess_outofcore_make(tess_outofcore *plan, const tess_outofcore_params *params,
                              tess_reason *reason) {
  *plan = (tess_outofcore){.m = params->m, .n = params->n, .k = params->k};
  if (params->dtype != TESS_DTYPE_FLOAT32 && params->dtype != TESS_DTYPE_FLOAT64)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "no kernel computes this dtype (%u)",
                           (uint32_t)params->dtype);
  plan->peak_bytes = params->fixed_bytes;
  if (params->fixed_bytes > params->limit_bytes) return refuse(params, reason);
  if (params->m == 0 || params->n == 0) return TESS_OK;
  cut best;
  if (!search(params, &best, false)) return refuse(params, reason);
  plan->row_blocks = best.row_blocks;
  plan->col_blocks = best.col_blocks;
  plan->k_panels = best.k_panels;
  plan->block_rows = best.rows;
  plan->block_cols = best.cols;
  plan->depth = best.depth;
  plan->by_columns = best.by_columns;
  plan->a_buffers = best.a_buffers;
  plan->b_buffers = best.b_buffers;
  plan->a_bytes = buffer_bytes(params, best.rows, best.depth);
  plan->b_bytes = buffer_bytes(params, best.depth, best.cols);
  plan->c_bytes = buffer_bytes(params, best.rows, best.cols);
  plan->peak_bytes = peak_bytes(params, &best);
  plan->read_bytes = read_bytes(params, &best);
  plan->steps = step_count(&best);
  return TESS_OK;
}

/* Parts that a side is cut into, the i-th one's beginning. */
static uint32_t cut_at(uint32_t side, uint32_t parts, uint32_t i) {
  return (uint32_t)((uint64_t)side * i / parts);
}

tess_outofcore_step tess_outofcore_step_at(const tess_outofcore *plan, uint64_t index) {
  const uint32_t panel = (uint32_t)(index % plan->k_panels);
  const uint64_t block = index / plan->k_panels;
  const uint32_t across = plan->by_columns ? plan->row_blocks : plan->col_blocks;
  const uint32_t outer = (uint32_t)(block / across), inner = (uint32_t)(block % across);
  const uint32_t i = plan->by_columns ? inner : outer, j = plan->by_columns ? outer : inner;
  const uint32_t row = cut_at(plan->m, plan->row_blocks, i);
  const uint32_t col = cut_at(plan->n, plan->col_blocks, j);
  const uint32_t k = cut_at(plan->k, plan->k_panels, panel);
  return (tess_outofcore_step){.block = {row, col, cut_at(plan->m, plan->row_blocks, i + 1) - row,
                                         cut_at(plan->n, plan->col_blocks, j + 1) - col},
                               .k = k,
                               .depth = cut_at(plan->k, plan->k_panels, panel + 1) - k,
                               .first = panel == 0,
                               .last = panel + 1 == plan->k_panels};
}
