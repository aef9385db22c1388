/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server on civetweb: listens, and hands each request to
 * http_server_serve.h. The only file that includes civetweb.h.
 *
 * Every request is answered in civetweb's begin_request callback: what would come
 * after it (files, authorisation, handlers, its own CORS) is never reached.
 */
#include <tessera/http_server.h>

#include <civetweb.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rpc/civetweb_unity.h"
#include "rpc/deadline.h"
#include "rpc/http_server_serve.h"
#include "rpc/http_server_tls.h"

/* 24 days: civetweb counts milliseconds in an int, and no sum with a clock overflows. */
#define LONGEST_MS INT64_C(2073600000)

struct tess_http_server {
  tess__site site;
  struct mg_context *context;
  tess__tls *tls; /* NULL: plain */
  char *cors_origin;
  char *drain_path;
  void (*log)(void *ctx, const char *line);
  void *log_ctx;
  int64_t header_timeout_ms;
  char url[300];
  pthread_mutex_t log_lock;
  char problem[256]; /* civetweb's last words, for the status of a failed start */
};

int64_t tess_http_server_now_ms(void) {
  return tess__monotonic_ms();
}

/* ---- callbacks of civetweb ---- */

static int mg_read_body(void *ctx, void *data, size_t size) {
  return tess__civetweb_read(ctx, data, size);
}

static int mg_write_all(void *ctx, const void *data, size_t size) {
  return mg_write(ctx, data, size);
}

static tess_http_server *server_of(const struct mg_connection *connection) {
  return mg_get_user_data(mg_get_context(connection));
}

static int on_log(const struct mg_connection *connection, const char *message) {
  tess_http_server *server = server_of(connection);
  if (server == NULL) return 1;
  pthread_mutex_lock(&server->log_lock);
  snprintf(server->problem, sizeof server->problem, "%s", message);
  if (server->log != NULL) server->log(server->log_ctx, message);
  pthread_mutex_unlock(&server->log_lock);
  return 1;
}

/* The connection whose TLS handshake this thread makes: civetweb forgets the user
 * data that was set before on_connect. */
static _Thread_local tess__connection *in_handshake;

void tess__civetweb_on_handshake(struct mg_connection *connection) {
  if (in_handshake != NULL) return;
  int socket = tess__civetweb_socket(connection);
  in_handshake =
      tess__connection_new(server_of(connection)->site.watch, socket, tess__monotonic_ms());
  if (in_handshake == NULL || in_handshake->refused) shutdown(socket, SHUT_RDWR);
  mg_set_user_connection_data(connection, in_handshake); /* for on_close, if it fails */
}

