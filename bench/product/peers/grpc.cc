// SPDX-License-Identifier: Apache-2.0
//
// peer-grpc N HOST:PORT...: the rows of A spread over gRPC workers, B to each, one
// unary call and one thread a worker.
#include <grpcpp/grpcpp.h>

#include <thread>

#include "peer.h"
#include "tile.grpc.pb.h"

using tessera::bench::peers::TileReply;
using tessera::bench::peers::TileRequest;
using tessera::bench::peers::TileService;

int main(int argc, char **argv) {
  if (argc < 3) {
    peer::die("usage: peer-grpc N HOST:PORT...");
  }
  const std::size_t n = std::strtoul(argv[1], nullptr, 10);
  const std::size_t count = static_cast<std::size_t>(argc) - 2;
  peer::Product x(n);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  std::vector<std::unique_ptr<TileService::Stub>> stubs;
  for (std::size_t i = 0; i < count; i++) {
    // Channels with equal arguments share a connection unless told otherwise.
    arguments.SetInt("tessera.worker", static_cast<int>(i));
    stubs.push_back(TileService::NewStub(
        grpc::CreateCustomChannel(argv[i + 2], grpc::InsecureChannelCredentials(), arguments)));
  }
  return peer::serve(x, [&] {
    std::vector<std::thread> threads;
    double start = peer::now_ms();
    for (std::size_t i = 0; i < count; i++) {
      threads.emplace_back([&, i] {
        const std::size_t row = n * i / count, rows = n * (i + 1) / count - row;
        TileRequest request;
        TileReply reply;
        grpc::ClientContext context;
        request.set_rows(static_cast<uint32_t>(rows));
        request.set_cols(static_cast<uint32_t>(n));
        request.set_depth(static_cast<uint32_t>(n));
        request.set_a(x.a.data() + row * n, rows * n * sizeof(float));
        request.set_b(x.b.data(), n * n * sizeof(float));
        grpc::Status status = stubs[i]->Multiply(&context, request, &reply);
        if (!status.ok() || reply.c().size() != rows * n * sizeof(float)) {
          peer::die("peer-grpc: " + status.error_message());
        }
        std::memcpy(x.c.data() + row * n, reply.c().data(), reply.c().size());
      });
    }
    for (std::thread &thread : threads) {
      thread.join();
    }
    return peer::now_ms() - start;
  });
}
