/* SPDX-License-Identifier: Apache-2.0
 *
 * The client transport on libcurl's multi interface. The only file that includes
 * curl/curl.h.
 *
 * One thread at a time drives the multi handle (transport_driver.h). What other
 * threads want of a request (start, resume, cancel) they note in it and put into a
 * list. Fields below "driver" are touched by the driver alone, the others under
 * the driver's lock.
 */
#include <tessera/transport_curl.h>

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "rpc/http_reply_head.h"
#include "rpc/tls_options.h"
#include "rpc/transport_driver.h"

enum {
  SMALL_BODY_BYTES = 64 << 10, /* gathered and sent with the head */
  MAX_HEAD_BYTES = 256 << 10,  /* of a response */
  LARGE_IN_BYTES = 512 << 10,  /* CURLOPT_BUFFERSIZE */
  SMALL_IN_BYTES = 64 << 10,
  LARGE_OUT_BYTES = 2 << 20, /* CURLOPT_UPLOAD_BUFFERSIZE: curl's maximum */
  MAX_SPARE = 64             /* easy handles kept for reuse */
};

typedef struct request {
  struct request *next_command; /* in transport->commands, when queued */
  struct request *next_spare;
  tess_http_outgoing *outgoing; /* NULL: not in use */
  bool queued, want_start, want_resume;
  _Atomic bool want_cancel;

  /* driver */
  struct request *previous, *next; /* in transport->active */
  CURL *easy;
  bool active, in_multi;
  bool receive_paused; /* on_body said so */
  bool ended;          /* complete, but on_end is held back until resume */
  bool body_over;      /* next_body said END */
  tess_slice piece;    /* what is left of the current piece of body */
  tess__reply_head head;
  tess_code failure; /* our own reason for making curl fail */
  const char *failure_text;
  int64_t deadline_ms;
  char error[CURL_ERROR_SIZE];

  /* of the thread that starts it, then of the driver */
  char *text; /* header lines */
  size_t text_capacity;
  struct curl_slist *lines;
  size_t line_capacity;
  char *small_body;
  size_t small_body_capacity;
  char *connect_to; /* "::address:port" */
  size_t connect_to_capacity;
  struct curl_slist connect_to_line;
} request;

typedef struct curl_transport {
  tess_transport base;
  tess_transport_curl_options options;
  tess_tls_options tls; /* owned copies */
  tess__driver driver;
  request *commands, **commands_end;
  request *spare;
  size_t spare_count;

  /* driver */
  CURLM *multi;
  request *active;
  int64_t next_deadline_ms; /* no deadline of an active request is earlier */
} curl_transport;

/* ---- requests ---- */

static void request_free(request *r) {
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

/* Over loopback cubic moves twice what bbr does. */
static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)ctx;
  (void)purpose;
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

/* NULL: see *result. */
static request *request_new(curl_transport *t, CURLcode *result) {
  *result = CURLE_OUT_OF_MEMORY;
  request *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  tess__reply_head_init(&r->head, MAX_HEAD_BYTES);
  CURL *e = r->easy = curl_easy_init();
  if (e == NULL) {
    request_free(r);
    return NULL;
  }
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, option, value)
  SET(CURLOPT_ERRORBUFFER, r->error);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, r);
  SET(CURLOPT_WRITEFUNCTION, on_write);
  SET(CURLOPT_WRITEDATA, r);
  SET(CURLOPT_READFUNCTION, on_read);
  SET(CURLOPT_READDATA, r);
  SET(CURLOPT_SEEKFUNCTION, on_seek);
  SET(CURLOPT_SEEKDATA, r);
  SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
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
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->options.connect_timeout_ms);
#undef SET
  if (rc == CURLE_OK) rc = set_tls(e, &t->tls);
  *result = rc;
  if (rc != CURLE_OK) {
    request_free(r);
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

static CURLcode set_up(curl_transport *t, request *r) {
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
  long in = small || bodyless ? SMALL_IN_BYTES : LARGE_IN_BYTES;
  if (t->options.buffer_bytes > 0) in = (long)t->options.buffer_bytes;
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, option, value)
  if (o->connect_to != NULL && !put_connect_to(r)) return CURLE_OUT_OF_MEMORY;
  SET(CURLOPT_URL, o->url);
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
    if (!small) {
      long out = LARGE_OUT_BYTES;
      if (t->options.buffer_bytes > 0) out = (long)t->options.buffer_bytes;
      SET(CURLOPT_UPLOAD_BUFFERSIZE, out);
    }
  }
