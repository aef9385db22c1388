/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host itself answers when the module cannot: an error in the protocol
 * of the request, chosen by its content type.
 *   Connect unary      HTTP status of the code, {"code": ..., "message": ...}
 *   Connect streaming  200 and an end-of-stream envelope with the error
 *   gRPC-Web           200 and grpc-status, grpc-message
 * Sources: https://connectrpc.com/docs/protocol,
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 *
 * Pure.
 */
#ifndef TESSERA_SERVER_ERROR_REPLY_H
#define TESSERA_SERVER_ERROR_REPLY_H

#include <tessera/metadata.h>
#include <tessera/status.h>

typedef enum tess_reply_style {
  TESS_REPLY_UNARY,
  TESS_REPLY_CONNECT_STREAM,
  TESS_REPLY_GRPC_WEB,
  TESS_REPLY_GRPC_WEB_TEXT
} tess_reply_style;

/* content_type NULL: unary. */
tess_reply_style tess_reply_style_of(const char *content_type);

#define TESS_ERROR_BODY_BYTES 640

typedef struct tess_error_reply {
  int http_status;
  const char *content_type; /* static, or the one given */
  bool grpc;                /* headers grpc-status and grpc-message belong to it */
  char grpc_status[4];
  char message[256]; /* plain ASCII */
  uint8_t body[TESS_ERROR_BODY_BYTES];
  size_t body_size;
} tess_error_reply;

/* content_type is that of the request, borrowed by the reply. The message is
 * cut to what fits; characters outside printable ASCII become '?'. */
void tess_error_reply_make(tess_error_reply *reply, tess_reply_style style,
                           const char *content_type, tess_code code, const char *message);
/* Adds its headers. */
tess_code tess_error_reply_headers(const tess_error_reply *reply, tess_metadata *headers);

/* The last frame of a stream that had begun: an error in its protocol. body_size
 * 0: there is no such frame, only closing the connection can tell. */
void tess_error_reply_make_end(tess_error_reply *reply, tess_reply_style style, tess_code code,
                               const char *message);

#endif
