// SPDX-License-Identifier: Apache-2.0
//
// The gRPC C++ echo server that the size benchmark holds ours against: no TLS,
// linked as statically as the libraries here allow. Usage: size-grpc-server PORT
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <string>

#include "echo.grpc.pb.h"

namespace {

using tessera::bench::size::v1::EchoRequest;
using tessera::bench::size::v1::EchoResponse;

class EchoImpl final : public tessera::bench::size::v1::EchoService::Service {
 public:
  grpc::Status Echo(grpc::ServerContext *, const EchoRequest *request,
                    EchoResponse *response) override {
    response->set_text(request->text());
    return grpc::Status::OK;
  }
};

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: size-grpc-server PORT\n");
    return 2;
  }
  EchoImpl service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("127.0.0.1:") + argv[1], grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::fprintf(stderr, "size-grpc-server: cannot listen on port %s\n", argv[1]);
    return 1;
  }
  std::printf("listening on http://127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