#undef SET
  /* Refused while a buffer is left from a request that failed early: no harm. */
  curl_easy_setopt(e, CURLOPT_BUFFERSIZE, in);
  return rc;
}

/* ---- the driver ---- */

static void unlink_active(curl_transport *t, request *r) {
  if (r->previous != NULL)
    r->previous->next = r->next;
  else
    t->active = r->next;
  if (r->next != NULL) r->next->previous = r->previous;
  r->previous = r->next = NULL;
  r->active = false;
}

/* The end of a request: its record goes back before the core hears of it, which
 * may start the next one there and then. */
static void end_request(curl_transport *t, request *r, tess_code code, const char *detail) {
  tess_http_outgoing *o = r->outgoing;
  char text[CURL_ERROR_SIZE];
  if (detail != NULL) {
    strncpy(text, detail, sizeof text - 1);
    text[sizeof text - 1] = 0;
  }
  if (r->in_multi) curl_multi_remove_handle(t->multi, r->easy);
  r->in_multi = false;
  if (r->active) unlink_active(t, r);
  tess__reply_head_reset(&r->head);
  bool spare = false;
  pthread_mutex_lock(&t->driver.lock);
  o->transport_data = NULL;
  r->outgoing = NULL;
  if (r->queued) {
    request **at = &t->commands;
    while (*at != r)
      at = &(*at)->next_command;
    *at = r->next_command;
    if (t->commands_end == &r->next_command) t->commands_end = at;
    r->queued = false;
  }
  t->driver.in_flight--;
  if (t->spare_count < MAX_SPARE) {
    r->next_spare = t->spare;
    t->spare = r;
    t->spare_count++;
    spare = true;
  }
  pthread_mutex_unlock(&t->driver.lock);
  if (!spare) request_free(r);
  o->ops->on_end(o, code, detail != NULL ? text : NULL);
}

static tess_code code_of(CURLcode rc) {
  switch (rc) {
    case CURLE_OK:
      return TESS_OK;
    case CURLE_OUT_OF_MEMORY:
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

static void finish(curl_transport *t, request *r, CURLcode rc) {
  if (atomic_load(&r->want_cancel)) {
    end_request(t, r, TESS_CANCELED, "canceled");
  } else if (rc == CURLE_OK) {
    if (r->receive_paused) {
      /* Deliver nothing while paused, not even the end; the connection is free
       * already. */
      curl_multi_remove_handle(t->multi, r->easy);
      r->in_multi = false;
      r->ended = true;
      return;
    }
    end_request(t, r, TESS_OK, NULL);
  } else if (r->failure != TESS_OK) {
    end_request(t, r, r->failure, r->failure_text);
  } else {
    end_request(t, r, code_of(rc), r->error[0] != 0 ? r->error : curl_easy_strerror(rc));
  }
}

static void begin(curl_transport *t, request *r) {
  r->previous = NULL;
  r->next = t->active;
  if (t->active != NULL) t->active->previous = r;
  t->active = r;
  r->active = true;
  if (r->deadline_ms < t->next_deadline_ms) t->next_deadline_ms = r->deadline_ms;
  CURLMcode rc = curl_multi_add_handle(t->multi, r->easy);
  if (rc != CURLM_OK) {
    end_request(t, r, rc == CURLM_OUT_OF_MEMORY ? TESS_RESOURCE_EXHAUSTED : TESS_INTERNAL,
                curl_multi_strerror(rc));
    return;
  }
  r->in_multi = true;
}

static void obey(curl_transport *t) {
  for (;;) {
    pthread_mutex_lock(&t->driver.lock);
    tess__driver_looks(&t->driver);
    request *r = t->commands;
    if (r == NULL) {
      pthread_mutex_unlock(&t->driver.lock);
      return;
    }
    t->commands = r->next_command;
    if (t->commands == NULL) t->commands_end = &t->commands;
    r->queued = false;
    bool start = r->want_start, resume = r->want_resume;
    r->want_start = r->want_resume = false;
    pthread_mutex_unlock(&t->driver.lock);
    if (atomic_load(&r->want_cancel)) {
      end_request(t, r, TESS_CANCELED, "canceled");
      continue;
    }
    if (start) begin(t, r);
    if (!resume || start) continue;
    if (r->receive_paused) {
      /* The core may have kept back messages of what it took. */
      tess_chunk nothing = {0};
      r->receive_paused = !r->outgoing->ops->on_body(r->outgoing, &nothing);
      if (r->receive_paused) continue;
    }
    if (r->ended)
      end_request(t, r, TESS_OK, NULL);
    else if (r->in_multi)
      curl_easy_pause(r->easy, CURLPAUSE_CONT); /* may call back: not under the lock */
  }
}

static void expire(curl_transport *t) {
  int64_t now_ms = tess__driver_now_ms();
  if (now_ms < t->next_deadline_ms) return;
  /* Ending one may start others or end more: look from the start each time. */
  for (;;) {
    int64_t next_ms = TESS_NEVER_MS;
    request *r = t->active;
    while (r != NULL && r->deadline_ms > now_ms) {
      if (r->deadline_ms < next_ms) next_ms = r->deadline_ms;
      r = r->next;
    }
    if (r == NULL) {
      t->next_deadline_ms = next_ms;
      return;
    }
    end_request(t, r, TESS_DEADLINE_EXCEEDED, "the deadline passed");
  }
}

static void work(void *ctx) {
  curl_transport *t = ctx;
  int running = 0, left = 0;
  obey(t);
  curl_multi_perform(t->multi, &running);
  for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &left)) != NULL;) {
    if (m->msg != CURLMSG_DONE) continue;
    CURLcode rc = m->data.result;
    for (request *r = t->active; r != NULL; r = r->next) {
      if (r->easy != m->easy_handle) continue;
      finish(t, r, rc);
      break;
    }
  }
  expire(t);
}

