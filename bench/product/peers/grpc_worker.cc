// SPDX-License-Identifier: Apache-2.0
//
// A worker over gRPC C++: one thread of OpenBLAS, one unary call a tile.
#include <cblas.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>

#include "tile.grpc.pb.h"

namespace {

class Worker final : public tessera::bench::peers::TileService::Service {
  grpc::Status Multiply(grpc::ServerContext *, const tessera::bench::peers::TileRequest *request,
                        tessera::bench::peers::TileReply *reply) override {
    const std::size_t rows = request->rows(), cols = request->cols(), depth = request->depth();
    if (request->a().size() != rows * depth * sizeof(float) ||
        request->b().size() != depth * cols * sizeof(float)) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "sizes that disagree"};
    }
    std::string *c = reply->mutable_c();
    c->resize(rows * cols * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows),
                static_cast<int>(cols), static_cast<int>(depth), 1.0F,
                reinterpret_cast<const float *>(request->a().data()), static_cast<int>(depth),
                reinterpret_cast<const float *>(request->b().data()), static_cast<int>(cols), 0.0F,
                reinterpret_cast<float *>(c->data()), static_cast<int>(cols));
    return grpc::Status::OK;
  }
};

}  // namespace

int main() {
  openblas_set_num_threads(1);
  Worker worker;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&worker);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) {
    return 1;
  }
  std::printf("listening on http://127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
