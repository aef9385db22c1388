/* SPDX-License-Identifier: Apache-2.0
 *
 * civetweb, compiled as part of this file so that things which its API hides can
 * be asked for: the sockets of a connection and of a listener, and the beginning
 * of a TLS handshake. civetweb has no call that says whether a client has gone,
 * ends a connection from outside, or sets a socket option; with the descriptor the
 * kernel does all three.
 *
 * And so that a small request costs less: the head of a request is read by the
 * call that waits for it, in place of poll and then recv, and characters and time
 * limits are read without a call into the C library for each.
 *
 * And so that a request is read in one way only: a head is checked before civetweb's
 * parser cuts it up (http_request_head.h), and the sizes of chunks are.
 *
 * And so that a server that stops closes what it accepted: civetweb forgets the
 * connections that none of its threads has begun with.
 *
 * Its warnings are not ours: CMake compiles this file without them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rpc/civetweb_unity.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "rpc/http_request_head.h"

#ifndef NO_SSL
#include <openssl/ssl.h>

static int accept_watched(SSL *ssl) {
  tess__civetweb_on_handshake((struct mg_connection *)SSL_get_app_data(ssl));
  return SSL_accept(ssl);
}
#define SSL_accept accept_watched
#endif

static int poll_or_read(struct pollfd *fds, nfds_t count, int limit_ms);
static ssize_t recv_or_take(int socket, void *data, size_t size, int flags);
static double whole_number(const char *text);
static unsigned long chunk_or_number(const char *text, char **end, int base);
static int read_request_head(struct mg_connection *connection);
static int accept_noted(int listener, struct sockaddr *peer, socklen_t *size);
static int signal_queued(pthread_cond_t *condition);

#define poll(fds, count, limit_ms) poll_or_read(fds, count, limit_ms)
#define recv(socket, data, size, flags) recv_or_take(socket, data, size, flags)
#define send(socket, data, size, flags) send(socket, data, size, (flags) | MSG_DONTWAIT)
/* civetweb reads its time limits with it, two for each request: ours are whole. */
#define strtod(text, end) whole_number(text)
#define strtoul(text, end, base) chunk_or_number(text, end, base)
#define accept(listener, peer, size) accept_noted(listener, peer, size)
#define pthread_cond_signal(condition) signal_queued(condition)
/* As in the C locale; and the tab, which the values of headers may have. */
#undef isprint
#undef tolower
#define isprint(c) (((c) >= 32 && (c) < 127) || (c) == '\t')
#define tolower(c) ((c) >= 'A' && (c) <= 'Z' ? (c) + ('a' - 'A') : (c))

#define MG_EXTERNAL_FUNCTION_log_access /* external_log_access.inl */
#include <civetweb.c>

#undef read_message
#undef poll
#undef recv
#undef send
#undef strtod
#undef strtoul
#undef accept
#undef pthread_cond_signal

static double whole_number(const char *text) {
  double value = 0;
  for (; *text >= '0' && *text <= '9'; text++)
    value = value * 10 + (*text - '0');
  return value;
}

/* ---- heads ----
 *
 * The socket of a plain connection blocks, for as long as civetweb polls between
 * looks at its stop flag; all but the reading of a head is done with MSG_DONTWAIT,
 * as if it did not. Where civetweb would poll for more of a head, the bytes are
 * read to where it will ask for them next. */
static _Thread_local struct {
  const struct mg_connection *connection; /* of this thread; NULL: polls */
  bool done;                              /* size and error are those of a recv */
  ssize_t size;
  int error;
} head;

void tess__civetweb_read_heads(const struct mg_connection *connection) {
  struct timeval limit = {.tv_usec = SOCKET_TIMEOUT_QUANTUM * 1000};
  int socket = connection->client.sock, no = 0;
  head.done = false;
  head.connection = NULL;
  if (connection->ssl != NULL) return;
  if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
      ioctl(socket, FIONBIO, &no) == 0)
    head.connection = connection;
}

void tess__civetweb_heads_end(void) {
  head.done = false;
  head.connection = NULL;
}