/* Sleeps until a socket, a timer or another thread wants something. */
static void rest(void *ctx, int64_t until_ms) {
  curl_transport *t = ctx;
  int64_t wake_ms = until_ms < t->next_deadline_ms ? until_ms : t->next_deadline_ms;
  int64_t sleep_ms = 60000;
  if (wake_ms != TESS_NEVER_MS) {
    sleep_ms = wake_ms - tess__driver_now_ms();
    if (sleep_ms < 0) sleep_ms = 0;
    if (sleep_ms > 60000) sleep_ms = 60000;
  }
  pthread_mutex_lock(&t->driver.lock);
  bool busy = t->commands != NULL;
  pthread_mutex_unlock(&t->driver.lock);
  if (!busy) curl_multi_poll(t->multi, NULL, 0, (int)sleep_ms, NULL);
}

static void wake(void *ctx) {
  curl_multi_wakeup(((curl_transport *)ctx)->multi);
}

static void end_all(void *ctx) {
  curl_transport *t = ctx;
  obey(t);
  while (t->active != NULL)
    end_request(t, t->active, TESS_CANCELED, "the transport was freed");
}

/* ---- tess_transport_ops ---- */

static void enqueue(curl_transport *t, request *r) {
  if (r->queued) return;
  r->queued = true;
  r->next_command = NULL;
  *t->commands_end = r;
  t->commands_end = &r->next_command;
}

static tess_code transport_start(tess_transport *transport, tess_http_outgoing *outgoing,
                                 tess_status *status) {
  curl_transport *t = (curl_transport *)transport;
  if (strncasecmp(outgoing->url, "http://", 7) != 0 &&
      strncasecmp(outgoing->url, "https://", 8) != 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "\"%s\" is no http or https URL",
                           outgoing->url);
  pthread_mutex_lock(&t->driver.lock);
  request *r = t->spare;
  if (r != NULL) {
    t->spare = r->next_spare;
    t->spare_count--;
  }
  pthread_mutex_unlock(&t->driver.lock);
  CURLcode rc = CURLE_OK;
  if (r == NULL) r = request_new(t, &rc);
  if (r == NULL)
    return tess_status_set(status, code_of(rc), "cannot make a request: %s",
                           curl_easy_strerror(rc));

  r->outgoing = outgoing;
  r->queued = r->want_resume = false;
  r->want_start = true;
  atomic_store(&r->want_cancel, false);
  r->receive_paused = r->ended = r->body_over = false;
  r->piece = (tess_slice){0};
  r->failure = TESS_OK;
  r->error[0] = 0;
  r->deadline_ms = outgoing->deadline_ms;
  rc = set_up(t, r);
  if (rc != CURLE_OK) {
    request_free(r);
    return tess_status_set(status, code_of(rc), "cannot start the request: %s",
                           curl_easy_strerror(rc));
  }
  pthread_mutex_lock(&t->driver.lock);
  outgoing->transport_data = r;
  t->driver.in_flight++;
  enqueue(t, r);
  tess__driver_call(&t->driver, outgoing->caller_waits);
  pthread_mutex_unlock(&t->driver.lock);
  return TESS_OK;
}

