/* SPDX-License-Identifier: Apache-2.0
 *
 * From the head of a request to a call: route, protocol by content type, codec,
 * compression, deadline, admission, interceptors. Each header is looked at once.
 * Sources: https://connectrpc.com/docs/protocol,
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
#include "rpc/base64.h"
#include "rpc/call.h"
#include "rpc/deadline.h"
#include "rpc/format.h"
#include "rpc/memory.h"
#include "rpc/metadata.h"
#include "rpc/percent.h"

#include <string.h>

enum { HTTP_NOT_FOUND = 404, HTTP_METHOD_NOT_ALLOWED = 405, HTTP_UNSUPPORTED_MEDIA_TYPE = 415 };

/* The headers that steer a call; empty where absent. */
typedef struct request_head {
  tess_slice content_type;
  tess_slice content_encoding;
  tess_slice connect_content_encoding;
  tess_slice grpc_encoding;
  tess_slice accept_encoding;
  tess_slice connect_accept_encoding;
  tess_slice grpc_accept_encoding;
  tess_slice connect_protocol_version;
  tess_slice connect_timeout;
  tess_slice grpc_timeout;
} request_head;

static void read_head(const tess_metadata *headers, request_head *head) {
  static const struct {
    const char *name;
    size_t size;
    size_t offset;
  } known[] = {
#define ROW(text, field) {text, sizeof text - 1, offsetof(request_head, field)}
      ROW("content-type", content_type),
      ROW("content-encoding", content_encoding),
      ROW("connect-content-encoding", connect_content_encoding),
      ROW("grpc-encoding", grpc_encoding),
      ROW("accept-encoding", accept_encoding),
      ROW("connect-accept-encoding", connect_accept_encoding),
      ROW("grpc-accept-encoding", grpc_accept_encoding),
      ROW("connect-protocol-version", connect_protocol_version),
      ROW("connect-timeout-ms", connect_timeout),
      ROW("grpc-timeout", grpc_timeout),
#undef ROW
  };
  for (size_t i = 0; i < headers->count; i++) {
    const tess_metadata_entry *entry = &headers->entries[i];
    char first = entry->name[0];
    if (first != 'c' && first != 'g' && first != 'a') continue;
    size_t size = strlen(entry->name);
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
      if (known[k].size != size || memcmp(known[k].name, entry->name, size) != 0) continue;
      tess_slice *value = (tess_slice *)(void *)((char *)head + known[k].offset);
      if (value->data == NULL) *value = (tess_slice){entry->value, entry->value_size};
      break;
    }
  }
}

/* "type/subtype" without parameters. */
static tess_slice media_type(tess_slice value) {
  const char *text = value.data;
  size_t size = 0;
  while (size < value.size && text[size] != ';')
    size++;
  while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
    size--;
  return (tess_slice){text, size};
}

/* If `type` begins with the prefix, cuts it off. */
static bool cut_prefix(tess_slice *type, const char *prefix) {
  size_t size = strlen(prefix);
  if (type->size < size) return false;
  if (!tess__ascii_equal(type->data, size, prefix)) return false;
  *type = (tess_slice){(const char *)type->data + size, type->size - size};
  return true;
}

/* Protocol and codec of a content type; false: not one of ours. */
static bool choose_protocol(tess_call *call, tess_slice content_type) {
  tess_slice rest = media_type(content_type);
  if (!cut_prefix(&rest, "application/")) return false;
  bool unary = call->method->stream_kind == TESS_UNARY;
  if (cut_prefix(&rest, "grpc-web")) {
    call->protocol = cut_prefix(&rest, "-text") ? &tess__grpc_web_text : &tess__grpc_web;
    if (rest.size == 0) rest = (tess_slice){"+proto", 6};
    if (!cut_prefix(&rest, "+")) return false;
  } else if (cut_prefix(&rest, "connect+")) {
    if (unary) return false;
    call->protocol = &tess__connect_stream;
  } else {
    if (!unary) return false;
    call->protocol = &tess__connect_unary;
  }
  call->codec = tess__server_codec(call->server, rest.data, rest.size);
  return call->codec != NULL;
}

