/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/curl_request.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc/transport_driver.h"

typedef tess__curl_request request;

enum {
  SMALL_BODY_BYTES = 64 << 10, /* gathered and sent with the head */
  MAX_HEAD_BYTES = 256 << 10,  /* of a response */
  /* What goes through them is copied twice, by curl and the kernel, and has to be in a core's
   * second cache still: 512 KiB and 2 MiB were slower (docs/performance.md). */
  IN_BYTES = 64 << 10,  /* CURLOPT_BUFFERSIZE */
  OUT_BYTES = 128 << 10 /* CURLOPT_UPLOAD_BUFFERSIZE */
};

void tess__curl_request_free(request *r) {
  if (r == NULL) return;
  if (r->easy != NULL) curl_easy_cleanup(r->easy);
  tess__reply_head_cleanup(&r->head);
  free(r->text);
  free(r->lines);
  free(r->small_body);
  free(r->connect_to);
  free(r);
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx) {
  request *r = ctx;
  size_t bytes = size * count;
  if (atomic_load(&r->want_cancel)) return CURL_WRITEFUNC_ERROR;
  switch (tess__reply_head_line(&r->head, data, bytes)) {
    case TESS__REPLY_READY: {
      tess_http_outgoing *o = r->outgoing;
      bool no_body = strcmp(o->method, "HEAD") == 0;
      o->ops->on_head(o, r->head.status, &r->head.headers, no_body ? 0 : r->head.content_length);
      return bytes;
    }
    case TESS__REPLY_MORE:
      return bytes;
    case TESS__REPLY_LARGE:
      r->failure = TESS_RESOURCE_EXHAUSTED;
      r->failure_text = "the response head is too large";
      return CURL_WRITEFUNC_ERROR;
    default:
      r->failure = TESS_INTERNAL;
      r->failure_text = "malformed response head";
      return CURL_WRITEFUNC_ERROR;
  }
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx) {
  request *r = ctx;
  size_t bytes = size * count;
  if (atomic_load(&r->want_cancel)) return CURL_WRITEFUNC_ERROR;
  if (bytes == 0) return 0;
  if (r->receive_paused) return CURL_WRITEFUNC_PAUSE;
  tess_chunk chunk = {.data = (uint8_t *)data, .size = bytes};
  if (!r->outgoing->ops->on_body(r->outgoing, &chunk)) r->receive_paused = true;
  return bytes;
}

/* Straight from where the pieces lie into curl's send buffer. */
static size_t on_read(char *data, size_t size, size_t count, void *ctx) {
  request *r = ctx;
  size_t room = size * count, filled = 0;
  if (atomic_load(&r->want_cancel)) return CURL_READFUNC_ABORT;
  while (filled < room) {
    if (r->piece.size == 0) {
      if (r->body_over) break;
      tess_http_body_state state = r->outgoing->ops->next_body(r->outgoing, &r->piece);
      if (state == TESS_BODY_WAIT) {
        r->piece.size = 0;
        return filled > 0 ? filled : CURL_READFUNC_PAUSE;
      }
      if (state == TESS_BODY_END) {
        r->piece.size = 0;
        r->body_over = true;
        break;
      }
      continue;
    }
    size_t n = r->piece.size < room - filled ? r->piece.size : room - filled;
    memcpy(data + filled, r->piece.data, n);
    r->piece.data = (const char *)r->piece.data + n;
    r->piece.size -= n;
    filled += n;
  }
  return filled;
}

static int on_seek(void *ctx, curl_off_t offset, int origin) {
  request *r = ctx;
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
  if (!r->outgoing->ops->rewind_body(r->outgoing)) return CURL_SEEKFUNC_FAIL;
  r->piece.size = 0;
  r->body_over = false;
  return CURL_SEEKFUNC_OK;
}

/* What was sent and is not acknowledged, or not taken, for so long ends the
 * connection; the kernel's own patience is a quarter of an hour. Keepalive, which
 * curl turns on, holds to it, too. */
static void limit_silence(int fd, int64_t peer_timeout_ms) {
#ifdef TCP_USER_TIMEOUT
  unsigned ms = (unsigned)peer_timeout_ms;
  if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms) != 0) errno = 0;
#else
  (void)fd;
  (void)peer_timeout_ms;
#endif
}

/* A request whose lookup takes too long is given up here before curl does it, who would wait
 * for its thread: by a tenth of the connect's time, which lookups do not get, or, where that
 * is too little, by time that curl gets in addition. */
