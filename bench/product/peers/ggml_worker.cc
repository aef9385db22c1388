// SPDX-License-Identifier: Apache-2.0
//
// What rpc-server of llama.cpp does, with the BLAS device and one thread.
#include <arpa/inet.h>
#include <ggml-backend.h>
#include <ggml-rpc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>

// ggml's server takes a port and no 0: one that is free at this moment.
static int free_port() {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr *>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0) {
    return -1;
  }
  close(fd);
  return ntohs(address.sin_port);
}

int main() {
  ggml_backend_dev_t device = ggml_backend_dev_by_name("BLAS");
  int port = free_port();
  if (device == nullptr || port < 0) {
    std::fprintf(stderr, "peer-ggml-worker: no BLAS device in this ggml, or no port\n");
    return 1;
  }
  std::string endpoint = "127.0.0.1:" + std::to_string(port);
  std::printf("listening on http://%s\n", endpoint.c_str());
  std::fflush(stdout);
  ggml_backend_rpc_start_server(endpoint.c_str(), nullptr, 1, 1, &device);
  return 1;
}
