/* SPDX-License-Identifier: Apache-2.0
 *
 * The client object; heads of requests and of responses.
 * Sources: https://connectrpc.com/docs/protocol,
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
#include "rpc/client.h"

#include "rpc/deadline.h"
#include "rpc/envelope.h"
#include "rpc/format.h"
#include "rpc/grpc_status.h"
#include "rpc/memory.h"
#include "rpc/metadata.h"
#include "rpc/status.h"

#include <tessera/version.h>

#include <string.h>

enum {
  HTTP_OK = 200,
  DEFAULT_MAX_RESPONSE_BYTES = 4 * 1024 * 1024,
  DEFAULT_MAX_METADATA_BYTES = 64 * 1024,
  DEFAULT_STREAM_WINDOW_BYTES = 1024 * 1024,
  ERROR_BYTES = 8 * 1024, /* of an error, beside metadata */
  DEFAULT_MIN_COMPRESS_BYTES = 1024,
  MAX_CONTENT_TYPE_BYTES = 128,
};

/* ---- the object ---- */

static void fill_defaults(tess_client_options *options) {
  if (options->max_response_bytes == 0) options->max_response_bytes = DEFAULT_MAX_RESPONSE_BYTES;
  if (options->max_metadata_bytes == 0) options->max_metadata_bytes = DEFAULT_MAX_METADATA_BYTES;
  if (options->stream_window_bytes == 0) options->stream_window_bytes = DEFAULT_STREAM_WINDOW_BYTES;
  if (options->min_compress_bytes == 0) options->min_compress_bytes = DEFAULT_MIN_COMPRESS_BYTES;
  if (options->codec == NULL) options->codec = &tess_codec_proto;
}

static bool is_http_url(const char *url) {
  size_t skip = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
  if (skip == 0 || url[skip] == '\0' || url[skip] == '/') return false;
  for (const char *c = url; *c != '\0'; c++)
    if ((unsigned char)*c <= ' ' || *c == '?' || *c == '#' || (unsigned char)*c >= 0x7F)
      return false;
  return true;
}

tess_client *tess_client_new(const tess_client_options *options, tess_status *status) {
  const tess_allocator *allocator = tess__allocator_or_default(options->allocator);
  if (options->transport == NULL || options->base_url == NULL || !is_http_url(options->base_url)) {
    tess_status_set(status, TESS_INVALID_ARGUMENT,
                    options->transport == NULL ? "a client needs a transport"
                                               : "no base_url like http://host:port");
    return NULL;
  }
  tess_client *client = tess__alloc(allocator, sizeof *client);
  size_t size = strlen(options->base_url);
  while (size > 0 && options->base_url[size - 1] == '/')
    size--;
  char *base_url = tess__strndup(allocator, options->base_url, size);
  if (client == NULL || base_url == NULL) {
    tess__free(allocator, client);
    tess__free(allocator, base_url);
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  *client = (tess_client){.allocator = allocator, .base_url = base_url};
  client->options = *options;
  atomic_init(&client->refs, 1);
  client->options.base_url = base_url;
  fill_defaults(&client->options);
  return client;
}

/* A caller that was told of the end of its last call may free the client while
 * the transport's thread still frees that call. */
static void unref(tess_client *client) {
  if (atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) != 1) return;
  tess__free(client->allocator, client->interceptors);
  tess__free(client->allocator, client->base_url);
  tess__free(client->allocator, client);
}

void tess_client_free(tess_client *client) {
  if (client != NULL) unref(client);
}

tess_code tess_client_add_interceptor(tess_client *client,
                                      const tess_client_interceptor *interceptor) {
  size_t count = client->interceptor_count + 1;
  tess_client_interceptor *interceptors =
      tess__realloc(client->allocator, client->interceptors, count * sizeof *interceptors);
  if (interceptors == NULL) return TESS_RESOURCE_EXHAUSTED;
  interceptors[count - 1] = *interceptor;
  client->interceptors = interceptors;
  client->interceptor_count = count;
  return TESS_OK;
}

tess_code tess_client_add_compressor(tess_client *client, const tess_compressor *compressor) {
  return tess__compressors_add(&client->compressors, compressor);
}

void tess_client_clear_response(tess_client *client, const tess_method *method, void *response) {
  method->response->runtime->clear(method->response, client->allocator, response);
}