#define SHORT_CONNECT_MS 200

static int64_t lookup_ms(int64_t connect_ms) {
  return connect_ms > SHORT_CONNECT_MS ? connect_ms - connect_ms / 10 : connect_ms;
}

static int64_t curl_connect_ms(int64_t connect_ms) {
  return connect_ms > SHORT_CONNECT_MS ? connect_ms : connect_ms + SHORT_CONNECT_MS / 10;
}

/* curl is about to look a name up, on a thread of its own. Where that takes too long, the
 * request is given up before curl's own patience ends: curl would wait for the thread. */
static int on_lookup(void *state, void *reserved, void *ctx) {
  request *r = ctx;
  (void)state;
  (void)reserved;
  tess__due_put(r->lookups, &r->lookup, tess__driver_now_ms() + lookup_ms(r->connect_timeout_ms));
  return 0;
}

static void tell_taken(const request *r) {
  const tess_http_outgoing_ops *ops = r->outgoing->ops;
  if (ops->on_taken != NULL) ops->on_taken(r->outgoing);
}

#if TESS__CURL_TELLS_TAKEN
/* It has a connection, perhaps one that was idle. */
static int on_connection(void *ctx, char *peer, char *own, int peer_port, int own_port) {
  (void)peer;
  (void)own;
  (void)peer_port;
  (void)own_port;
  if (atomic_load(&((request *)ctx)->want_cancel)) return CURL_PREREQFUNC_ABORT;
  tell_taken(ctx);
  return CURL_PREREQFUNC_OK;
}
#endif

/* Over loopback cubic moves twice what bbr does. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address) {
  request *r = ctx;
  (void)purpose;
  tess__due_remove(r->lookups, &r->lookup);
  if (atomic_load(&r->want_cancel)) return CURL_SOCKET_BAD;
  tell_taken(r);
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  bool loopback = false;
  if (address->family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, &address->addr, sizeof v4);
    loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  } else if (address->family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, (const void *)&address->addr, sizeof v6);
    loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  /* Not available everywhere, and then not missed. */
  if (loopback && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0) errno = 0;
  limit_silence(fd, r->peer_timeout_ms);
  return fd;
}

/* A file by its name, so that curl reads it again; else the text, which we keep. */
static CURLcode set_pem(CURL *e, CURLoption file_option, const char *file, CURLoption text_option,
                        const char *text) {
  if (file != NULL) return curl_easy_setopt(e, file_option, file);
  if (text == NULL) return CURLE_OK;
  struct curl_blob blob = {
      .data = (char *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};
  return curl_easy_setopt(e, text_option, &blob);
}

static CURLcode set_tls(CURL *e, const tess_tls_options *tls) {
  CURLcode rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (rc == CURLE_OK)
    rc = set_pem(e, CURLOPT_CAINFO, tls->ca_file, CURLOPT_CAINFO_BLOB, tls->ca_pem);
  if (rc == CURLE_OK)
    rc = set_pem(e, CURLOPT_SSLCERT, tls->certificate_file, CURLOPT_SSLCERT_BLOB,
                 tls->certificate_pem);
  if (rc == CURLE_OK)
    rc = set_pem(e, CURLOPT_SSLKEY, tls->key_file, CURLOPT_SSLKEY_BLOB, tls->key_pem);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A changed list of signers is seen within a minute. */
  if (rc == CURLE_OK) curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 60L);
#endif
  return rc;
}

/* At least one: the kernel takes no less. */
static long seconds_of(int64_t ms) {
  return ms < 1000 ? 1 : (long)(ms / 1000);
}

