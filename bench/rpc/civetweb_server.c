/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of the RPC benchmarks: a bare civetweb callback that echoes the
 * body, with the settings that make civetweb fast and no protocol at all.
 * Usage: bench-civetweb-server PORT
 */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int echo(struct mg_connection *connection, void *unused) {
  char body[4096], reply[sizeof body + 256];
  const struct mg_request_info *request = mg_get_request_info(connection);
  long long length = request->content_length;
  int size = 0, got;
  (void)unused;
  if (length < 0 || length > (long long)sizeof body) {
    return 413;
  }
  while (size < length && (got = mg_read(connection, body + size, (size_t)(length - size))) > 0) {
    size += got;
  }
  int head = snprintf(reply, sizeof reply,
                      "HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\n"
                      "content-length: %d\r\n\r\n",
                      size);
  memcpy(reply + head, body, (size_t)size);
  mg_write(connection, reply, (size_t)(head + size));
  return 200;
}

static int allow(struct mg_connection *connection, void *unused) {
  (void)connection;
  (void)unused;
  return 1;
}

int main(int argc, char **argv) {
  char address[64];
  struct mg_server_port port;
  sigset_t end;
  int received;
  if (argc != 2) {
    fprintf(stderr, "usage: bench-civetweb-server PORT\n");
    return 2;
  }
  snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
  const char *options[] = {
      "listening_ports",   address, "num_threads",           "96",   "tcp_nodelay", "1",
      "enable_keep_alive", "yes",   "keep_alive_timeout_ms", "5000", NULL};
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, NULL);
  struct mg_context *server = mg_start(NULL, NULL, options);
  if (server == NULL || mg_get_server_ports(server, 1, &port) != 1) {
    fprintf(stderr, "bench-civetweb-server: cannot listen on %s\n", address);
    return 1;
  }
  mg_set_auth_handler(server, "**", allow, NULL);
  mg_set_request_handler(server, "**", echo, NULL);
  printf("listening on http://127.0.0.1:%d\n", port.port);
  fflush(stdout);
  sigwait(&end, &received);
  mg_stop(server);
  return 0;
}