/* ---- requests ---- */

static bool is_grpc_web(const tess__client_base *base) {
  return base->client->options.protocol == TESS_PROTOCOL_GRPC_WEB;
}

/* What a protocol calls its headers. */
typedef struct header_names {
  const char *content_type; /* value, up to the codec's name */
  const char *encoding;
  const char *accept_encoding;
  const char *timeout;
} header_names;

static const header_names *names_of(const tess__client_base *base) {
  static const header_names unary = {"application/", "content-encoding", "accept-encoding",
                                     "connect-timeout-ms"};
  static const header_names stream = {"application/connect+", "connect-content-encoding",
                                      "connect-accept-encoding", "connect-timeout-ms"};
  static const header_names grpc_web = {"application/grpc-web+", "grpc-encoding",
                                        "grpc-accept-encoding", "grpc-timeout"};
  return is_grpc_web(base) ? &grpc_web : base->framed ? &stream : &unary;
}

tess_code tess__client_fail(tess__client_base *base, tess_code code, const char *format, ...) {
  if (base->failed) return base->status.code;
  va_list args;
  va_start(args, format);
  tess__status_vset(&base->status, code, format, args);
  va_end(args);
  base->failed = true;
  return code;
}

void tess__client_fail_by_http(tess__client_base *base, const char *more) {
  tess__client_fail(base, tess_code_from_http(base->http_status), "HTTP status %d%s",
                    base->http_status, more);
}

void tess__client_cancel(tess__client_base *base) {
  tess_transport *transport = base->client->options.transport;
  transport->ops->cancel(transport, &base->outgoing);
}

tess_code tess__client_may_wait(const tess_client *client, tess_status *status) {
  tess_transport *transport = client->options.transport;
  if (transport->ops->wait == NULL)
    return tess_status_set(status, TESS_FAILED_PRECONDITION, "this transport cannot wait");
  if (transport->ops->can_wait != NULL && !transport->ops->can_wait(transport))
    return tess_status_set(status, TESS_FAILED_PRECONDITION, "a callback cannot wait");
  return TESS_OK;
}

tess_code tess__client_cannot_go_on(const tess_client *client, tess_status *status) {
  tess_code code = tess__client_may_wait(client, status);
  if (code != TESS_OK) return code;
  return tess_status_set(status, TESS_INTERNAL, "the transport cannot go on");
}

static tess_code out_of_memory(tess__client_base *base) {
  return tess__client_fail(base, TESS_RESOURCE_EXHAUSTED, "out of memory");
}

tess_code tess__client_begin(tess__client_base *base, tess_client *client,
                             const tess_method *method, const tess_call_options *options,
                             void *memory, size_t memory_size) {
  static const tess_call_options no_options = {0};
  if (options == NULL) options = &no_options;
  tess_transport *transport = client->options.transport;
  atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
  base->client = client;
  base->method = method;
  base->framed = method->stream_kind != TESS_UNARY || is_grpc_web(base);
  tess__arena_init_with(&base->arena, client->allocator, 0, memory, memory_size);
  tess__arena_allocator(&base->arena, &base->arena_allocator);
  tess_metadata_init(&base->headers, &base->arena_allocator, client->options.max_metadata_bytes);
  base->response_headers = base->response_trailers = base->headers; /* as empty */
  tess_status_init(&base->status, &base->arena_allocator);
  base->want_headers = options->response_headers;
  base->want_trailers = options->response_trailers;
  base->max_response_bytes = client->options.max_response_bytes;
  if (method->stream_kind == TESS_UNARY &&
      options->max_response_bytes - 1 < base->max_response_bytes) /* 0: as the client's */
    base->max_response_bytes = options->max_response_bytes;
  base->keep =
      base->want_headers != NULL || base->want_trailers != NULL || client->interceptor_count != 0;

  int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : client->options.timeout_ms;
  base->deadline_ms = timeout_ms > 0
                          ? tess__deadline_after(transport->ops->now_ms(transport), timeout_ms)
                          : TESS_NEVER_MS;
  size_t base_size = strlen(client->base_url), path_size = strlen(method->path);
  char *url = tess_arena_alloc(&base->arena, base_size + path_size + 1);
  if (url == NULL) return out_of_memory(base);
  memcpy(url, client->base_url, base_size);
  memcpy(url + base_size, method->path, path_size + 1);
  base->outgoing.method = "POST";
  base->outgoing.url = url;
  base->outgoing.headers = &base->headers;
  base->outgoing.deadline_ms = base->deadline_ms;
  base->outgoing.idempotent = method->idempotency != TESS_IDEMPOTENCY_UNKNOWN;

  if (timeout_ms > 0) {
    char text[TESS__DECIMAL_BYTES + 1];
    size_t size = is_grpc_web(base) ? tess__grpc_timeout_format(text, timeout_ms)
                                    : tess__connect_timeout_format(text, timeout_ms);
    const char *name = names_of(base)->timeout;
    if (tess_metadata_add_n(&base->headers, name, strlen(name), text, size) != TESS_OK)
      return out_of_memory(base);
  }
  if (options->headers != NULL && tess_metadata_append(&base->headers, options->headers) != TESS_OK)
    return tess__client_fail(base, TESS_RESOURCE_EXHAUSTED, "the request headers are too large");
  for (size_t i = 0; i < client->interceptor_count; i++) {
    const tess_client_interceptor *interceptor = &client->interceptors[i];
    if (interceptor->before != NULL) {
      tess_code code = interceptor->before(interceptor->ctx, method, &base->headers, &base->status);
      if (code != TESS_OK) {
        base->status.code = code;
        base->failed = true;
        return code;
      }
    }
    base->interceptors_entered++;
  }
  return TESS_OK;
}