static int on_connect(const struct mg_connection *connection, void **data) {
  static const char full[] =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
      "Connection: close\r\n\r\n";
  tess_http_server *server = server_of(connection);
  int socket = tess__civetweb_socket(connection);
  tess__connection *c = in_handshake;
  in_handshake = NULL;
  if (c != NULL) {
    if (!tess__connection_enter(c, TESS__PHASE_HEAD,
                                tess__monotonic_ms() + server->header_timeout_ms))
      shutdown(socket, SHUT_RDWR);
    tess__tls_subject(tess__civetweb_ssl(connection), c->subject, sizeof c->subject);
  } else {
    c = tess__connection_new(server->site.watch, socket, tess__monotonic_ms());
    if (c == NULL || c->refused) {
      /* Reading then fails at once, and civetweb closes. */
      if (send(socket, full, sizeof full - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) errno = 0;
      shutdown(socket, SHUT_RDWR);
    }
  }
  tess__civetweb_read_heads(connection);
  *data = c;
  return 0;
}

static void on_close(const struct mg_connection *connection) {
  tess__connection *c = mg_get_user_connection_data(connection);
  in_handshake = NULL;
  tess__civetweb_heads_end();
  if (c != NULL) tess__connection_free(c);
}

static void on_thread_exit(const struct mg_context *context, int type, void *user) {
  (void)user;
  if (type == 0) tess__civetweb_close_waiting(context);
}

static int on_tls_context(void **context, void *user) {
  tess_http_server *server = user;
  if (server->tls == NULL) return 0;
  *context = tess__tls_context(server->tls);
  return 1;
}

/* A head that civetweb, or what reads it, refuses. */
static int on_http_error(struct mg_connection *connection, int status, const char *message) {
  tess_http_server *server = server_of(connection);
  tess__connection *c = mg_get_user_connection_data(connection);
  const char *why = NULL;
  (void)message;
  int refused = tess__civetweb_refused(&why);
  tess__site_io io = {mg_read_body, mg_write_all, connection,
                      tess__civetweb_ssl(connection) != NULL};
  if (c != NULL && !c->refused)
    tess__site_refuse(&server->site, c, &io, refused != 0 ? refused : status, why);
  mg_disable_connection_keep_alive(connection);
  return 0;
}

static void set_peer(tess__connection *c, const struct mg_request_info *info) {
  bool v6 = strchr(info->remote_addr, ':') != NULL;
  snprintf(c->peer, sizeof c->peer, v6 ? "[%s]:%d" : "%s:%d", info->remote_addr, info->remote_port);
  c->peer_known = true;
}

/* The headers as metadata: names in lower case, blanks after values cut off, both
 * in civetweb's buffer, which is ours to change until the request ends. */
static size_t take_headers(const struct mg_request_info *info, tess_metadata_entry *entries) {
  for (int i = 0; i < info->num_headers; i++) {
    char *name = (char *)(uintptr_t)info->http_headers[i].name;
    char *value = (char *)(uintptr_t)info->http_headers[i].value;
    for (char *p = name; *p != 0; p++)
      if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + ('a' - 'A'));
    size_t size = strlen(value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
      value[--size] = 0;
    entries[i] = (tess_metadata_entry){name, value, size};
  }
  return (size_t)info->num_headers;
}

static int on_request(struct mg_connection *connection) {
  tess_http_server *server = server_of(connection);
  const struct mg_request_info *info = mg_get_request_info(connection);
  tess__connection *c = info->conn_data;
  if (c == NULL || c->refused) {
    mg_disable_connection_keep_alive(connection);
    return 503;
  }
  if (!c->peer_known) set_peer(c, info);
  tess__site_io io = {mg_read_body, mg_write_all, connection, info->is_ssl != 0};
  tess__site_request request = {.method = info->request_method,
                                .path = tess__civetweb_asterisk() ? "*" : info->local_uri_raw,
                                .query = info->query_string,
                                .version = info->http_version,
                                .header_count = take_headers(info, c->entries)};
  if (!tess__site_serve(&server->site, c, &io, &request))
    mg_disable_connection_keep_alive(connection);
  return 200;
}

/* ---- start ---- */

static_assert(MG_MAX_HEADERS == TESS__MAX_HEADERS, "update TESS__MAX_HEADERS");

/* Where to listen. */
typedef struct place {
  char address[96]; /* as civetweb reads it: numeric */
  char host[256];   /* as it was given */
  struct sockaddr_storage socket;
  socklen_t socket_size;
} place;

static tess_code resolve(place *where, const char *listen, bool tls, tess_status *status) {
  char host[256];
  if (tess_http_server_listen_check(listen, status) != TESS_OK) return TESS_INVALID_ARGUMENT;
  const char *colon = strrchr(listen, ':');
  size_t length = (size_t)(colon - listen);
  if (length >= sizeof host)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "cannot listen on a name so long");
  memcpy(host, listen, length);
  host[length] = 0;
  long port = strtol(colon + 1, NULL, 10);
  snprintf(where->host, sizeof where->host, "%s", host[0] != 0 ? host : "0.0.0.0");
  char *name = host;
  if (host[0] == '[') {
    host[length - 1] = 0;
    name = host + 1;
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
  int rc = getaddrinfo(name[0] != 0 ? name : "0.0.0.0", NULL, &hints, &list);
  if (rc != 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "cannot listen on \"%s\": %s", listen,
                           gai_strerror(rc));
  char numeric[64];
  rc = getnameinfo(list->ai_addr, list->ai_addrlen, numeric, sizeof numeric, NULL, 0,
                   NI_NUMERICHOST);
  bool v4 = list->ai_family == AF_INET;
  where->socket_size = list->ai_addrlen;
  memcpy(&where->socket, list->ai_addr, list->ai_addrlen);
  freeaddrinfo(list);
  if (rc != 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "cannot listen on \"%s\": %s", listen,
                           gai_strerror(rc));
  if (v4)
    ((struct sockaddr_in *)&where->socket)->sin_port = htons((uint16_t)port);
  else
    ((struct sockaddr_in6 *)&where->socket)->sin6_port = htons((uint16_t)port);
  snprintf(where->address, sizeof where->address, v4 ? "%s:%ld%s" : "[%s]:%ld%s", numeric, port,
           tls ? "s" : "");
  return TESS_OK;
}

/* civetweb's last words are that the ports failed: the system says why. NULL: it is something
 * else, or no longer so. */
static const char *why_not(const place *where) {
  const int yes = 1;
  const int fd = socket(where->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
              bind(fd, (const struct sockaddr *)&where->socket, where->socket_size) == 0 &&
              listen(fd, 1) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  return good ? NULL : strerror(error);
}

static void init_library(void) {
  mg_init_library(0);
}

/* Threads made from here on take no asynchronous signals: those belong to the
 * program's own threads. */
static void block_signals(sigset_t *before) {
  sigset_t set;
  sigfillset(&set);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
    sigdelset(&set, faults[i]);
  pthread_sigmask(SIG_BLOCK, &set, before);
}

/* Over loopback cubic moves twice what bbr does; accepted sockets inherit it. */
static void tune_listener(const struct mg_context *context) {
  int fd = tess__civetweb_listener(context);
  struct sockaddr_storage where;
  socklen_t size = sizeof where;
  if (fd < 0 || getsockname(fd, (struct sockaddr *)&where, &size) != 0) return;
  bool loopback = false;
  if (where.ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&where;
    loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  } else if (where.ss_family == AF_INET6) {
    loopback = IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&where)->sin6_addr);
  }
  /* Not available everywhere, and then not missed. */
  if (loopback && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0) errno = 0;
}

