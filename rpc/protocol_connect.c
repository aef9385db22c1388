/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect on the server: what responses look like, unary and streaming.
 * Source: https://connectrpc.com/docs/protocol
 */
#include "rpc/call.h"
#include "rpc/error_json.h"
#include "rpc/format.h"
#include "rpc/metadata.h"

#include <string.h>

enum { HTTP_OK = 200, MAX_CONTENT_TYPE_BYTES = 128 };

static tess_code add_text(tess_metadata *metadata, const char *name, const char *value) {
  return tess__metadata_add_static(metadata, name, value, strlen(value));
}

/* content-type: prefix + codec */
static tess_code add_content_type(tess_call *call, const char *prefix, const char *proto) {
  if (call->codec == &tess_codec_proto) return add_text(call->head, "content-type", proto);
  char value[MAX_CONTENT_TYPE_BYTES];
  tess__format(value, sizeof value, "%s%s", prefix, call->codec->name);
  return tess_metadata_add(call->head, "content-type", value);
}

/* ---- unary ---- */

static tess_code unary_add_head(tess_call *call) {
  tess_metadata *head = call->head;
  const char *accepted = call->server->compressors.names;
  bool error = call->end_status->code != TESS_OK;
  head->max_bytes = 0; /* a limit for what the handler adds */
  if (call->http_status == 0)
    call->http_status = error ? tess_code_to_http(call->end_status->code) : HTTP_OK;
  tess_code code = error ? add_text(head, "content-type", "application/json")
                         : add_content_type(call, "application/", "application/proto");
  if (code == TESS_OK && call->compressed && !error)
    code = add_text(head, "content-encoding", call->response_compressor->name);
  if (code == TESS_OK && accepted[0] != '\0') {
    code = add_text(head, "accept-encoding", accepted);
    if (code == TESS_OK && call->is_get) code = add_text(head, "vary", "Accept-Encoding");
  }
  if (code == TESS_OK) code = tess__metadata_append_prefixed(head, "trailer-", call->end_trailers);
  return code;
}

static void unary_write_end(tess_call *call, tess__text *out) {
  if (call->end_status->code != TESS_OK) tess__error_json_write(out, call->end_status);
}

const tess__server_protocol tess__connect_unary = {
    .name = "connect", .add_head = unary_add_head, .write_end = unary_write_end};

/* ---- streams ---- */

static tess_code stream_add_head(tess_call *call) {
  tess_metadata *head = call->head;
  const char *accepted = call->server->compressors.names;
  head->max_bytes = 0;
  call->http_status = HTTP_OK;
  tess_code code = add_content_type(call, "application/connect+", "application/connect+proto");
  if (code == TESS_OK && call->response_compressor != NULL)
    code = add_text(head, "connect-content-encoding", call->response_compressor->name);
  if (code == TESS_OK && accepted[0] != '\0')
    code = add_text(head, "connect-accept-encoding", accepted);
  return code;
}

static void stream_write_end(tess_call *call, tess__text *out) {
  size_t start = out->size;
  if (tess__text_reserve(out, TESS__ENVELOPE_BYTES) == NULL) return;
  tess__end_stream_json_write(out, call->end_status, call->end_trailers);
  if (out->failed) return;
  tess__envelope_write(out->data + start, TESS__ENVELOPE_END_CONNECT,
                       (uint32_t)(out->size - start - TESS__ENVELOPE_BYTES));
}

const tess__server_protocol tess__connect_stream = {
    .name = "connect", .framed = true, .add_head = stream_add_head, .write_end = stream_write_end};
