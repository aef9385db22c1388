// SPDX-License-Identifier: Apache-2.0
//
// What the MPI peers share. Rank 0 holds the operands and reads the lines; between
// products the other ranks sleep instead of spinning as MPI's calls do, or they
// would slow down whoever is measured in between.
#ifndef TESSERA_BENCH_MPI_PEER_H
#define TESSERA_BENCH_MPI_PEER_H

#include <mpi.h>
#include <unistd.h>

#include "peer.h"

namespace peer {

enum : int { TAG_GO = 1 };

// Rank 0: go (true) or end (false) to all others.
inline void tell(int ranks, bool go) {
  for (int rank = 1; rank < ranks; rank++) {
    int word = go ? 1 : 0;
    MPI_Send(&word, 1, MPI_INT, rank, TAG_GO, MPI_COMM_WORLD);
  }
}

// Other ranks: sleeps until told; false: end.
inline bool told() {
  int there = 0, word = 0;
  for (;;) {
    MPI_Iprobe(0, TAG_GO, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    if (there) {
      break;
    }
    usleep(500);
  }
  MPI_Recv(&word, 1, MPI_INT, 0, TAG_GO, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return word != 0;
}

// Every rank computes `before`, is timed over `run` and computes `after`, once per
// line. product is rank 0's, NULL elsewhere. Returns the exit status.
inline int serve_mpi(Product *product, int ranks, const std::function<void()> &before,
                     const std::function<void()> &run, const std::function<void()> &after) {
  auto round = [&] {
    before();
    MPI_Barrier(MPI_COMM_WORLD);
    double start = now_ms();
    run();
    MPI_Barrier(MPI_COMM_WORLD);
    double elapsed = now_ms() - start;
    after();
    return elapsed;
  };
  int status = 0;
  if (product != nullptr) {
    status = serve(*product, [&] {
      tell(ranks, true);
      return round();
    });
    tell(ranks, false);
  } else {
    while (told()) {
      round();
    }
  }
  return status;
}

}  // namespace peer
#endif
