/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC-Web on the server: what responses look like, binary and base64 text. The
 * status always travels in the trailers frame of the body.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
#include "rpc/call.h"
#include "rpc/format.h"
#include "rpc/grpc_status.h"
#include "rpc/metadata.h"

#include <string.h>

enum { HTTP_OK = 200, MAX_CONTENT_TYPE_BYTES = 128 };

static tess_code add_head(tess_call *call) {
  tess_metadata *head = call->head;
  const char *accepted = call->server->compressors.names;
  char content_type[MAX_CONTENT_TYPE_BYTES];
  head->max_bytes = 0; /* a limit for what the handler adds */
  call->http_status = HTTP_OK;
  const char *codec = call->codec != NULL ? call->codec->name : "proto";
  tess__format(content_type, sizeof content_type, "application/grpc-web%s+%s",
               call->protocol->text ? "-text" : "", codec);
  tess_code code = tess_metadata_add(head, "content-type", content_type);
  if (code == TESS_OK && call->response_compressor != NULL)
    code = tess__metadata_add_static(head, "grpc-encoding", call->response_compressor->name,
                                     strlen(call->response_compressor->name));
  if (code == TESS_OK && accepted[0] != '\0')
    code = tess__metadata_add_static(head, "grpc-accept-encoding", accepted, strlen(accepted));
  return code;
}

static void write_end(tess_call *call, tess__text *out) {
  size_t start = out->size;
  if (tess__text_reserve(out, TESS__ENVELOPE_BYTES) == NULL) return;
  tess__grpc_trailers_write(out, call->end_status, call->end_trailers);
  if (out->failed) return;
  tess__envelope_write(out->data + start, TESS__ENVELOPE_END_GRPC_WEB,
                       (uint32_t)(out->size - start - TESS__ENVELOPE_BYTES));
}

const tess__server_protocol tess__grpc_web = {
    .name = "grpc-web", .framed = true, .add_head = add_head, .write_end = write_end};

const tess__server_protocol tess__grpc_web_text = {
    .name = "grpc-web", .framed = true, .text = true, .add_head = add_head, .write_end = write_end};