static tess_code add_text(tess_metadata *metadata, const char *name, const char *value) {
  return tess__metadata_add_static(metadata, name, value, strlen(value));
}

tess_code tess__client_add_headers(tess__client_base *base, bool compressed) {
  tess_metadata *headers = &base->headers;
  const tess_client_options *options = &base->client->options;
  const char *accepted = base->client->compressors.names;
  const header_names *names = names_of(base);
  bool grpc = is_grpc_web(base);
  tess_code code = TESS_OK;
  headers->max_bytes = 0; /* a limit for what callers add */
  bool get = base->outgoing.method[0] == 'G';
  if (!get) {
    char content_type[MAX_CONTENT_TYPE_BYTES];
    tess__format(content_type, sizeof content_type, "%s%s", names->content_type,
                 options->codec->name);
    code = tess_metadata_add(headers, "content-type", content_type);
    if (code == TESS_OK && !grpc) code = add_text(headers, "connect-protocol-version", "1");
  }
  if (code == TESS_OK && grpc) code = add_text(headers, "x-grpc-web", "1");
  if (code == TESS_OK && compressed && !get)
    code = add_text(headers, names->encoding, options->send_compressor->name);
  if (code == TESS_OK && accepted[0] != '\0')
    code = add_text(headers, names->accept_encoding, accepted);
  if (code == TESS_OK && tess_metadata_find(headers, "user-agent", 0) == NULL)
    code = add_text(headers, "user-agent", "tessera/" TESS_VERSION);
  return code == TESS_OK ? TESS_OK : out_of_memory(base);
}

void tess__client_cleanup(tess__client_base *base) {
  tess_arena_cleanup(&base->arena); /* headers and status lie in it */
  unref(base->client);
}

/* Replaces what is in `segments` (behind `prefix` bytes) by its compressed form,
 * which the arena takes. */
static tess_code compress(const tess__client_codec *codec, tess_segments *segments, size_t prefix) {
  const tess_compressor *compressor = codec->client->options.send_compressor;
  tess_slice first = segments->items[0];
  segments->slots[0] = (tess_slice){(const uint8_t *)first.data + prefix, first.size - prefix};
  tess_chunk chunk = {0};
  tess_code code = compressor->compress(compressor, segments->items, segments->count, 0,
                                        codec->client->allocator, &chunk, codec->status);
  segments->slots[0] = first;
  if (code != TESS_OK) return code;
  const void *data = chunk.data;
  size_t size = chunk.size;
  code = tess_arena_adopt(codec->arena, &chunk);
  if (code != TESS_OK) return code;
  tess__segments_clear(segments);
  if (prefix != 0 && tess__segments_reserve(segments, prefix) == NULL)
    return TESS_RESOURCE_EXHAUSTED;
  return tess_segments_borrow(segments, data, size);
}