/* ---- refusals without a protocol ---- */

/* An answer of status and headers alone. */
static void answer_plain(tess_call *call, int http_status, const char *name, const char *value) {
  call->protocol = NULL;
  call->http_status = http_status;
  call->refused = true;
  /* Without memory the answer goes out without the header. */
  if (name != NULL) (void)tess_metadata_add(&call->response_headers, name, value);
}

/* The content types of a method, for Accept-Post. */
static void answer_unsupported_type(tess_call *call) {
  tess__text list;
  tess__text_init(&list, &call->arena_allocator, 0);
  bool unary = call->method->stream_kind == TESS_UNARY;
  for (size_t i = 0; i < call->server->codec_count; i++) {
    tess__text_add_string(&list, unary ? "application/" : "application/connect+");
    tess__text_add_string(&list, call->server->codecs[i]->name);
    tess__text_add_string(&list, ", application/grpc-web+");
    tess__text_add_string(&list, call->server->codecs[i]->name);
    tess__text_add_string(&list, ", ");
  }
  tess__text_add_string(&list, "application/grpc-web, application/grpc-web-text");
  tess__text_add_char(&list, '\0');
  answer_plain(call, HTTP_UNSUPPORTED_MEDIA_TYPE, "accept-post",
               list.failed ? "application/proto" : (const char *)list.data);
}

/* ---- negotiation ---- */

static tess_code negotiate_compression(tess_call *call, tess_slice encoding, tess_slice accept) {
  const tess__compressors *known = &call->server->compressors;
  tess_code code =
      tess__compressors_find(known, encoding.data, encoding.size, &call->request_compressor);
  if (code != TESS_OK)
    return tess_status_set(&call->status, code, "unknown compression \"%.*s\": supported are %s%s",
                           (int)encoding.size, (const char *)encoding.data, known->names,
                           known->count != 0 ? ",identity" : "identity");
  /* A header that is there and empty accepts none. */
  call->response_compressor = accept.data != NULL
                                  ? tess__compressors_choose(known, accept.data, accept.size)
                                  : call->request_compressor;
  return TESS_OK;
}

static tess_code negotiate_deadline(tess_call *call, tess_slice connect, tess_slice grpc,
                                    int64_t now_ms) {
  const tess_server_options *options = &call->server->options;
  bool is_connect =
      call->protocol == &tess__connect_unary || call->protocol == &tess__connect_stream;
  tess_slice text = is_connect ? connect : grpc;
  call->timeout_ms = -1;
  if (text.data != NULL) {
    bool ok = is_connect ? tess__connect_timeout_parse(text.data, text.size, &call->timeout_ms)
                         : tess__grpc_timeout_parse(text.data, text.size, &call->timeout_ms);
    if (!ok) {
      call->timeout_ms = -1;
      return tess_status_set(&call->status, TESS_INVALID_ARGUMENT, "invalid timeout \"%.*s\"",
                             (int)text.size, (const char *)text.data);
    }
  }
  int64_t timeout_ms = call->timeout_ms;
  if (timeout_ms < 0 && options->default_timeout_ms > 0) timeout_ms = options->default_timeout_ms;
  if (options->max_timeout_ms > 0 && (timeout_ms < 0 || timeout_ms > options->max_timeout_ms))
    timeout_ms = options->max_timeout_ms;
  call->deadline_ms = tess__deadline_after(now_ms, timeout_ms);
  return TESS_OK;
}

static tess_code check_version(tess_call *call, tess_slice version, const char *expected) {
  if (version.data == NULL) {
    if (!call->server->options.require_protocol_version) return TESS_OK;
    return tess_status_set(&call->status, TESS_INVALID_ARGUMENT,
                           "missing Connect protocol version: set it to \"%s\"", expected);
  }
  if (version.size == strlen(expected) && memcmp(version.data, expected, version.size) == 0)
    return TESS_OK;
  return tess_status_set(&call->status, TESS_INVALID_ARGUMENT,
                         "unknown Connect protocol version \"%.*s\": use \"%s\"", (int)version.size,
                         (const char *)version.data, expected);
}

