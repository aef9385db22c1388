/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to server reflection: the first byte chooses version, protocol and how
 * the body arrives, the rest is the body of the stream.
 */
#include "tests/fuzz/echo_server.h"

#include <tessera/json.h>
#include <tessera/reflection.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const paths[] = {
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
  static const char *const types[] = {"application/connect+proto", "application/grpc-web+proto",
                                      "application/connect+json", "application/grpc-web-text"};
  if (size == 0) return 0;
  uint8_t choice = data[0];
  tess_server *server = fuzz_server();
  if (tess_server_add_codec(server, &tess_codec_json.codec) != TESS_OK) abort();
  tess_reflection *reflection = tess_reflection_new(server, NULL, NULL);
  if (reflection == NULL) abort();
  tess_http_handler handler =
      tess_reflection_http_handler(reflection, tess_server_http_handler(server));
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  if (tess_metadata_add(&headers, "content-type", types[choice >> 1 & 3]) != TESS_OK) abort();
  static const size_t pieces[] = {0, 1, 7, 4096};
  bool known = (choice & 8) != 0;
  tess_http_request request = {.method = "POST",
                               .path = paths[choice & 1],
                               .headers = &headers,
                               .content_length = known ? (int64_t)(size - 1) : -1};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  if (exchange != NULL) fuzz_exchange(exchange, data + 1, size - 1, pieces[choice >> 4 & 3], known);
  tess_metadata_cleanup(&headers);
  tess_server_free(server);
  tess_reflection_free(reflection);
  return 0;
}
