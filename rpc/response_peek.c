/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/response_peek.h"

#include <string.h>

#include "rpc/envelope.h"
#include "rpc/error_json.h"
#include "rpc/grpc_status.h"

enum { HTTP_OK = 200, MAX_HEAD_BYTES = 64 << 10 };

void tess__peek_init(tess__peek *peek) {
  memset(peek, 0, sizeof *peek);
  tess_metadata_init(&peek->headers, NULL, MAX_HEAD_BYTES);
  tess__text_init(&peek->body, NULL, TESS__PEEK_MAX_BYTES);
}

void tess__peek_cleanup(tess__peek *peek) {
  tess_metadata_cleanup(&peek->headers);
  tess__text_cleanup(&peek->body);
}

static bool is_type(const tess_metadata *headers, const char *prefix) {
  const char *type = tess_metadata_get(headers, "content-type");
  return type != NULL && strncmp(type, prefix, strlen(prefix)) == 0;
}

static bool is_grpc_web(const tess_metadata *headers) {
  return is_type(headers, "application/grpc-web") && !is_type(headers, "application/grpc-web-text");
}

bool tess__peek_head(tess__peek *peek, int status, const tess_metadata *headers,
                     int64_t content_length) {
  peek->has_head = true;
  peek->status = status;
  peek->content_length = content_length;
  /* A head that cannot be kept is handed on by the caller, who still has it. */
  if (tess_metadata_append(&peek->headers, headers) != TESS_OK) return peek->decided = true;
  if (status != HTTP_OK) return false;
  if (is_grpc_web(headers)) {
    peek->framed = tess_metadata_find(headers, "grpc-status", 0) == NULL;
    return false;
  }
  peek->framed = is_type(headers, "application/connect+");
  return peek->decided = !peek->framed;
}

/* Does a first frame like this end the response? */
static bool ends(uint8_t flags) {
  if ((flags & TESS__ENVELOPE_COMPRESSED) != 0) return false; /* not to be read here */
  return (flags & (TESS__ENVELOPE_END_CONNECT | TESS__ENVELOPE_END_GRPC_WEB)) != 0;
}

bool tess__peek_body(tess__peek *peek, const void *data, size_t size) {
  if (peek->decided) return true;
  tess__text_add(&peek->body, data, size);
  if (peek->body.failed) return peek->decided = true;
  if (peek->framed && peek->body.size > 0 && !ends(peek->body.data[0])) peek->decided = true;
  return peek->decided;
}

static tess_code code_of_trailers(tess_metadata *trailers, tess__pushback *pushback,
                                  tess_status *status) {
  *pushback = tess__pushback_read(trailers);
  return tess__grpc_status_take(trailers, status) ? status->code : TESS_INTERNAL;
}

/* The one frame of a response without messages. */
static tess_code code_of_frame(const tess__peek *peek, tess__pushback *pushback,
                               tess_status *status) {
  if (peek->body.size < TESS__ENVELOPE_BYTES) return TESS_INTERNAL;
  tess__envelope envelope = tess__envelope_read(peek->body.data);
  if (envelope.size != peek->body.size - TESS__ENVELOPE_BYTES) return TESS_INTERNAL;
  tess_slice payload = {peek->body.data + TESS__ENVELOPE_BYTES, envelope.size};
  tess_metadata trailers;
  tess_metadata_init(&trailers, NULL, TESS__PEEK_MAX_BYTES);
  tess_code code = TESS_INTERNAL;
  if ((envelope.flags & TESS__ENVELOPE_END_GRPC_WEB) != 0) {
    if (tess__grpc_trailers_read(payload, &trailers) == TESS_OK)
      code = code_of_trailers(&trailers, pushback, status);
  } else if (tess__end_stream_json_read(payload, status, &trailers)) {
    code = status->code;
    *pushback = tess__pushback_read(&trailers);
  }
  tess_metadata_cleanup(&trailers);
  return code;
}

tess_code tess__peek_end(const tess__peek *peek, tess__pushback *pushback, tess_status *status) {
  *pushback = tess__pushback_read(&peek->headers);
  if (!peek->has_head) return TESS_INTERNAL;
  tess_code code = tess_code_from_http(peek->status);
  if (peek->decided) return peek->status == HTTP_OK ? TESS_OK : code;
  if (peek->status == HTTP_OK) {
    tess__pushback said = {0};
    if (peek->framed) {
      code = code_of_frame(peek, &said, status);
    } else { /* gRPC-Web's answer without a body */
      tess_metadata trailers;
      tess_metadata_init(&trailers, NULL, MAX_HEAD_BYTES);
      code = TESS_INTERNAL;
      if (tess_metadata_append(&trailers, &peek->headers) == TESS_OK)
        code = code_of_trailers(&trailers, &said, status);
      tess_metadata_cleanup(&trailers);
    }
    if (said.said) *pushback = said;
    return code;
  }
  if (is_type(&peek->headers, "application/json") &&
      tess_metadata_find(&peek->headers, "content-encoding", 0) == NULL &&
      tess__error_json_read((tess_slice){peek->body.data, peek->body.size}, code, status))
    code = status->code;
  return code;
}