static void transport_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  curl_transport *t = (curl_transport *)transport;
  pthread_mutex_lock(&t->driver.lock);
  request *r = outgoing->transport_data;
  if (r != NULL) {
    r->want_resume = true;
    enqueue(t, r);
    tess__driver_call(&t->driver, false);
  }
  pthread_mutex_unlock(&t->driver.lock);
}

static void transport_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  curl_transport *t = (curl_transport *)transport;
  pthread_mutex_lock(&t->driver.lock);
  request *r = outgoing->transport_data;
  if (r != NULL) {
    atomic_store(&r->want_cancel, true);
    enqueue(t, r);
    tess__driver_call(&t->driver, false);
  }
  pthread_mutex_unlock(&t->driver.lock);
}

static int64_t transport_now_ms(tess_transport *transport) {
  (void)transport;
  return tess__driver_now_ms();
}

static bool transport_wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                           int64_t until_ms) {
  return tess__driver_wait(&((curl_transport *)transport)->driver, done, ctx, until_ms);
}

/* What is left when the thread has ended, or was never started. */
static void dispose(curl_transport *t) {
  while (t->spare != NULL) {
    request *r = t->spare;
    t->spare = r->next_spare;
    request_free(r);
  }
  if (t->multi != NULL) curl_multi_cleanup(t->multi);
  tess__tls_options_cleanup(&t->tls);
  tess__driver_cleanup(&t->driver);
  free(t);
}

static void transport_free(tess_transport *transport) {
  curl_transport *t = (curl_transport *)transport;
  if (t == NULL) return;
  tess__driver_stop(&t->driver);
  dispose(t);
}

static const tess_transport_ops curl_ops = {.start = transport_start,
                                            .resume = transport_resume,
                                            .cancel = transport_cancel,
                                            .now_ms = transport_now_ms,
                                            .wait = transport_wait,
                                            .free = transport_free};

static CURLcode global_result;

static void global_init(void) {
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

tess_transport *tess_transport_curl_new(const tess_transport_curl_options *options,
                                        tess_status *status) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, global_init);
  curl_transport *t = global_result == CURLE_OK ? calloc(1, sizeof *t) : NULL;
  if (t == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "cannot set up libcurl");
    return NULL;
  }
  t->base.ops = &curl_ops;
  if (options != NULL) t->options = *options;
  t->options.tls = NULL; /* the caller's; ours is t->tls */
  if (t->options.max_connections_per_host == 0) t->options.max_connections_per_host = 16;
  if (t->options.max_connections == 0) t->options.max_connections = 256;
  if (t->options.connect_timeout_ms <= 0) t->options.connect_timeout_ms = 5000;
  if (t->options.buffer_bytes > LARGE_OUT_BYTES) t->options.buffer_bytes = LARGE_OUT_BYTES;
  t->commands_end = &t->commands;
  t->next_deadline_ms = TESS_NEVER_MS;
  static const tess__driver_ops driver_ops = {work, rest, wake, end_all};
  tess__driver_init(&t->driver, &driver_ops, t);
  CURLcode rc = CURLE_OUT_OF_MEMORY;
  t->multi = curl_multi_init();
  if (t->multi == NULL ||
      (options != NULL && options->tls != NULL && !tess__tls_options_copy(&t->tls, options->tls)))
    goto failed;
  /* The first request's handle shows whether this libcurl can do what is asked. */
  t->spare = request_new(t, &rc);
  if (t->spare == NULL) goto failed;
  t->spare_count = 1;
  long total = (long)t->options.max_connections;
  curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  curl_multi_setopt(t->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                    (long)t->options.max_connections_per_host);
  curl_multi_setopt(t->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
  curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, total);
  if (tess__driver_start(&t->driver) != 0) goto failed;
  return &t->base;

failed:
  tess_status_set(status, code_of(rc), "cannot set up a transport: %s", curl_easy_strerror(rc));
  dispose(t);
  return NULL;
}