tess_code tess__client_encode_message(const tess__client_codec *codec, const void *message,
                                      tess_segments *segments, bool *compressed) {
  const tess_client_options *options = &codec->client->options;
  size_t prefix = codec->framed ? TESS__ENVELOPE_BYTES : 0;
  *compressed = false;
  if (prefix != 0 && tess__segments_reserve(segments, prefix) == NULL)
    return tess_status_set(codec->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess_code code = options->codec->encode(options->codec, codec->method->request, message, segments,
                                          codec->status);
  size_t size = segments->total_bytes - prefix;
  if (code == TESS_OK && prefix != 0 && size > UINT32_MAX)
    return tess_status_set(codec->status, TESS_RESOURCE_EXHAUSTED,
                           "a framed message is limited to 4 GiB");
  if (code == TESS_OK && options->send_compressor != NULL && size >= options->min_compress_bytes) {
    code = compress(codec, segments, prefix);
    *compressed = true;
    size = segments->total_bytes - prefix;
  }
  if (code != TESS_OK) {
    /* A codec or a compressor may have left it to the code. */
    return codec->status->code == code
               ? code
               : tess_status_set(codec->status, code, "the request could not be encoded");
  }
  if (prefix != 0)
    tess__envelope_write((uint8_t *)(uintptr_t)segments->items[0].data,
                         *compressed ? TESS__ENVELOPE_COMPRESSED : 0, (uint32_t)size);
  return TESS_OK;
}

/* ---- responses ---- */

/* Where the headers of a unary Connect response hide its trailers. */
static tess_code keep_headers(tess__client_base *base, const tess_metadata *headers) {
  static const char prefix[] = "trailer-";
  bool split = !base->framed;
  for (size_t i = 0; i < headers->count; i++) {
    const tess_metadata_entry *entry = &headers->entries[i];
    bool trailer = split && strncmp(entry->name, prefix, sizeof prefix - 1) == 0;
    const char *name = trailer ? entry->name + sizeof prefix - 1 : entry->name;
    tess_code code =
        tess_metadata_add_n(trailer ? &base->response_trailers : &base->response_headers, name,
                            strlen(name), entry->value, entry->value_size);
    /* A header that is not fit for metadata (an empty name) is left out. */
    if (code == TESS_RESOURCE_EXHAUSTED) return code;
  }
  return TESS_OK;
}

static void metadata_too_large(tess__client_base *base, const char *what) {
  tess__client_fail(base, TESS_RESOURCE_EXHAUSTED,
                    "the response's %s are larger than the limit of %zu bytes", what,
                    base->client->options.max_metadata_bytes);
}

bool tess__client_read_trailers(tess__client_base *base, tess_slice data) {
  tess_code code = tess__grpc_trailers_read(data, &base->response_trailers);
  if (code == TESS_RESOURCE_EXHAUSTED)
    metadata_too_large(base, "trailers");
  else if (code != TESS_OK)
    tess__client_fail(base, TESS_INTERNAL, "invalid response trailers");
  return code == TESS_OK;
}

/* "type/subtype" equals prefix + name, parameters aside. */
static bool is_content_type(const tess_metadata_entry *entry, const char *prefix,
                            const char *name) {
  if (entry == NULL) return false;
  size_t size = strcspn(entry->value, "; \t"), prefix_size = strlen(prefix);
  return size > prefix_size && tess__ascii_equal(entry->value, prefix_size, prefix) &&
         tess__ascii_equal(entry->value + prefix_size, size - prefix_size, name);
}

static bool is_expected_type(const tess__client_base *base, const tess_metadata_entry *type) {
  const char *codec = base->client->options.codec->name;
  if (is_content_type(type, names_of(base)->content_type, codec)) return true;
  return is_grpc_web(base) && base->client->options.codec == &tess_codec_proto &&
         is_content_type(type, "application/", "grpc-web");
}

void tess__client_accept_head(tess__client_base *base, int status, const tess_metadata *headers) {
  base->http_status = status;
  if (base->keep || is_grpc_web(base)) {
    if (keep_headers(base, headers) != TESS_OK) {
      metadata_too_large(base, "headers");
      return;
    }
  }
  const tess_metadata_entry *type = tess_metadata_find(headers, "content-type", 0);
  if (status != HTTP_OK) {
    /* Connect's unary errors come with a body; all else is for the status to tell. */
    if (base->framed || !is_content_type(type, "application/", "json"))
      tess__client_fail_by_http(base, "");
  } else if (!is_expected_type(base, type)) {
    const char *value = type != NULL ? type->value : "";
    const char *prefix = names_of(base)->content_type;
    bool ours = strncmp(value, prefix, strlen(prefix)) == 0;
    tess__client_fail(base, ours ? TESS_INTERNAL : TESS_UNKNOWN,
                      "unexpected content type \"%.100s\"", value);
  }
  if (base->failed) return;
  const tess_metadata_entry *encoding = tess_metadata_find(headers, names_of(base)->encoding, 0);
  if (encoding != NULL &&
      tess__compressors_find(&base->client->compressors, encoding->value, encoding->value_size,
                             &base->response_compressor) != TESS_OK)
    tess__client_fail(base, TESS_INTERNAL, "unknown compression \"%.100s\"", encoding->value);
}

void tess__client_headers_are_trailers(tess__client_base *base) {
  tess_metadata empty = base->response_trailers;
  base->response_trailers = base->response_headers;
  base->response_headers = empty;
}

static size_t add_sizes(size_t a, size_t b) {
  return a < SIZE_MAX - b ? a + b : SIZE_MAX;
}

size_t tess__client_max_bytes(const tess__client_base *base, bool is_end, bool compressed) {
  size_t limit = base->max_response_bytes;
  size_t least = add_sizes(base->client->options.max_metadata_bytes, ERROR_BYTES);
  if (is_end && limit < least) limit = least;
  /* Limits hold for what is decompressed; a coding may add a little. */
  if (compressed && base->response_compressor != NULL) limit = add_sizes(limit, limit / 64 + 1024);
  return limit;
}

bool tess__client_decompress_end(tess__client_base *base, tess_slice *data) {
  base->failed =
      tess__decompress(base->response_compressor, data, tess__client_max_bytes(base, true, false),
                       base->client->allocator, &base->arena, &base->status) != TESS_OK;
  return !base->failed;
}

tess_code tess__client_decode_message(const tess__client_codec *codec,
                                      const tess_compressor *compressor, tess_slice data,
                                      size_t max_bytes, void *message) {
  const tess_client *client = codec->client;
  const tess_message_type *type = codec->method->response;
  tess_arena scratch;
  tess_arena_init(&scratch, client->allocator, 0);
  tess_code code = tess__decompress(compressor, &data, max_bytes, client->allocator,
                                    codec->arena != NULL ? codec->arena : &scratch, codec->status);
  if (code == TESS_OK)
    code = client->options.codec->decode(client->options.codec, type, data, codec->arena,
                                         client->allocator, message, codec->status);
  else
    type->runtime->init(type, message);
  /* What is wrong with a response is no fault of the caller's argument; and what it cannot
   * be is no matter of room. */
  if (code == TESS_INVALID_ARGUMENT)
    code = TESS_INTERNAL;
  else if (data.size > max_bytes && max_bytes != client->options.max_response_bytes)
    code = TESS_DATA_LOSS;
  tess_arena_cleanup(&scratch);
  return code;
}

tess_code tess__client_decode(tess__client_base *base, tess_slice data, bool compressed,
                              tess_arena *arena, void *message) {
  tess__client_codec codec = {base->client, base->method, base->framed, arena, &base->status};
  base->status.code =
      tess__client_decode_message(&codec, compressed ? base->response_compressor : NULL, data,
                                  base->max_response_bytes, message);
  base->failed = base->status.code != TESS_OK;
  return base->status.code;
}

void tess__client_end(tess__client_base *base) {
  while (base->interceptors_entered > 0) {
    const tess_client_interceptor *interceptor =
        &base->client->interceptors[--base->interceptors_entered];
    if (interceptor->after != NULL)
      interceptor->after(interceptor->ctx, base->method, &base->status, &base->response_headers,
                         &base->response_trailers);
  }
  /* What does not fit the caller's limit is left out. */
  if (base->want_headers != NULL)
    (void)tess_metadata_append(base->want_headers, &base->response_headers);
  if (base->want_trailers != NULL)
    (void)tess_metadata_append(base->want_trailers, &base->response_trailers);
}