request *tess__curl_request_new(const tess_transport_curl_options *options,
                                const tess_tls_options *tls, tess__due_queue *lookups,
                                CURLcode *result) {
  *result = CURLE_OUT_OF_MEMORY;
  request *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->deadline.of = r->lookup.of = r;
  r->lookups = lookups;
  r->connect_timeout_ms = options->connect_timeout_ms;
  r->peer_timeout_ms = options->peer_timeout_ms;
  tess__reply_head_init(&r->head, MAX_HEAD_BYTES);
  CURL *e = r->easy = curl_easy_init();
  if (e == NULL) {
    tess__curl_request_free(r);
    return NULL;
  }
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, option, value)
  SET(CURLOPT_PRIVATE, r);
  SET(CURLOPT_ERRORBUFFER, r->error);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, r);
  SET(CURLOPT_WRITEFUNCTION, on_write);
  SET(CURLOPT_WRITEDATA, r);
  SET(CURLOPT_READFUNCTION, on_read);
  SET(CURLOPT_READDATA, r);
  SET(CURLOPT_SEEKFUNCTION, on_seek);
  SET(CURLOPT_SEEKDATA, r);
  SET(CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
  SET(CURLOPT_RESOLVER_START_DATA, r);
  SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
  SET(CURLOPT_OPENSOCKETDATA, r);
#if TESS__CURL_TELLS_TAKEN
  SET(CURLOPT_PREREQFUNCTION, on_connection);
  SET(CURLOPT_PREREQDATA, r);
#endif
  /* A quarter of the time without a byte, then probes: the kernel's nine end with it. */
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_TCP_KEEPIDLE, seconds_of(options->peer_timeout_ms / 4));
  SET(CURLOPT_TCP_KEEPINTVL, seconds_of(options->peer_timeout_ms / 12));
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_KEEP_SENDING_ON_ERROR, 1L);
  SET(CURLOPT_TCP_NODELAY, 1L);
  /* A new connection follows a name whose address changed after 10 s (curl: 60). */
  SET(CURLOPT_DNS_CACHE_TIMEOUT, 10L);
#undef SET
  if (rc == CURLE_OK) rc = set_tls(e, tls);
  *result = rc;
  if (rc != CURLE_OK) {
    tess__curl_request_free(r);
    return NULL;
  }
  return r;
}

static bool reserve(char **data, size_t *capacity, size_t size) {
  if (size <= *capacity) return true;
  char *more = realloc(*data, size);
  if (more == NULL) return false;
  *data = more;
  *capacity = size;
  return true;
}

/* The header lines as a curl_slist that lies in the request's own memory. */
static bool put_headers(request *r, const tess_metadata *headers, bool chunked) {
  static const char *const own[] = {"Expect:", "Accept:"};
  size_t bytes = 0, count = headers != NULL ? headers->count : 0, used = 0;
  bool typed = false;
  for (size_t i = 0; i < count; i++) {
    const tess_metadata_entry *e = &headers->entries[i];
    bytes += strlen(e->name) + e->value_size + 3;
    if (strcmp(e->name, "content-type") == 0) typed = true;
  }
  if (!reserve(&r->text, &r->text_capacity, bytes + 1)) return false;
  if (r->line_capacity < count + 4) {
    struct curl_slist *lines = realloc(r->lines, (count + 4) * sizeof *lines);
    if (lines == NULL) return false;
    r->lines = lines;
    r->line_capacity = count + 4;
  }
  char *to = r->text;
  bool accept = false;
  for (size_t i = 0; i < count; i++) {
    const tess_metadata_entry *e = &headers->entries[i];
    if (strcmp(e->name, "content-length") == 0 || strcmp(e->name, "transfer-encoding") == 0 ||
        strcmp(e->name, "expect") == 0)
      continue; /* framing is the transport's */
    if (strcmp(e->name, "accept") == 0) accept = true;
    r->lines[used++].data = to;
    size_t name_size = strlen(e->name);
    memcpy(to, e->name, name_size);
    to += name_size;
    if (e->value_size == 0) {
      *to++ = ';'; /* curl's way to say: with an empty value */
    } else {
      *to++ = ':';
      *to++ = ' ';
      memcpy(to, e->value, e->value_size);
      to += e->value_size;
    }
    *to++ = 0;
  }
  for (size_t i = 0; i < (accept ? 1u : 2u); i++)
    r->lines[used++].data = (char *)(uintptr_t)own[i]; /* curl only reads it */
  if (!typed) r->lines[used++].data = (char *)(uintptr_t)"Content-Type:";
  if (chunked) r->lines[used++].data = (char *)(uintptr_t)"Transfer-Encoding: chunked";
  for (size_t i = 0; i < used; i++)
    r->lines[i].next = i + 1 < used ? &r->lines[i + 1] : NULL;
  return true;
}

/* A body of at most SMALL_BODY_BYTES as one piece: curl then sends it in one
 * packet with the head. False: it cannot be had now, or the memory. */
static bool take_small_body(request *r, const char **body) {
  tess_http_outgoing *o = r->outgoing;
  size_t size = (size_t)o->content_length, filled = 0;
  *body = "";
  while (filled < size) {
    tess_slice piece = {0};
    if (o->ops->next_body(o, &piece) != TESS_BODY_DATA || piece.size > size - filled) return false;
    if (piece.size == size) {
      *body = piece.data; /* borrowed until end: next_body is not called again */
      return true;
    }
    if (piece.size == 0) continue;
    if (!reserve(&r->small_body, &r->small_body_capacity, size)) return false;
    memcpy(r->small_body + filled, piece.data, piece.size);
    filled += piece.size;
    *body = r->small_body;
  }
  return true;
}

