/* SPDX-License-Identifier: Apache-2.0
 *
 * Tessera's client of the RPC benchmarks. Prints one number.
 *   bench-tessera-client URL sink BYTES SECONDS    GB/s of unary uploads
 *   bench-tessera-client URL count MESSAGES BYTES  messages/s of one server stream
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tessera/transport_curl.h>

#include "echo.rpc.pb-c.h"

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static tess_code sink(tess_client *client, size_t bytes, double seconds, tess_status *status) {
  Tessera__Bench__V1__EchoRequest request = TESSERA__BENCH__V1__ECHO_REQUEST__INIT;
  double start = 0;
  size_t calls = 0;
  request.payload = (ProtobufCBinaryData){bytes, malloc(bytes)};
  if (request.payload.data == NULL) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  memset(request.payload.data, 'x', bytes);
  for (bool warm = false;; warm = true) {
    Tessera__Bench__V1__SinkResponse response;
    tess_code code = tessera_bench_v1_echo_service_sink(client, NULL, &request, &response, status);
    if (code == TESS_OK && response.bytes != bytes) {
      code = tess_status_set(status, TESS_DATA_LOSS, "the server saw another size");
    }
    if (code != TESS_OK) {
      free(request.payload.data);
      return code;
    }
    if (!warm) {
      start = seconds_now();
      continue;
    }
    calls++;
    if (seconds_now() - start >= seconds) {
      break;
    }
  }
  printf("%.4f\n", (double)bytes * (double)calls / (seconds_now() - start) / 1e9);
  free(request.payload.data);
  return TESS_OK;
}

static tess_code count(tess_client *client, uint32_t messages, uint32_t bytes,
                       tess_status *status) {
  Tessera__Bench__V1__CountRequest request = TESSERA__BENCH__V1__COUNT_REQUEST__INIT;
  Tessera__Bench__V1__EchoResponse message;
  uint32_t seen = 0;
  tess_code code;
  request.messages = messages;
  request.payload_bytes = bytes;
  double start = seconds_now();
  tess_client_stream *stream =
      tessera_bench_v1_echo_service_count_open(client, NULL, &request, status);
  if (stream == NULL) {
    return status->code;
  }
  while ((code = tessera_bench_v1_echo_service_count_read(stream, &message, status)) == TESS_OK) {
    seen += message.payload.len == bytes;
    tessera_bench_v1_echo_service_count_response_clear(client, &message);
  }
  tessera_bench_v1_echo_service_count_close(stream);
  if (code == TESS_END && seen != messages) {
    return tess_status_set(status, TESS_DATA_LOSS, "%u of %u messages", seen, messages);
  }
  if (code == TESS_END) {
    printf("%.0f\n", messages / (seconds_now() - start));
  }
  return code == TESS_END ? TESS_OK : code;
}

int main(int argc, char **argv) {
  tess_status status = TESS_STATUS_INIT;
  if (argc != 5) {
    fprintf(stderr, "usage: bench-tessera-client URL sink BYTES SECONDS | count MESSAGES BYTES\n");
    return 2;
  }
  tess_transport *transport = tess_transport_curl_new(NULL, &status);
  const tess_client_options options = {.transport = transport, .base_url = argv[1]};
  tess_client *client = transport != NULL ? tess_client_new(&options, &status) : NULL;
  tess_code code = status.code;
  if (client != NULL) {
    code = strcmp(argv[2], "sink") == 0
               ? sink(client, strtoull(argv[3], NULL, 10), strtod(argv[4], NULL), &status)
               : count(client, (uint32_t)strtoul(argv[3], NULL, 10),
                       (uint32_t)strtoul(argv[4], NULL, 10), &status);
  }
  if (code != TESS_OK) {
    fprintf(stderr, "bench-tessera-client: %s: %s\n", tess_code_name(code),
            status.message != NULL ? status.message : "");
  }
  tess_client_free(client);
  if (transport != NULL) {
    transport->ops->free(transport);
  }
  tess_status_cleanup(&status);
  return code == TESS_OK ? 0 : 1;
}
