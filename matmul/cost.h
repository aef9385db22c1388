/* SPDX-License-Identifier: Apache-2.0
 *
 * What a product costs on unequal workers: the share of C that each should get so
 * that all end together, and when that is. A worker with the share a of C's
 * elements computes 2 a k flops and receives at least the half perimeter 2 sqrt(a)
 * of a square, k long, and returns a: its time is the sum of both, which is what
 * one tile at a time takes; overlap makes it shorter. An operand that is held is not
 * received; what a worker gets once in any case (first_bytes) comes before all. Shares
 * by equal time: O. Beaumont et al. (plan.h), with links added.
 *
 * Pure. Units: flops, bytes, ms. Threads: none.
 */
#ifndef TESSERA_MATMUL_COST_H
#define TESSERA_MATMUL_COST_H

#include "matmul/plan.h"
#include "matmul/speed.h"

/* One worker's time for the share `area` (elements of C), in ms, after its first_bytes.
 * ms_per_byte 0: transfer costs nothing. */
double tess_cost_ms(const tess_plan_params *params, const tess_speed *speed, double area);

/* Fills weights (for tess_plan_params.weights) for params->worker_count workers
 * whose speeds are all known, and returns the time in ms at which all end. Speeds that
 * only chance tells apart count as one (tess_speed_group). A worker whose share would be
 * less than one element gets 0. < 0: a speed is not known, or C is empty. */
double tess_cost_weights(const tess_plan_params *params, const tess_speed *const *speeds,
                         double *weights);

#endif
