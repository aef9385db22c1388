/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect's GET: the input is the query, as it stands behind the '?'.
 */
#include "tests/fuzz/echo_server.h"

#include <tessera/json.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 65536) return 0;
  char *query = malloc(size + 1);
  if (query == NULL) return 0;
  memcpy(query, data, size);
  query[size] = '\0';
  tess_server *server = fuzz_server();
  if (tess_server_add_codec(server, &tess_codec_json.codec) != TESS_OK) abort();
  tess_http_handler handler = tess_server_http_handler(server);
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  tess_http_request request = {.method = "GET",
                               .path = "/tessera.test.v1.EchoService/Get",
                               .query = query,
                               .headers = &headers};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  if (exchange != NULL) fuzz_exchange(exchange, NULL, 0, 0, true);
  tess_metadata_cleanup(&headers);
  tess_server_free(server);
  free(query);
  return 0;
}
