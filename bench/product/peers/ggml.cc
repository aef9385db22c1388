// SPDX-License-Identifier: Apache-2.0
//
// peer-ggml N HOST:PORT...: ggml's RPC backend, one server a worker. ggml_mul_mat
// wants both operands along k, so B lies transposed in memory from the start. The
// rows of A are spread, B goes to each; a thread a server, because ggml's calls
// block. Buffers and graphs are made once, as an inference loop does.
#include <arpa/inet.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-rpc.h>
#include <ggml.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "peer.h"

namespace {

struct Worker {
  std::size_t row, rows;
  ggml_backend_t backend;
  ggml_tensor *a, *b, *c;
  ggml_cgraph *graph;
};

// The server says where it will listen just before it does.
void wait_for(const std::string &endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, endpoint.substr(0, endpoint.find(':')).c_str(), &address.sin_addr);
  address.sin_port =
      htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.find(':') + 1))));
  for (int i = 0; i < 1000; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool up = connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
    close(fd);
    if (up) {
      return;
    }
    usleep(10000);
  }
  peer::die("peer-ggml: nobody listens on " + endpoint);
}

Worker start(const char *endpoint, std::size_t n, std::size_t row, std::size_t rows) {
  Worker worker{row, rows, nullptr, nullptr, nullptr, nullptr, nullptr};
  wait_for(endpoint);
  worker.backend = ggml_backend_rpc_init(endpoint, 0);
  ggml_init_params params = {ggml_tensor_overhead() * 16 + ggml_graph_overhead(), nullptr, true};
  ggml_context *context = ggml_init(params);
  if (worker.backend == nullptr || context == nullptr) {
    peer::die("peer-ggml: no backend");
  }
  auto size = static_cast<int64_t>(n);
  worker.a = ggml_new_tensor_2d(context, GGML_TYPE_F32, size, static_cast<int64_t>(rows));
  worker.b = ggml_new_tensor_2d(context, GGML_TYPE_F32, size, size);
  worker.c = ggml_mul_mat(context, worker.b, worker.a);
  worker.graph = ggml_new_graph(context);
  ggml_build_forward_expand(worker.graph, worker.c);
  if (ggml_backend_alloc_ctx_tensors(context, worker.backend) == nullptr) {
    peer::die("peer-ggml: no memory on the server");
  }
  return worker;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    peer::die("usage: peer-ggml N HOST:PORT...");
  }
  const std::size_t n = std::strtoul(argv[1], nullptr, 10);
  const std::size_t count = static_cast<std::size_t>(argc) - 2;
  peer::Product x(n, true);
  std::vector<Worker> workers;
  for (std::size_t i = 0; i < count; i++) {
    workers.push_back(start(argv[i + 2], n, n * i / count, n * (i + 1) / count - n * i / count));
  }
  return peer::serve(x, [&] {
    std::vector<std::thread> threads;
    double begin = peer::now_ms();
    for (Worker &worker : workers) {
      threads.emplace_back([&x, &worker, n] {
        ggml_backend_tensor_set(worker.b, x.b.data(), 0, n * n * sizeof(float));
        ggml_backend_tensor_set(worker.a, x.a.data() + worker.row * n, 0,
                                worker.rows * n * sizeof(float));
        if (ggml_backend_graph_compute(worker.backend, worker.graph) != GGML_STATUS_SUCCESS) {
          peer::die("peer-ggml: the graph failed");
        }
        ggml_backend_tensor_get(worker.c, x.c.data() + worker.row * n, 0,
                                worker.rows * n * sizeof(float));
      });
    }
    for (std::thread &thread : threads) {
      thread.join();
    }
    return peer::now_ms() - begin;
  });
}
