// SPDX-License-Identifier: Apache-2.0
//
// mpirun -np P peer-scalapack N [BLOCK]: psgemm. The operands lie on rank 0 and the
// result comes back there: psgemr2d from and to a grid of one, as the users' guide
// shows. ScaLAPACK is column-major: the row-major C = A B is C^T = B^T A^T there.
#include <cblas.h>

#include <memory>

#include "mpi_peer.h"

extern "C" {
void Cblacs_get(int context, int what, int *value);
void Cblacs_gridinit(int *context, const char *order, int rows, int cols);
void Cblacs_gridmap(int *context, int *map, int stride, int rows, int cols);
void Cblacs_gridinfo(int context, int *rows, int *cols, int *row, int *col);
int numroc_(const int *n, const int *block, const int *process, const int *source,
            const int *processes);
void descinit_(int *desc, const int *m, const int *n, const int *row_block, const int *col_block,
               const int *row_source, const int *col_source, const int *context, const int *stride,
               int *info);
void Cpsgemr2d(int m, int n, float *a, int ia, int ja, int *desc_a, float *b, int ib, int jb,
               int *desc_b, int context);
void psgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
             const float *alpha, const float *a, const int *ia, const int *ja, const int *desc_a,
             const float *b, const int *ib, const int *jb, const int *desc_b, const float *beta,
             float *c, const int *ic, const int *jc, const int *desc_c);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (argc < 2) {
    peer::die("usage: peer-scalapack N [BLOCK]");
  }
  openblas_set_num_threads(1);
  const int n = std::atoi(argv[1]), block = argc > 2 ? std::atoi(argv[2]) : 256;
  const int zero = 0, one = 1;
  int all, root, rows, cols, row, col, info, grid_rows = 1;
  for (int i = 1; i * i <= ranks; i++) {
    grid_rows = ranks % i == 0 ? i : grid_rows;
  }
  Cblacs_get(-1, 0, &all);
  root = all;
  Cblacs_gridinit(&all, "Row", grid_rows, ranks / grid_rows);
  Cblacs_gridinfo(all, &rows, &cols, &row, &col);
  int map[1] = {0};
  Cblacs_gridmap(&root, map, 1, 1, 1);

  std::unique_ptr<peer::Product> x(rank == 0 ? new peer::Product(static_cast<std::size_t>(n))
                                             : nullptr);
  const int local_rows = numroc_(&n, &block, &row, &zero, &rows);
  const int local_cols = numroc_(&n, &block, &col, &zero, &cols);
  const int stride = local_rows > 1 ? local_rows : 1;
  const std::size_t size = static_cast<std::size_t>(stride) * static_cast<std::size_t>(local_cols);
  std::vector<float> a(size), b(size), c(size);
  int spread[9], whole[9] = {1, -1, n, n, n, n, 0, 0, n};
  descinit_(spread, &n, &n, &block, &block, &zero, &zero, &all, &stride, &info);
  if (rank == 0) {
    descinit_(whole, &n, &n, &n, &n, &zero, &zero, &root, &n, &info);
  }
  const float alpha = 1.0F, beta = 0.0F;
  int status = peer::serve_mpi(
      x.get(), ranks, [] {},
      [&] {
        Cpsgemr2d(n, n, x ? x->a.data() : nullptr, 1, 1, whole, a.data(), 1, 1, spread, all);
        Cpsgemr2d(n, n, x ? x->b.data() : nullptr, 1, 1, whole, b.data(), 1, 1, spread, all);
        psgemm_("N", "N", &n, &n, &n, &alpha, b.data(), &one, &one, spread, a.data(), &one, &one,
                spread, &beta, c.data(), &one, &one, spread);
        Cpsgemr2d(n, n, c.data(), 1, 1, spread, x ? x->c.data() : nullptr, 1, 1, whole, all);
      },
      [] {});
  MPI_Finalize();
  return status;
}
