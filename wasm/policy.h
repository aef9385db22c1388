/* SPDX-License-Identifier: Apache-2.0
 *
 * The seam of mode `adaptive`: whether a product is computed here or goes to
 * the workers. The controller asks when a product starts and again while it
 * runs here; it tells what it saw. A policy has no clock, and does no I/O.
 *
 * Units: flops are 2 m n k; times are ms. Threads: one.
 */
#ifndef TESSERA_WASM_POLICY_H
#define TESSERA_WASM_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <tessera/memory.h>

typedef struct tess_policy tess_policy;

/* A product that needs an answer. */
typedef struct tess_policy_question {
  uint64_t flops;         /* of the whole product */
  uint64_t bytes;         /* operands and result */
  double age_ms;          /* since it was submitted; 0: it starts now */
  uint32_t ready_workers; /* not backing off */
} tess_policy_question;

/* A product that is complete. */
typedef struct tess_policy_product {
  uint64_t flops;
  uint64_t bytes;
  double elapsed_ms; /* from submission to the end */
  bool remote;       /* it went to the workers, or most of it */
} tess_policy_product;

typedef struct tess_policy_ops {
  /* True: to the workers. */
  bool (*choose)(tess_policy *policy, const tess_policy_question *question, double now_ms);
  /* Where a product of the usual kind would go, without asking for one. */
  bool (*would_choose)(const tess_policy *policy);
  void (*observe)(tess_policy *policy, const tess_policy_product *product, double now_ms);
  /* A tile was computed here: the speed of the local kernel. */
  void (*observe_local_tile)(tess_policy *policy, uint64_t flops, double compute_ms);
  void (*free)(tess_policy *policy);
} tess_policy_ops;

struct tess_policy {
  const tess_policy_ops *ops;
};

/* The threshold rule of policy_adaptive.c. threshold_ms 0: 200. NULL: memory. */
tess_policy *tess_policy_adaptive_new(double threshold_ms, const tess_allocator *allocator);

#endif
