/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of streams: the first byte chooses method, protocol and how the body
 * arrives, the rest is the body.
 */
#include "tests/fuzz/echo_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const paths[] = {
      "/tessera.test.v1.EchoService/Repeat", "/tessera.test.v1.EchoService/Chat",
      "/tessera.test.v1.EchoService/Echo", "/tessera.test.v1.EchoService/Concat"};
  static const char *const types[] = {"application/connect+proto", "application/grpc-web+proto",
                                      "application/grpc-web-text", "application/proto"};
  if (size == 0) return 0;
  uint8_t choice = data[0];
  tess_server *server = fuzz_server();
  tess_http_handler handler = tess_server_http_handler(server);
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  if (tess_metadata_add(&headers, "content-type", types[choice >> 2 & 3]) != TESS_OK) abort();
  if ((choice & 16) != 0) {
    tess_metadata_add(&headers, "connect-content-encoding", "gzip");
    tess_metadata_add(&headers, "grpc-encoding", "gzip");
    tess_metadata_add(&headers, "content-encoding", "gzip");
  }
  bool known = (choice & 32) != 0;
  static const size_t pieces[] = {0, 1, 7, 4096};
  tess_http_request request = {.method = "POST",
                               .path = paths[choice & 3],
                               .headers = &headers,
                               .content_length = known ? (int64_t)(size - 1) : -1};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  if (exchange != NULL) fuzz_exchange(exchange, data + 1, size - 1, pieces[choice >> 6], known);
  tess_metadata_cleanup(&headers);
  tess_server_free(server);
  return 0;
}
