/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/memory_limit.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/kernel.h"
#include "program/memory.h"

#define MIB ((uint64_t)1 << 20)
/* Code that was not touched yet, stacks, small blocks, the scratch of readers. */
#define SLACK_BYTES (6 * MIB)
#define STEP_BYTES (2 * MIB)
/* A BLAS packs its second operand in panels of so many elements for each row or column,
 * and the first into a buffer of about this size, for each thread. OpenBLAS reserves
 * 32 MiB for both. */
#define BLAS_PACK_DEPTH 512u
#define BLAS_THREAD_BYTES (3 * MIB)
#define BLAS_MOST_BYTES (32 * MIB)
/* Blocks from here on are mapped, and unmapped when they are freed. */
#define MAP_THRESHOLD_BYTES (128 << 10)

void cli_memory_limit_prepare(void) {
  (void)mallopt(M_MMAP_THRESHOLD, MAP_THRESHOLD_BYTES);
  (void)mallopt(M_TRIM_THRESHOLD, MAP_THRESHOLD_BYTES);
}

/* VmHWM of this process; 0: not known. */
static uint64_t resident_bytes(void) {
  char line[128];
  unsigned long long kilobytes = 0;
  FILE *status = fopen("/proc/self/status", "r");
  if (status == NULL) return 0;
  while (fgets(line, sizeof line, status) != NULL)
    if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1) break;
  fclose(status);
  return (uint64_t)kilobytes * 1024;
}

static uint64_t thread_bytes(const tess_kernel *kernel) {
  if (kernel == NULL) return 0;
  return kernel->inner_threads ? BLAS_THREAD_BYTES : TESS_KERNEL_SCRATCH_MAX;
}

unsigned cli_memory_limit_threads(uint64_t limit_bytes, tess_dtype dtype, unsigned most) {
  const uint64_t each = thread_bytes(tess_kernel_best(dtype));
  if (each == 0) return most;
  const uint64_t threads = limit_bytes / 4 / each;
  return threads == 0 ? 1 : threads < most ? (unsigned)threads : most;
}

uint64_t cli_memory_limit_own_bytes(void) {
  /* In whole steps, so that two runs of the same product come to the same number. */
  return (resident_bytes() + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES + SLACK_BYTES;
}

void cli_memory_limit_describe(tess_outofcore_params *params, unsigned threads,
                               uint64_t own_bytes) {
  const tess_kernel *kernel = tess_kernel_best(params->dtype);
  params->fixed_bytes = own_bytes + threads * thread_bytes(kernel);
  if (kernel == NULL || !kernel->inner_threads) return;
  params->pack_depth = BLAS_PACK_DEPTH;
  params->pack_most_bytes = threads * BLAS_MOST_BYTES;
}

uint64_t cli_memory_limit_advice_mib(uint64_t least_bytes) {
  return (least_bytes + STEP_BYTES + MIB - 1) / MIB + 1;
}

uint64_t cli_memory_limit_default(void) {
  return program_memory_bytes() / 4 * 3;
}
