# The files of matmul/, relative to this folder, for every build of them.
# Freestanding ones need mem*, str* and malloc/realloc/free alone and compile for
# wasm32 as they stand.
set(TESSERA_MATMUL_PURE_SOURCES
  alloc.c block_store.c blocked.c check_mode.c gemm.c job.c kernel.c kernel_reference.c kernel_scalar.c matrix.c npy.c
  pack.c kernel_choice.c cost.c forecast.c plan.c plan_choice.c plan_cut.c plan_shares.c plan_strips.c reason.c
  schedule.c schedule_backup.c schedule_expect.c schedule_hand_out.c schedule_lists.c schedule_outcome.c speed.c
  verify.c)
# One table each; link exactly one.
set(TESSERA_MATMUL_TABLE_BLAS kernels_blas.c kernel_openblas.c kernel_blis.c)
set(TESSERA_MATMUL_TABLE_PORTABLE kernels_portable.c)
set(TESSERA_MATMUL_TABLE_SIMD128 kernels_simd128.c kernel_simd128.c)
# SHA-256: link exactly one.
set(TESSERA_MATMUL_SHA256_PORTABLE sha256_portable.c)
set(TESSERA_MATMUL_SHA256_OPENSSL sha256_openssl.c)
# Native programs only.
set(TESSERA_MATMUL_NATIVE_SOURCES decimal.c journal.c kernel_trial.c mtx.c outofcore.c remaining.c)
# The kernels want these, also where the rest is compiled for size.
set(TESSERA_MATMUL_KERNEL_SOURCES kernel_scalar.c kernel_simd128.c kernel_reference.c pack.c blocked.c
  sha256_portable.c verify.c)
set(TESSERA_MATMUL_KERNEL_OPTIONS -O3 -ffp-contract=off)