/* For any host and port of the URL: there. */
static bool put_connect_to(request *r) {
  const char *to = r->outgoing->connect_to;
  size_t size = strlen(to);
  if (!reserve(&r->connect_to, &r->connect_to_capacity, size + 3)) return false;
  memcpy(r->connect_to, "::", 2);
  memcpy(r->connect_to + 2, to, size + 1);
  r->connect_to_line = (struct curl_slist){.data = r->connect_to};
  return true;
}

CURLcode tess__curl_request_prepare(request *r, const tess_transport_curl_options *options) {
  tess_http_outgoing *o = r->outgoing;
  CURL *e = r->easy;
  bool get = strcmp(o->method, "GET") == 0, head = strcmp(o->method, "HEAD") == 0;
  bool bodyless = (get || head) && o->content_length <= 0;
  bool small = !bodyless && o->content_length >= 0 && o->content_length <= SMALL_BODY_BYTES;
  const char *body = NULL;
  if (!put_headers(r, o->headers, !bodyless && o->content_length < 0)) return CURLE_OUT_OF_MEMORY;
  if (small && !take_small_body(r, &body)) {
    if (!o->ops->rewind_body(o)) return CURLE_SEND_FAIL_REWIND;
    small = false;
  }
  const long own = (long)options->buffer_bytes, in = own > 0 ? own : IN_BYTES;
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, option, value)
  if (o->connect_to != NULL && !put_connect_to(r)) return CURLE_OUT_OF_MEMORY;
  SET(CURLOPT_URL, o->url);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)curl_connect_ms(r->connect_timeout_ms));
  SET(CURLOPT_CONNECT_TO, o->connect_to != NULL ? &r->connect_to_line : (struct curl_slist *)NULL);
  SET(CURLOPT_HTTPHEADER, r->lines);
  SET(CURLOPT_CUSTOMREQUEST, (char *)NULL);
  if (bodyless) {
    SET(CURLOPT_NOBODY, 0L);
    SET(CURLOPT_HTTPGET, 1L);
    if (head) SET(CURLOPT_NOBODY, 1L);
  } else {
    SET(CURLOPT_NOBODY, 0L);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, small ? (char *)(uintptr_t)body : (char *)NULL);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->content_length);
    if (strcmp(o->method, "POST") != 0) SET(CURLOPT_CUSTOMREQUEST, o->method);
    if (!small) SET(CURLOPT_UPLOAD_BUFFERSIZE, own > 0 ? own : OUT_BYTES);
  }
#undef SET
  /* Refused while a buffer is left from a request that failed early: no harm. */
  curl_easy_setopt(e, CURLOPT_BUFFERSIZE, in);
  return rc;
}

void tess__curl_request_leave(request *r) {
  atomic_store(&r->want_cancel, true); /* no callback goes on */
  curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)INT_MAX);
}

tess_code tess__curl_code(CURLcode rc) {
  switch (rc) {
    case CURLE_OK:
      return TESS_OK;
    case CURLE_OUT_OF_MEMORY:
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE:
#endif
      return TESS_RESOURCE_EXHAUSTED;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_SSL_CERTPROBLEM: /* our own files */
    case CURLE_SSL_CACERT_BADFILE:
      return TESS_INVALID_ARGUMENT;
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
      return TESS_UNIMPLEMENTED;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, or no HTTP at all */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FAILED_INIT:
      return TESS_INTERNAL;
    default: /* refused, reset, no such host, cut short, TLS, ... */
      return TESS_UNAVAILABLE;
  }
}

/* curl takes a line of a head up to 100 KiB, and calls what is longer "out of memory". */
static bool stopped_in_head(const request *r) {
  curl_off_t first_byte_us = 0;
  return curl_easy_getinfo(r->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us) == CURLE_OK &&
         first_byte_us > 0 && !r->head.complete;
}

const char *tess__curl_why(const request *r, CURLcode rc) {
  if (tess__curl_code(rc) == TESS_RESOURCE_EXHAUSTED && stopped_in_head(r))
    return "the response head is too large (a line over 100 KiB), or out of memory";
  return r->error[0] != 0 ? r->error : curl_easy_strerror(rc);
}
