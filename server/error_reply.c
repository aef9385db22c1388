/* SPDX-License-Identifier: Apache-2.0 */
#include "server/error_reply.h"

#include <stdio.h>
#include <string.h>

tess_reply_style tess_reply_style_of(const char *content_type) {
  static const char text[] = "application/grpc-web-text", web[] = "application/grpc-web";
  static const char stream[] = "application/connect+";
  if (content_type == NULL) return TESS_REPLY_UNARY;
  if (strncmp(content_type, text, sizeof text - 1) == 0) return TESS_REPLY_GRPC_WEB_TEXT;
  if (strncmp(content_type, web, sizeof web - 1) == 0) return TESS_REPLY_GRPC_WEB;
  if (strncmp(content_type, stream, sizeof stream - 1) == 0) return TESS_REPLY_CONNECT_STREAM;
  return TESS_REPLY_UNARY;
}

/* Plain ASCII that needs no escape in JSON nor in grpc-message. */
static void set_message(tess_error_reply *reply, const char *message) {
  size_t size = 0;
  for (; message != NULL && message[size] != '\0' && size < sizeof reply->message - 1; size++) {
    char c = message[size];
    if (c == '"') c = '\'';
    reply->message[size] = (char)(c >= 0x20 && c < 0x7f && c != '\\' && c != '%' ? c : '?');
  }
  reply->message[size] = '\0';
}

/* The five bytes before a message of a stream. */
static void envelope(uint8_t *to, uint8_t flags, size_t size) {
  to[0] = flags;
  for (int i = 0; i < 4; i++)
    to[1 + i] = (uint8_t)(size >> (24 - 8 * i));
}

void tess_error_reply_make_end(tess_error_reply *reply, tess_reply_style style, tess_code code,
                               const char *message) {
  char text[TESS_ERROR_BODY_BYTES - 5];
  int size = 0;
  uint8_t flags = 0;
  set_message(reply, message);
  if (style == TESS_REPLY_CONNECT_STREAM) {
    size = snprintf(text, sizeof text, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
                    tess_code_name(code), reply->message);
    flags = 0x02;
  } else if (style == TESS_REPLY_GRPC_WEB) {
    size = snprintf(text, sizeof text, "grpc-status: %d\r\ngrpc-message: %s\r\n", (int)code,
                    reply->message);
    flags = 0x80;
  }
  reply->body_size = 0;
  if (size <= 0) return;
  envelope(reply->body, flags, (size_t)size);
  memcpy(reply->body + 5, text, (size_t)size);
  reply->body_size = (size_t)size + 5;
}

void tess_error_reply_make(tess_error_reply *reply, tess_reply_style style,
                           const char *content_type, tess_code code, const char *message) {
  memset(reply, 0, sizeof *reply);
  reply->http_status = 200;
  reply->content_type = content_type;
  switch (style) {
    case TESS_REPLY_CONNECT_STREAM:
      tess_error_reply_make_end(reply, style, code, message);
      break;
    case TESS_REPLY_GRPC_WEB:
    case TESS_REPLY_GRPC_WEB_TEXT:
      set_message(reply, message);
      reply->grpc = true;
      snprintf(reply->grpc_status, sizeof reply->grpc_status, "%d", (int)code & 0xff);
      break;
    case TESS_REPLY_UNARY:
      set_message(reply, message);
      reply->http_status = tess_code_to_http(code);
      reply->content_type = "application/json";
      reply->body_size = (size_t)snprintf((char *)reply->body, sizeof reply->body,
                                          "{\"code\":\"%s\",\"message\":\"%s\"}",
                                          tess_code_name(code), reply->message);
      break;
  }
}

tess_code tess_error_reply_headers(const tess_error_reply *reply, tess_metadata *headers) {
  tess_code code = tess_metadata_add(headers, "content-type", reply->content_type);
  if (code == TESS_OK && reply->grpc) {
    code = tess_metadata_add(headers, "grpc-status", reply->grpc_status);
    if (code == TESS_OK) code = tess_metadata_add(headers, "grpc-message", reply->message);
  }
  return code;
}
