// SPDX-License-Identifier: Apache-2.0
//
// The gRPC C++ side of the RPC benchmarks: the echo service on the asynchronous
// API (callback API, gRPC's recommended asynchronous server), unlimited message
// size, no TLS. Usage: bench-grpc-server PORT
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "echo.grpc.pb.h"

namespace {

using tessera::bench::v1::CountRequest;
using tessera::bench::v1::EchoRequest;
using tessera::bench::v1::EchoResponse;
using tessera::bench::v1::SinkResponse;

// Streams the same message `messages` times and finishes.
class Counter : public grpc::ServerWriteReactor<EchoResponse> {
 public:
  explicit Counter(const CountRequest &request) : left_(request.messages()) {
    message_.set_payload(std::string(request.payload_bytes(), 'x'));
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) {
      left_ = 0;
    }
    Next();
  }
  void OnDone() override {
    delete this;
  }

 private:
  void Next() {
    if (left_ == 0) {
      Finish(grpc::Status::OK);
      return;
    }
    --left_;
    StartWrite(&message_);
  }
  EchoResponse message_;
  uint32_t left_;
};

grpc::ServerUnaryReactor *Finish(grpc::CallbackServerContext *context) {
  auto *reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

class EchoImpl final : public tessera::bench::v1::EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor *Echo(grpc::CallbackServerContext *context, const EchoRequest *request,
                                 EchoResponse *response) override {
    response->set_payload(request->payload());
    return Finish(context);
  }
  grpc::ServerUnaryReactor *EchoRecord(grpc::CallbackServerContext *context,
                                       const tessera::bench::v1::Record *request,
                                       tessera::bench::v1::Record *response) override {
    *response = *request;
    return Finish(context);
  }
  grpc::ServerUnaryReactor *Sink(grpc::CallbackServerContext *context, const EchoRequest *request,
                                 SinkResponse *response) override {
    response->set_bytes(request->payload().size());
    return Finish(context);
  }
  grpc::ServerWriteReactor<EchoResponse> *Count(grpc::CallbackServerContext *,
                                                const CountRequest *request) override {
    return new Counter(*request);
  }
};

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench-grpc-server PORT\n");
    return 2;
  }
  EchoImpl service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.AddListeningPort(std::string("127.0.0.1:") + argv[1], grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::fprintf(stderr, "bench-grpc-server: cannot listen on port %s\n", argv[1]);
    return 1;
  }
  std::printf("listening on http://127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