static tess_code start_civetweb(tess_http_server *server, const char *listen, const place *where,
                                size_t connections, int64_t header_ms, tess_status *status) {
  char threads[24], queue[24], body_ms[24], idle_ms[24], error[256] = "";
  /* Some more threads than connections, to turn away those over the limit; idle
   * and head time limits are the watcher's, civetweb's are a second line. */
  snprintf(threads, sizeof threads, "%zu", connections + connections / 8 + 8);
  snprintf(queue, sizeof queue, "%zu", connections / 4 + 16);
  snprintf(body_ms, sizeof body_ms, "%lld",
           (long long)(server->site.body_timeout_ms > header_ms ? server->site.body_timeout_ms
                                                                : header_ms));
  snprintf(idle_ms, sizeof idle_ms, "%lld", (long long)server->site.idle_timeout_ms + 1000);
  const char *const config[] = {"listening_ports",
                                where->address,
                                "num_threads",
                                threads,
                                "connection_queue",
                                queue,
                                "listen_backlog",
                                "1024",
                                "tcp_nodelay",
                                "1",
                                "enable_keep_alive",
                                "yes",
                                "keep_alive_timeout_ms",
                                idle_ms,
                                "request_timeout_ms",
                                body_ms,
                                "max_request_size",
                                "65536",
                                "decode_url",
                                "no",
                                NULL};
  struct mg_callbacks callbacks = {.begin_request = on_request,
                                   .log_message = on_log,
                                   .init_connection = on_connect,
                                   .connection_close = on_close,
                                   .exit_thread = on_thread_exit,
                                   .external_ssl_ctx = on_tls_context,
                                   .http_error = on_http_error};
  struct mg_init_data init = {.callbacks = &callbacks,
                              .user_data = server,
                              .configuration_options = (const char **)(uintptr_t)config};
  struct mg_error_data failure = {.text = error, .text_buffer_size = sizeof error};
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_library);
  sigset_t before;
  block_signals(&before);
  server->context = mg_start2(&init, &failure);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (server->context == NULL) {
    const char *why = why_not(where);
    if (why == NULL) why = server->problem[0] != 0 ? server->problem : error;
    return tess_status_set(status, TESS_UNAVAILABLE, "cannot listen on %s: %s", listen, why);
  }
  tune_listener(server->context);
  return TESS_OK;
}

static size_t or_default(size_t value, size_t fallback) {
  return value != 0 ? value : fallback;
}

static int64_t ms_or_default(int64_t value, int64_t fallback) {
  if (value > LONGEST_MS) return LONGEST_MS;
  return value > 0 ? value : fallback;
}

