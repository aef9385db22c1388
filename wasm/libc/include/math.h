/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of ISO C <math.h> that is one WebAssembly instruction or one
 * compiler builtin each, for the freestanding wasm32 build.
 */
#ifndef TESSERA_LIBC_MATH_H
#define TESSERA_LIBC_MATH_H

#define INFINITY (__builtin_inff())
#define NAN (__builtin_nanf(""))
#define HUGE_VAL (__builtin_huge_val())
#define isnan(x) (__builtin_isnan(x))
#define isinf(x) (__builtin_isinf(x))
#define isfinite(x) (__builtin_isfinite(x))
#define signbit(x) (__builtin_signbit(x))

static inline double fabs(double x) {
  return __builtin_fabs(x);
}
static inline float fabsf(float x) {
  return __builtin_fabsf(x);
}
static inline double sqrt(double x) {
  return __builtin_sqrt(x);
}
static inline double floor(double x) {
  return __builtin_floor(x);
}
static inline double ceil(double x) {
  return __builtin_ceil(x);
}
static inline double trunc(double x) {
  return __builtin_trunc(x);
}

#endif
