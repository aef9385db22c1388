// SPDX-License-Identifier: Apache-2.0
//
// gRPC C++ client of the RPC benchmarks. Prints one number.
//   bench-grpc-client HOST:PORT sink BYTES SECONDS    GB/s of unary uploads
//   bench-grpc-client HOST:PORT count MESSAGES BYTES  messages/s of one server stream
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "echo.grpc.pb.h"

using tessera::bench::v1::EchoService;

namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int Fail(const grpc::Status &status) {
  std::fprintf(stderr, "bench-grpc-client: %s\n", status.error_message().c_str());
  return 1;
}

int Sink(EchoService::Stub *stub, size_t bytes, double seconds) {
  tessera::bench::v1::EchoRequest request;
  request.set_payload(std::string(bytes, 'x'));
  double start = 0;
  size_t calls = 0;
  for (bool warm = false;; warm = true) {
    grpc::ClientContext context;
    tessera::bench::v1::SinkResponse response;
    const auto status = stub->Sink(&context, request, &response);
    if (!status.ok() || response.bytes() != bytes) {
      return Fail(status);
    }
    if (!warm) {
      start = Seconds();
      continue;
    }
    ++calls;
    if (Seconds() - start >= seconds) {
      break;
    }
  }
  std::printf("%.4f\n",
              static_cast<double>(bytes) * static_cast<double>(calls) / (Seconds() - start) / 1e9);
  return 0;
}

int Count(EchoService::Stub *stub, uint32_t messages, uint32_t bytes) {
  tessera::bench::v1::CountRequest request;
  request.set_messages(messages);
  request.set_payload_bytes(bytes);
  grpc::ClientContext context;
  const double start = Seconds();
  auto reader = stub->Count(&context, request);
  tessera::bench::v1::EchoResponse response;
  uint32_t seen = 0;
  while (reader->Read(&response)) {
    seen += response.payload().size() == bytes;
  }
  const auto status = reader->Finish();
  if (!status.ok() || seen != messages) {
    return Fail(status);
  }
  std::printf("%.0f\n", messages / (Seconds() - start));
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 5) {
    std::fprintf(stderr,
                 "usage: bench-grpc-client HOST:PORT sink BYTES SECONDS | count MESSAGES BYTES\n");
    return 2;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  auto stub = EchoService::NewStub(
      grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments));
  if (std::strcmp(argv[2], "sink") == 0) {
    return Sink(stub.get(), std::strtoull(argv[3], nullptr, 10), std::strtod(argv[4], nullptr));
  }
  return Count(stub.get(), static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)),
               static_cast<uint32_t>(std::strtoul(argv[4], nullptr, 10)));
}