tess_http_server *tess_http_server_start(const tess_http_server_options *options,
                                         tess_status *status) {
  place where;
  if (options == NULL || options->handler.open == NULL) {
    tess_status_set(status, TESS_INVALID_ARGUMENT, "an HTTP server needs a handler");
    return NULL;
  }
  if (resolve(&where, options->listen, options->tls != NULL, status) != TESS_OK) return NULL;

  tess_http_server *server = calloc(1, sizeof *server);
  if (server == NULL) goto no_memory;
  pthread_mutex_init(&server->log_lock, NULL);
  server->log = options->log;
  server->log_ctx = options->log_ctx;
  if (options->cors_origin != NULL && (server->cors_origin = strdup(options->cors_origin)) == NULL)
    goto no_memory;
  if (options->drain_path != NULL && (server->drain_path = strdup(options->drain_path)) == NULL)
    goto no_memory;
  if (options->tls != NULL && (server->tls = tess__tls_new(options->tls, status)) == NULL) {
    tess_http_server_free(server);
    return NULL;
  }
  tess__site *site = &server->site;
  site->handler = options->handler;
  site->max_body_bytes = options->max_body_bytes;
  site->drain_path = server->drain_path;
  site->body_timeout_ms = ms_or_default(options->body_timeout_ms, 30000);
  site->idle_timeout_ms = ms_or_default(options->idle_timeout_ms, 60000);
  site->pages = (tess__pages){.files = options->static_files,
                              .cors_origin = server->cors_origin,
                              .metrics = options->metrics,
                              .metrics_ctx = options->metrics_ctx,
                              .ready = options->ready,
                              .ready_ctx = options->ready_ctx};
  if (!tess__pages_init(&site->pages)) goto no_memory;
  size_t connections = or_default(options->max_connections, 256);
  int64_t header_ms = ms_or_default(options->header_timeout_ms, 3000);
  server->header_timeout_ms = header_ms;
  tess__watch_options watch = {.max_connections = connections,
                               .header_timeout_ms = header_ms,
                               .idle_timeout_ms = site->idle_timeout_ms};
  site->watch = tess__watch_new(&watch);
  if (site->watch == NULL) goto no_memory;
  if (start_civetweb(server, options->listen, &where, connections, header_ms, status) != TESS_OK) {
    tess_http_server_free(server);
    return NULL;
  }
  struct mg_server_port port;
  if (mg_get_server_ports(server->context, 1, &port) < 1) {
    tess_status_set(status, TESS_INTERNAL, "civetweb does not tell its port");
    tess_http_server_free(server);
    return NULL;
  }
  snprintf(server->url, sizeof server->url, "%s://%s:%d", server->tls != NULL ? "https" : "http",
           where.host, port.port);
  return server;

no_memory:
  tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory for an HTTP server");
  tess_http_server_free(server);
  return NULL;
}

const char *tess_http_server_url(const tess_http_server *server) {
  return server->url;
}

tess_code tess_http_server_reload_tls(tess_http_server *server, const tess_tls_options *options,
                                      tess_status *status) {
  if (server->tls == NULL)
    return tess_status_set(status, TESS_FAILED_PRECONDITION, "this server has no TLS");
  return tess__tls_reload(server->tls, options, status);
}

/* ---- end ---- */

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

bool tess_http_server_drain(tess_http_server *server, int64_t grace_ms) {
  tess__watch *watch = server->site.watch;
  int64_t until_ms = tess__deadline_after(tess__monotonic_ms(), grace_ms > 0 ? grace_ms : 0);
  bool finished = true;
  atomic_store(&server->site.draining, true);
  for (;;) {
    int64_t left_ms = until_ms - tess__monotonic_ms();
    if (tess__watch_busy(watch, NULL) == 0) break;
    tess__watch_close_idle(watch, false);
    if (left_ms <= 0) {
      finished = false;
      break;
    }
    sleep_ms(left_ms < 10 ? (long)left_ms : 10);
  }
  tess__watch_close_idle(watch, true);
  if (finished) return true;
  tess__watch_abort_all(watch);
  /* They are awake now and end by themselves; a handler that computes on its
   * connection's thread is waited for in tess_http_server_free. */
  return false;
}

/* civetweb writes nothing more once it is told to stop. */
static void await_last_words(tess_http_server *server) {
  const int64_t until_ms = tess__monotonic_ms() + TESS__LAST_WORDS_MS;
  while (tess__watch_busy(server->site.watch, NULL) > 0 && tess__monotonic_ms() < until_ms)
    sleep_ms(1);
}

void tess_http_server_free(tess_http_server *server) {
  if (server == NULL) return;
  if (server->context != NULL) {
    tess_http_server_drain(server, 0);
    await_last_words(server);
    mg_stop(server->context);
  }
  tess__tls_free(server->tls);
  tess__watch_free(server->site.watch);
  tess__pages_cleanup(&server->site.pages);
  pthread_mutex_destroy(&server->log_lock);
  free(server->cors_origin);
  free(server->drain_path);
  free(server);
}