static tess_code negotiate(tess_call *call, const request_head *head, int64_t now_ms) {
  tess_code code;
  if (call->protocol == &tess__connect_unary)
    code = negotiate_compression(call, head->content_encoding, head->accept_encoding);
  else if (call->protocol == &tess__connect_stream)
    code =
        negotiate_compression(call, head->connect_content_encoding, head->connect_accept_encoding);
  else
    code = negotiate_compression(call, head->grpc_encoding, head->grpc_accept_encoding);
  if (code == TESS_OK)
    code = negotiate_deadline(call, head->connect_timeout, head->grpc_timeout, now_ms);
  if (code == TESS_OK &&
      (call->protocol == &tess__connect_unary || call->protocol == &tess__connect_stream))
    code = check_version(call, head->connect_protocol_version, "1");
  return code;
}

/* ---- GET ---- */

/* The message of a query, as a body that has been read. The text may be longer
 * than the message by escapes and base64; what is decoded is held to the limit. */
static void take_query_message(tess_call *call, const char *query) {
  tess_slice field, base64;
  if (!tess__query_field(query, "message", &field)) {
    tess__call_refuse(call, TESS_INVALID_ARGUMENT, "the query lacks \"message\"");
    return;
  }
  uint8_t *data = tess__block_new(call->server->allocator, field.size + 3);
  if (data == NULL) {
    tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return;
  }
  tess_chunk chunk = {data, 0, tess__block_free, data};
  if (field.size != 0) memcpy(data, field.data, field.size);
  chunk.size = tess__percent_decode((char *)data, field.size, true);
  if (tess__query_field(query, "base64", &base64) && base64.size == 1 &&
      *(const char *)base64.data == '1' &&
      !tess__base64_decode(TESS__BASE64_URL, (const char *)data, chunk.size, data, &chunk.size)) {
    tess_chunk_release(&chunk);
    tess__call_refuse(call, TESS_INVALID_ARGUMENT, "the message is not base64");
    return;
  }
  tess__receiver_give(call, &chunk);
}

/* A Connect GET. False: not acceptable at all (415). */
static bool open_get(tess_call *call, const char *query, const request_head *head, int64_t now_ms) {
  tess_slice encoding = {0}, compression = {0}, version = {0};
  call->is_get = true;
  call->protocol = &tess__connect_unary;
  if (query != NULL) call->query = tess_arena_strndup(&call->arena, query, strlen(query));
  if (!tess__query_field(query, "encoding", &encoding)) return false;
  call->codec = tess__server_codec(call->server, encoding.data, encoding.size);
  if (call->codec == NULL) return false;
  tess__query_field(query, "compression", &compression);
  tess__query_field(query, "connect", &version);
  tess_code code = negotiate_compression(call, compression, head->accept_encoding);
  if (code == TESS_OK)
    code = negotiate_deadline(call, head->connect_timeout, (tess_slice){0}, now_ms);
  if (code == TESS_OK) check_version(call, version, "v1");
  return true;
}

/* ---- opening ---- */

/* Runs before() of every interceptor until one refuses. */
static void run_interceptors(tess_call *call) {
  for (size_t i = 0; i < call->server->interceptor_count; i++) {
    const tess_server_interceptor *interceptor = &call->server->interceptors[i];
    tess_code code =
        interceptor->before != NULL ? interceptor->before(interceptor->ctx, call) : TESS_OK;
    if (code != TESS_OK) {
      tess__call_set_code(call, code);
      call->refused = true;
      return;
    }
    call->interceptors_entered++;
  }
}

static bool is_method(const tess_http_request *request, const char *name) {
  return strcmp(request->method, name) == 0;
}

