/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel seam: who does the arithmetic. A kernel is a constant of type
 * tess_kernel; CMake chooses which kernels a build has by linking one of the
 * tables kernels_*.c (no #ifdef). A job runs one product with one kernel in
 * steps of bounded work, so that a process loop can do other things in between;
 * what was packed stays packed from step to step.
 *
 * Contract of a kernel
 *   shapes     any m, n, k >= 0, with the meaning of matmul/gemm.h
 *   layout     row-major; strides in elements, from the views
 *   alignment  none asked of A, B, C; the scratch memory is aligned to 16 bytes
 *   aliasing   C overlaps neither A nor B; scratch overlaps nothing
 *   memory     only the scratch that the caller gave, of at most
 *              TESS_KERNEL_SCRATCH_MAX bytes (OpenBLAS keeps buffers of its own)
 *   threads    none of its own (OpenBLAS: see set_threads); a job is used by one
 *              thread at a time, several jobs may run on several threads
 *   rounding   the bound of gemm.h; where every product and partial sum is
 *              exactly representable (small integers), the exact result
 *   partial    rows and columns of C that no step has finished hold anything
 *
 *   tess_gemm_job job;
 *   size_t need = tess_gemm_scratch_bytes(kernel, &gemm);
 *   void *scratch = aligned memory of `need` bytes (any malloc is aligned enough);
 *   code = tess_gemm_job_start(&job, kernel, &gemm, scratch, need, &why);
 *   while (code == TESS_OK && tess_gemm_job_step(&job, 100000000) == TESS_LATER) other_work();
 */
#ifndef TESSERA_MATMUL_KERNEL_H
#define TESSERA_MATMUL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/gemm.h"

/* Most scratch that any kernel asks for. */
#define TESS_KERNEL_SCRATCH_MAX ((size_t)4 << 20)
#define TESS_KERNEL_SCRATCH_ALIGNMENT 16

typedef struct tess_gemm_job tess_gemm_job;

typedef struct tess_kernel {
  const char *name;   /* "openblas", "simd128", ...; at most 63 bytes, static */
  uint32_t dtypes;    /* bit 1 << dtype for each dtype it computes */
  bool inner_threads; /* set_threads changes something */
  /* Largest m, n, k or stride it takes. */
  uint64_t max_dimension;
  /* Does this machine have what it needs? NULL: yes. */
  bool (*is_available)(void);
  /* Bytes of scratch for this product; 0: none. */
  size_t (*scratch_bytes)(const tess_gemm *gemm);
  /* Works on job until about max_flops are done, at least one block.
   * TESS_OK: finished; TESS_LATER: call again. m, n, k > 0 and alpha != 0. */
  tess_code (*step)(tess_gemm_job *job, uint64_t max_flops);
  /* Threads inside one call from now on, for the whole process; may be NULL. */
  void (*set_threads)(unsigned threads);
} tess_kernel;

/* One product under way. Every field is private to matmul/. */
struct tess_gemm_job {
  const tess_kernel *kernel;
  tess_gemm gemm;
  tess_gemm_shape shape;
  void *scratch;
  bool scaling_only; /* alpha == 0 or k == 0: C := beta * C */
  bool b_packed;     /* scratch holds the packed block of B at (pc, jc) */
  uint32_t ic;       /* next row */
  uint32_t jc;       /* current block of columns */
  uint32_t pc;       /* current block of k */
  uint64_t flops_done;
};

size_t tess_gemm_scratch_bytes(const tess_kernel *kernel, const tess_gemm *gemm);

/* Checks the product (tess_gemm_check), that the kernel takes it
 * (TESS_UNIMPLEMENTED) and that the scratch is large enough and aligned
 * (TESS_INVALID_ARGUMENT). The gemm is copied; the memory its views and scratch
 * point to is borrowed until the job has finished or is dropped (a job needs no
 * cleanup). */
tess_code tess_gemm_job_start(tess_gemm_job *job, const tess_kernel *kernel, const tess_gemm *gemm,
                              void *scratch, size_t scratch_bytes, tess_reason *reason);
/* Does a bounded amount of work: about max_flops (0: all of it), never less than
 * one block (240 Mflop at most with the blocked kernels). TESS_OK: C is
 * complete; TESS_LATER: call again. A finished job answers TESS_OK again. */
tess_code tess_gemm_job_step(tess_gemm_job *job, uint64_t max_flops);
/* step for kernels with blocking and packing of their own: panels of C += A B, each over
 * a part of k that is PANEL_DEPTH deep (the last up to half as much again) and all rows, or
 * at least min_rows, that the budget allows. A library packs all of B's part in each call,
 * so that a part of k costs nothing where a part of the rows costs that. */
#define TESS_KERNEL_PANEL_DEPTH 1024u
tess_code tess__gemm_job_step_panels(tess_gemm_job *job, uint64_t max_flops, uint32_t min_rows,
                                     void (*multiply)(const tess_gemm *panel));
/* Share of the work that is done, 0 to 1. */
double tess_gemm_job_progress(const tess_gemm_job *job);

/* A whole product at once: start, and steps to the end. */
tess_code tess_gemm_run(const tess_kernel *kernel, const tess_gemm *gemm, void *scratch,
                        size_t scratch_bytes, tess_reason *reason);

/* ---- the table, fastest kernel first ---- */

/* Defined by exactly one kernels_*.c. */
extern const tess_kernel *const tess_kernel_table[];
extern const size_t tess_kernel_table_size;

bool tess_kernel_takes(const tess_kernel *kernel, tess_dtype dtype);
/* First kernel of the table that computes the dtype, or NULL. */
const tess_kernel *tess_kernel_best(tess_dtype dtype);
/* By name, or NULL. */
const tess_kernel *tess_kernel_find(const char *name);
/* Threads inside one call, for every kernel that has its own (OpenBLAS). */
void tess_kernel_set_threads(unsigned threads);

/* Naive loops in double precision: what every other kernel is held against.
 * In every table, last. */
extern const tess_kernel tess_kernel_reference;
/* Blocked and packed portable C. */
extern const tess_kernel tess_kernel_scalar;
/* WebAssembly simd128 (only in builds for wasm32 with -msimd128). */
extern const tess_kernel tess_kernel_simd128;
/* OpenBLAS (only in native builds that found it). */
extern const tess_kernel tess_kernel_openblas;
/* BLIS (only in native builds that found its header; at run time it may be missing). */
extern const tess_kernel tess_kernel_blis;

#endif
