// SPDX-License-Identifier: Apache-2.0
//
// mpirun -np P peer-cosma N spread|whole: COSMA.
//   spread  operands lie spread in COSMA's own layout, and so does the result: the
//           transformations from and to rank 0 are not timed
//   whole   operands lie on rank 0, and the result comes back there
// COSMA's blocks are column-major. So that nothing needs to be transposed, the
// row-major C = A B is computed as C^T = B^T A^T.
#include <cblas.h>
#include <costa/layout.hpp>
#include <cosma/multiply.hpp>

#include <memory>

#include "mpi_peer.h"

namespace {

// One block, the whole matrix, on rank 0.
costa::grid_layout<float> on_root(int rank, int n, float *data) {
  const int split[2] = {0, n}, owners[1] = {0};
  const costa::block_t block = {data, n, 0, 0};
  return costa::custom_layout<float>(1, 1, split, split, owners, rank == 0 ? 1 : 0, &block, 'C');
}

}  // namespace

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int status;
  {
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const std::string way = argc == 3 ? argv[2] : "";
    if (way != "spread" && way != "whole") {
      peer::die("usage: peer-cosma N spread|whole");
    }
    openblas_set_num_threads(1);
    const int n = std::atoi(argv[1]);
    std::unique_ptr<peer::Product> x(rank == 0 ? new peer::Product(static_cast<std::size_t>(n))
                                               : nullptr);
    auto a = on_root(rank, n, x ? x->a.data() : nullptr);
    auto b = on_root(rank, n, x ? x->b.data() : nullptr);
    auto c = on_root(rank, n, x ? x->c.data() : nullptr);
    if (way == "whole") {
      status = peer::serve_mpi(
          x.get(), ranks, [] {},
          [&] {
            cosma::multiply_using_layout<float>(b, a, c, 1.0F, 0.0F, 'N', 'N', MPI_COMM_WORLD);
          },
          [] {});
    } else {
      const cosma::Strategy strategy(n, n, n, static_cast<std::size_t>(ranks));
      cosma::CosmaMatrix<float> spread_a('A', strategy, rank), spread_b('B', strategy, rank),
          spread_c('C', strategy, rank);
      // All buffers come from one pool, which moves when it grows.
      std::vector<std::size_t> sizes;
      for (auto *matrix : {&spread_a, &spread_b, &spread_c}) {
        for (std::size_t size : matrix->required_memory()) {
          sizes.push_back(size);
        }
      }
      cosma::get_context_instance<float>()->get_memory_pool().reserve(sizes);
      status = peer::serve_mpi(
          x.get(), ranks,
          [&] {
            auto to_a = spread_a.get_grid_layout(), to_b = spread_b.get_grid_layout();
            costa::transform(b, to_a, MPI_COMM_WORLD);
            costa::transform(a, to_b, MPI_COMM_WORLD);
          },
          [&] {
            cosma::multiply(spread_a, spread_b, spread_c, strategy, MPI_COMM_WORLD, 1.0F, 0.0F);
          },
          [&] {
            auto from = spread_c.get_grid_layout();
            costa::transform(from, c, MPI_COMM_WORLD);
          });
    }
  }
  MPI_Finalize();
  return status;
}