/* Route, protocol and negotiation. False: the answer is settled. */
static bool accept_head(tess_call *call, const tess_http_request *request, int64_t now_ms) {
  call->route = tess__router_find(&call->server->router, request->path);
  if (call->route == NULL) {
    /* Connect's errors are for Connect's clients, and for people. */
    const char *type = tess_metadata_get(request->headers, "content-type");
    if (type != NULL && strncmp(type, "application/grpc", 16) == 0) {
      answer_plain(call, HTTP_NOT_FOUND, NULL, NULL);
      return false;
    }
    call->protocol = &tess__connect_unary;
    call->http_status = HTTP_NOT_FOUND;
    tess_status_set(&call->status, TESS_UNIMPLEMENTED, "no such method: %.512s", request->path);
    call->refused = true;
    return false;
  }
  call->method = call->route->method;
  bool get_allowed =
      call->method->idempotency == TESS_NO_SIDE_EFFECTS && call->method->stream_kind == TESS_UNARY;
  bool get = is_method(request, "GET");
  if (!is_method(request, "POST") && !(get && get_allowed)) {
    answer_plain(call, HTTP_METHOD_NOT_ALLOWED, "allow", get_allowed ? "GET, POST" : "POST");
    return false;
  }
  request_head head = {0};
  read_head(request->headers, &head);
  if (get ? !open_get(call, request->query, &head, now_ms)
          : !choose_protocol(call, head.content_type)) {
    answer_unsupported_type(call);
    return false;
  }
  if (!get) negotiate(call, &head, now_ms);
  call->refused = call->status.code != TESS_OK;
  return true;
}

static void open_call(tess_call *call, const tess_http_request *request, int64_t now_ms) {
  if (!accept_head(call, request, now_ms)) return;
  if (tess__server_begin_call(call->server) != TESS_OK) {
    tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "too many calls: try again later");
    return;
  }
  call->begun = true;
  if (call->refused) return;
  if (tess_metadata_append(&call->request_headers, request->headers) != TESS_OK) {
    tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED,
                      "out of memory, or too many values in one header");
    return;
  }
  run_interceptors(call);
  if (call->refused) return;
  if (call->is_get)
    take_query_message(call, request->query);
  else
    tess__receiver_begin(call, request->content_length);
}

tess_http_exchange *tess__call_open(void *ctx, const tess_http_request *request, tess_waker waker,
                                    int64_t now_ms) {
  tess_server *server = ctx;
  tess_call *call = tess__server_take_block(server);
  if (call == NULL) return NULL;
  memset(call, 0, sizeof *call);
  call->exchange.ops = &tess__exchange_ops;
  call->server = server;
  call->waker = waker;
  call->outlook = request->outlook;
  call->deadline_ms = TESS_NEVER_MS;
  call->timeout_ms = -1;
  call->refs = 1;
  call->open = true;
  call->has_body = request->content_length != 0;
  if (!tess__lock_init(&call->lock)) {
    tess__server_give_block(server, call, NULL);
    return NULL;
  }
  /* What is decoded, the body and the reply's small parts. */
  tess__arena_init_with(&call->arena, server->allocator, 0, call + 1,
                        TESS__CALL_BLOCK_BYTES - sizeof *call);
  tess__arena_allocator(&call->arena, &call->arena_allocator);
  tess_arena_init(&call->message_arena, server->allocator, 0);
  tess_metadata_init(&call->request_headers, &call->arena_allocator, 0);
  tess_metadata_init(&call->response_headers, &call->arena_allocator,
                     server->options.max_metadata_bytes);
  tess_metadata_init(&call->response_trailers, &call->arena_allocator,
                     server->options.max_metadata_bytes);
  tess_status_init(&call->status, &call->arena_allocator);
  tess_segments_init(&call->out, &call->arena_allocator, 0);
  tess_segments_init(&call->scratch, server->allocator, server->options.max_response_bytes);
  tess__text_init(&call->writing, server->allocator, 0);
  tess__text_init(&call->queue, server->allocator, 0);
  tess_metadata_init(&call->over_headers, server->allocator, 0);
  tess_metadata_init(&call->over_trailers, server->allocator, 0);
  tess_status_init(&call->over_status, server->allocator);
  if (request->peer != NULL)
    call->peer = tess_arena_strndup(&call->arena, request->peer, strlen(request->peer));
  if (request->client_subject != NULL)
    call->client_subject =
        tess_arena_strndup(&call->arena, request->client_subject, strlen(request->client_subject));
  open_call(call, request, now_ms);
  return &call->exchange;
}
