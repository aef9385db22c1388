/* SPDX-License-Identifier: Apache-2.0
 *
 * The server under test: reads one ServerCompatRequest, says where it listens,
 * and serves until SIGTERM.
 */
#include <tessera/compressors.h>
#include <tessera/http_server.h>

#include "tests/conformance/codecs.h"
#include "tests/conformance/frames.h"
#include "tests/conformance/responder.h"

#include "connectrpc/conformance/v1/server_compat.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(void *ctx, const char *line) {
  (void)ctx;
  fprintf(stderr, "conformance-server: %s\n", line);
}

static tess_server *make_server(size_t message_receive_limit) {
  tess_server_options options = {.max_request_bytes = message_receive_limit,
                                 .min_compress_bytes = 1};
  static const tess_compressor *const compressors[] = {
      &tess_compressor_gzip, &tess_compressor_br, &tess_compressor_zstd, &tess_compressor_deflate,
      &tess_compressor_snappy};
  tess_server *server = tess_server_new(&options);
  bool ok = server != NULL && responder_register(server) == TESS_OK &&
            tess_server_add_codec(server, conf_json_codec()) == TESS_OK;
  for (size_t i = 0; ok && i < sizeof compressors / sizeof compressors[0]; i++)
    ok = tess_server_add_compressor(server, compressors[i]) == TESS_OK;
  return ok ? server : NULL;
}

/* PEM as text; NULL where there is none. */
static char *pem_text(const ProtobufCBinaryData *pem) {
  return pem->len > 0 ? strndup((const char *)pem->data, pem->len) : NULL;
}

int main(void) {
  tess_slice frame;
  if (!frame_read(&frame)) return 2;
  Connectrpc__Conformance__V1__ServerCompatRequest *request =
      connectrpc__conformance__v1__server_compat_request__unpack(NULL, frame.size, frame.data);
  free((void *)(uintptr_t)frame.data);
  if (request == NULL) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  signal(SIGPIPE, SIG_IGN);

  tess_server *server = make_server(request->message_receive_limit);
  tess_status status = TESS_STATUS_INIT;
  tess_http_server_options options = {.listen = "127.0.0.1:0", .log = print_line};
  char *certificate = NULL, *key = NULL, *client_ca = pem_text(&request->client_tls_cert);
  if (request->use_tls && request->server_creds != NULL) {
    certificate = pem_text(&request->server_creds->cert);
    key = pem_text(&request->server_creds->key);
  }
  const tess_tls_options tls = {.certificate_pem = certificate,
                                .key_pem = key,
                                .ca_pem = client_ca,
                                .require_client_certificate = client_ca != NULL};
  if (request->use_tls) options.tls = &tls;
  if (server != NULL) options.handler = tess_server_http_handler(server);
  tess_http_server *http = server != NULL ? tess_http_server_start(&options, &status) : NULL;
  if (http == NULL) {
    fprintf(stderr, "conformance-server: cannot start: %s\n",
            status.message != NULL ? status.message : "out of memory");
    return 1;
  }
  Connectrpc__Conformance__V1__ServerCompatResponse response;
  connectrpc__conformance__v1__server_compat_response__init(&response);
  char host[] = "127.0.0.1";
  response.host = host;
  response.port = (uint32_t)strtoul(strrchr(tess_http_server_url(http), ':') + 1, NULL, 10);
  if (request->use_tls) response.pem_cert = request->server_creds->cert;
  size_t size = protobuf_c_message_get_packed_size(&response.base);
  uint8_t *bytes = malloc(size + 1);
  if (bytes == NULL) return 1;
  protobuf_c_message_pack(&response.base, bytes);
  frame_write((tess_slice){bytes, size});
  free(bytes);

  int number;
  sigwait(&signals, &number);
  tess_http_server_drain(http, 1000);
  tess_http_server_free(http);
  tess_server_free(server);
  free(certificate);
  free(key);
  free(client_ca);
  protobuf_c_message_free_unpacked(&request->base, NULL);
  return 0;
}
