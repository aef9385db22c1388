/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed bodies on their way through the library, with limits. The first byte
 * chooses the coding and who receives it: a server (unary Connect, a Connect
 * stream, gRPC-Web, its text form), or the compressor alone, which then also packs
 * the input and unpacks it again. The rest is what was sent as compressed. No
 * result is larger than its limit.
 */
#include "tests/fuzz/echo_server.h"

#include "rpc/base64.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tess_compressor *const codings[] = {&tess_compressor_gzip, &tess_compressor_deflate,
                                                 &tess_compressor_br, &tess_compressor_zstd,
                                                 &tess_compressor_snappy};
enum { CODINGS = sizeof codings / sizeof codings[0], MESSAGE_LIMIT = 4096 };

/* ---- the compressor alone ---- */

static void direct(const tess_compressor *coding, tess_slice data) {
  tess_chunk plain, packed, again;
  tess_code code = coding->decompress(coding, data, MESSAGE_LIMIT, NULL, &plain, NULL);
  if (code == TESS_OK) {
    if (plain.size > MESSAGE_LIMIT) abort();
    tess_chunk_release(&plain);
  } else if (code != TESS_RESOURCE_EXHAUSTED && code != TESS_INVALID_ARGUMENT) {
    abort();
  }
  if (coding->compress(coding, &data, 1, 0, NULL, &packed, NULL) != TESS_OK) abort();
  if (coding->decompress(coding, (tess_slice){packed.data, packed.size},
                         data.size > 0 ? data.size : 1, NULL, &again, NULL) != TESS_OK ||
      again.size != data.size || (data.size != 0 && memcmp(again.data, data.data, data.size) != 0))
    abort();
  tess_chunk_release(&packed);
  tess_chunk_release(&again);
}

/* ---- a server ---- */

static void to_server(const tess_compressor *coding, int way, const uint8_t *body, size_t size) {
  static const struct {
    const char *type, *encoding, *path;
  } ways[] = {{"application/proto", "content-encoding", "/tessera.test.v1.EchoService/Echo"},
              {"application/connect+proto", "connect-content-encoding",
               "/tessera.test.v1.EchoService/Repeat"},
              {"application/grpc-web+proto", "grpc-encoding", "/tessera.test.v1.EchoService/Chat"},
              {"application/grpc-web-text", "grpc-encoding", "/tessera.test.v1.EchoService/Echo"}};
  tess_server *server = fuzz_server();
  for (int i = 1; i < CODINGS; i++) /* gzip is there */
    if (tess_server_add_compressor(server, codings[i]) != TESS_OK) abort();
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_add(&headers, "content-type", ways[way].type);
  tess_metadata_add(&headers, ways[way].encoding, coding->name);
  /* In envelopes: one that says that it is compressed. */
  uint8_t *framed = malloc(size + 5), *text = NULL;
  if (framed == NULL) abort();
  framed[0] = 1;
  for (int i = 0; i < 4; i++)
    framed[1 + i] = (uint8_t)(size >> (24 - 8 * i));
  memcpy(framed + 5, body, size);
  size_t framed_size = size + 5;
  if (way == 0) {
    body = framed + 5;
    framed_size = size;
  } else if (way == 3) {
    size_t text_size = tess__base64_encoded_size(framed_size);
    text = malloc(text_size + 3);
    if (text == NULL) abort();
    tess__base64_encode(TESS__BASE64_STANDARD, framed, framed_size, (char *)text);
    while (text_size % 4 != 0)
      text[text_size++] = '=';
    framed_size = text_size;
    body = text;
  } else {
    body = framed;
  }
  tess_http_handler handler = tess_server_http_handler(server);
  tess_http_request request = {.method = "POST",
                               .path = ways[way].path,
                               .headers = &headers,
                               .content_length = (int64_t)framed_size};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  if (exchange != NULL) fuzz_exchange(exchange, body, framed_size, 1 + size % 61, true);
  tess_metadata_cleanup(&headers);
  tess_server_free(server);
  free(framed);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > 65536) return 0;
  const tess_compressor *coding = codings[data[0] % CODINGS];
  int way = data[0] / CODINGS % 5;
  if (way == 4)
    direct(coding, (tess_slice){data + 1, size - 1});
  else
    to_server(coding, way, data + 1, size - 1);
  return 0;
}