static int poll_or_read(struct pollfd *fds, nfds_t count, int limit_ms) {
  const struct mg_connection *c = head.connection;
  if (c == NULL || count != 1 || fds->fd != c->client.sock || (fds->events & POLLIN) == 0 ||
      c->request_len != 0 || c->data_len >= c->buf_size || limit_ms < SOCKET_TIMEOUT_QUANTUM)
    return poll(fds, count, limit_ms);
  head.size = recv(fds->fd, c->buf + c->data_len, (size_t)(c->buf_size - c->data_len), 0);
  if (head.size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  /* A recv with a limit ends when the process was stopped and goes on (signal(7)); a poll
   * does not. */
  if (head.size < 0 && errno == EINTR) return poll(fds, count, limit_ms);
  head.error = errno;
  head.done = true;
  fds->revents = POLLIN;
  return 1;
}

static ssize_t recv_or_take(int socket, void *data, size_t size, int flags) {
  if (!head.done) return recv(socket, data, size, flags | MSG_DONTWAIT);
  head.done = false;
  if (head.size < 0) errno = head.error;
  return head.size;
}

/* In place of civetweb's read_message, which counts a head's bytes up to the first empty
 * line, while its parser skips blanks first and takes the head that comes after them:
 * what followed would be read as body and again as a request. So blank lines are taken
 * away here. The bytes of a head; 0: the buffer is full of one; negative: there is none,
 * or none that is acceptable. */
enum { MAX_BLANK_BYTES = 16 };

static _Thread_local struct {
  int status; /* 0: civetweb's own */
  const char *why;
  bool asterisk;
} verdict;

static int read_request_head(struct mg_connection *c) {
  size_t blank = 0;
  memset(&verdict, 0, sizeof verdict);
  for (;;) {
    int result = read_message(NULL, c, c->buf, c->buf_size, &c->data_len);
    if (result == -2) { /* too long; civetweb forgets why */
      const char *line_end = memchr(c->buf, '\n', (size_t)c->data_len);
      bool by_target = line_end == NULL || line_end - c->buf > c->data_len / 2;
      verdict.status = by_target ? 414 : 431;
      verdict.why = by_target ? "the request target is too long" : "the request head is too large";
      return 0;
    }
    if (result <= 0) return result;
    size_t size = (size_t)c->data_len, head_size = (size_t)result;
    size_t skip = tess__request_head_blank(c->buf, size);
    blank += skip;
    if (blank > MAX_BLANK_BYTES) return -1;
    if (skip == 0) {
      verdict.status = tess__request_head_prepare(c->buf, &head_size, &size, MG_MAX_HEADERS,
                                                  &verdict.asterisk, &verdict.why);
      c->data_len = (int)size;
      return verdict.status == 0 ? (int)head_size : -1;
    }
    memmove(c->buf, c->buf + skip, size - skip);
    c->data_len = (int)(size - skip);
  }
}

int tess__civetweb_refused(const char **why) {
  *why = verdict.why;
  return verdict.status;
}

bool tess__civetweb_asterisk(void) {
  return verdict.asterisk;
}

/* The size of a chunk is digits and CRLF, and no more than can be added up; civetweb
 * takes any end behind it that is not this text's for an error. */
static unsigned long chunk_or_number(const char *text, char **end, int base) {
  if (base != 16) return strtoul(text, end, base);
  size_t digits = strspn(text, "0123456789abcdefABCDEF"), zeros = strspn(text, "0");
  *end = (char *)text;
  if (digits == 0 || strcmp(text + digits, "\r\n") != 0 || digits > zeros + 15) return 1;
  return strtoul(text, end, 16);
}

/* ---- trailers ----
 *
 * Behind the last chunk civetweb takes two bytes, and where those are not the end it closes
 * the connection after the reply: a client that sends trailers would find it closed under
 * its next request. What the two were is not known here; so a name of one letter is refused,
 * and no more than a header's line can follow them: no request line is taken for one. */
enum { CHUNKS_ARE_WRONG = 2, CHUNKS_END_OTHERWISE = 3, CHUNKS_END = 4, MAX_TRAILER_BYTES = 8192 };

static bool drop_trailers(struct mg_connection *c) {
  tess__trailers state = TESS__TRAILERS_NAME;
  for (int i = 0; i < MAX_TRAILER_BYTES && state < TESS__TRAILERS_DONE; i++) {
    char byte;
    c->content_len++;
    if (mg_read_inner(c, &byte, 1) != 1) return false;
    state = tess__trailers_next(state, byte);
  }
  return state == TESS__TRAILERS_DONE;
}

int tess__civetweb_read(struct mg_connection *c, void *data, size_t size) {
  int read = mg_read(c, data, size);
  /* Fewer than the two: the connection has broken, or it is too slow. */
  if (read < 0 || c->is_chunked != CHUNKS_END_OTHERWISE || c->consumed_content != c->content_len)
    return read;
  bool dropped = drop_trailers(c);
  c->is_chunked = dropped ? CHUNKS_END : CHUNKS_ARE_WRONG;
  return dropped ? read : -1;
}

/* ---- connections that nobody has begun with ----
 *
 * While it stops, civetweb forgets a connection for which the queue has no room, those
 * in the queue, and those that a thread took out of it too late: their clients would
 * wait for as long as this process lives. */
static _Thread_local int accepted = -1; /* the master's: on its way into the queue */

static int accept_noted(int listener, struct sockaddr *peer, socklen_t *size) {
  return accepted = accept(listener, peer, size);
}

/* With the queue's lock. The master says so whether it had room or not. */
static int signal_queued(pthread_cond_t *condition) {
  if (accepted >= 0) {
    const struct mg_context *context =
        (const void *)((const char *)condition - offsetof(struct mg_context, sq_full));
    int last = (context->sq_head + context->sq_size - 1) % context->sq_size;
    if (context->squeue[last].sock != accepted) close(accepted);
    accepted = -1;
  }
  return pthread_cond_signal(condition);
}

void tess__civetweb_close_waiting(const struct mg_context *context) {
  for (int i = context->sq_tail; i < context->sq_head; i++)
    close(context->squeue[i % context->sq_size].sock);
  for (unsigned i = 0; i < context->cfg_worker_threads; i++) {
    const struct socket *last = &context->worker_connections[i].client;
    /* One that was begun with is closed and says so; a thread that never had any has
     * no address here. */
    if (last->sock != INVALID_SOCKET && last->rsa.sa.sa_family != AF_UNSPEC) close(last->sock);
  }
}

/* ---- what civetweb hides ---- */

int tess__civetweb_socket(const struct mg_connection *connection) {
  return connection->client.sock;
}

int tess__civetweb_listener(const struct mg_context *context) {
  return context->num_listening_sockets > 0 ? context->listening_sockets[0].sock : -1;
}

void *tess__civetweb_ssl(const struct mg_connection *connection) {
  return connection->ssl;
}
