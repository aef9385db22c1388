/* SPDX-License-Identifier: Apache-2.0
 *
 * The square root, for pure cores that also run where there is no libm.
 */
#ifndef TESSERA_MATMUL_ROOT_H
#define TESSERA_MATMUL_ROOT_H

/* Newton's method, from above: the iterates fall until rounding stops them. */
static inline double tess__square_root(double x) {
  if (!(x > 0.0)) return 0.0;
  double root = x > 1.0 ? x : 1.0;
  for (;;) {
    double next = (root + x / root) / 2.0;
    if (!(next < root)) return root;
    root = next;
  }
}

#endif
