// SPDX-License-Identifier: Apache-2.0
//
// What the drivers of all peers share: C = A B for square float32 matrices,
// row-major, operands in memory to result in memory. A driver reads lines; for
// each it computes one product, checks some of it, and prints the milliseconds.
// The same operands and the same check as bench/product/product.c: small integers,
// so that every sum is exact.
#ifndef TESSERA_BENCH_PEER_H
#define TESSERA_BENCH_PEER_H

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace peer {

inline double now_ms() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

struct Product {
  std::size_t n;
  std::vector<float> a, b, c;

  // transposed_b: b[j * n + i] is B's element (i, j), for those who want B so.
  explicit Product(std::size_t n_, bool transposed_b = false)
      : n(n_), a(n_ * n_), b(n_ * n_), c(n_ * n_), transposed_b_(transposed_b) {
    for (std::size_t i = 0; i < n; i++) {
      for (std::size_t j = 0; j < n; j++) {
        std::size_t at = i * n + j;
        a[at] = static_cast<float>(at * 7 % 11) - 5.0F;
        b[transposed_b ? j * n + i : at] = static_cast<float>(at * 13 % 9) - 4.0F;
      }
    }
  }

  bool right() const {
    for (std::size_t at = 0; at < 64; at++) {
      std::size_t row = at * 2654435761U % n, col = at * 40503U % n;
      float sum = 0;
      for (std::size_t i = 0; i < n; i++) {
        sum += a[row * n + i] * (transposed_b_ ? b[col * n + i] : b[i * n + col]);
      }
      if (c[row * n + col] != sum) {
        return false;
      }
    }
    return true;
  }

 private:
  bool transposed_b_;
};

// One line, one product. Returns the exit status.
inline int serve(Product &product, const std::function<double()> &run) {
  std::string line;
  while (std::getline(std::cin, line)) {
    double elapsed = run();
    if (!product.right()) {
      std::fprintf(stderr, "the product is wrong\n");
      return 1;
    }
    std::memset(product.c.data(), 0, product.c.size() * sizeof(float));
    std::printf("%.3f\n", elapsed);
    std::fflush(stdout);
  }
  return 0;
}

[[noreturn]] inline void die(const std::string &why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

}  // namespace peer
#endif
