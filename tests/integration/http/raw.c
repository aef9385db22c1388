/* SPDX-License-Identifier: Apache-2.0
 *
 * See raw.h.
 */
#include "tests/integration/http/raw.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int raw_connect(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct timeval limit = {20, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}

bool raw_send(int fd, const void *data, size_t size) {
  const char *p = data;
  while (size > 0) {
    ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

bool raw_text(int fd, const char *text) {
  return raw_send(fd, text, strlen(text));
}

/* Up to size bytes; 0: closed, reset or too late. */
static size_t take(int fd, void *data, size_t size, int64_t until_ms) {
  for (;;) {
    int64_t left = until_ms - now_ms();
    if (left <= 0) return 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, (int)left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    ssize_t got = recv(fd, data, size, 0);
    if (got < 0 && errno == EINTR) continue;
    return got > 0 ? (size_t)got : 0;
  }
}

static bool take_all(int fd, void *data, size_t size, int64_t until_ms) {
  uint8_t *p = data;
  while (size > 0) {
    size_t n = take(fd, p, size, until_ms);
    if (n == 0) return false;
    p += n;
    size -= n;
  }
  return true;
}

static bool take_line(int fd, char *line, size_t room, int64_t until_ms) {
  size_t n = 0;
  while (n + 1 < room) {
    if (!take_all(fd, line + n, 1, until_ms)) return false;
    n++;
    if (n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n') {
      line[n - 2] = 0;
      return true;
    }
  }
  return false;
}

static void append(raw_response *r, size_t size) {
  r->body = realloc(r->body, r->size + size + 1);
  ck_assert_ptr_nonnull(r->body);
}

raw_response raw_read(int fd, int timeout_ms, bool head_request) {
  raw_response r = {0};
  int64_t until_ms = now_ms() + timeout_ms;
  size_t room = 65536, n = 0;
  r.head = calloc(1, room);
  ck_assert_ptr_nonnull(r.head);
  while (n + 1 < room) {
    if (!take_all(fd, r.head + n, 1, until_ms)) return r;
    n++;
    if (n >= 4 && memcmp(r.head + n - 4, "\r\n\r\n", 4) == 0) break;
  }
  ck_assert_int_eq(sscanf(r.head, "HTTP/1.1 %3d ", &r.status), 1);
  append(&r, 0);
  r.body[0] = 0;
  if (head_request || r.status < 200 || r.status == 204 || r.status == 304) {
    r.complete = true;
    return r;
  }
  const char *length = raw_header(&r, "content-length");
  const char *coding = raw_header(&r, "transfer-encoding");
  if (coding != NULL && strcasecmp(coding, "chunked") == 0) {
    char line[64];
    while (take_line(fd, line, sizeof line, until_ms)) {
      size_t size = strtoul(line, NULL, 16);
      append(&r, size);
      if (size > 0 && !take_all(fd, r.body + r.size, size, until_ms)) break;
      r.size += size;
      if (!take_line(fd, line, sizeof line, until_ms) || line[0] != 0) break;
      if (size == 0) {
        r.complete = true;
        break;
      }
    }
  } else if (length != NULL) {
    size_t size = strtoul(length, NULL, 10);
    append(&r, size);
    r.complete = take_all(fd, r.body, size, until_ms);
    if (r.complete) r.size = size;
  } else {
    for (;;) {
      append(&r, 65536);
      size_t got = take(fd, r.body + r.size, 65536, until_ms);
      if (got == 0) break;
      r.size += got;
    }
    r.complete = true;
  }
  r.body[r.size] = 0;
  return r;
}

void raw_free(raw_response *r) {
  free(r->head);
  free(r->body);
  memset(r, 0, sizeof *r);
}

const char *raw_header(const raw_response *r, const char *name) {
  static char value[4096];
  size_t size = strlen(name);
  for (const char *line = r->head; line != NULL; line = strstr(line, "\r\n")) {
    if (line[0] == '\r') line += 2;
    if (strncasecmp(line, name, size) != 0 || line[size] != ':') continue;
    line += size + 1;
    line += strspn(line, " ");
    size_t n = strcspn(line, "\r");
    ck_assert_uint_lt(n, sizeof value);
    memcpy(value, line, n);
    value[n] = 0;
    return value;
  }
  return NULL;
}

bool raw_closed(int fd, int timeout_ms) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, timeout_ms) <= 0) return false;
  char byte;
  return recv(fd, &byte, 1, 0) <= 0;
}

int raw_status(int port, const char *request) {
  int fd = raw_connect(port);
  raw_text(fd, request);
  raw_response r = raw_read(fd, 5000, false);
  int status = r.status;
  raw_free(&r);
  close(fd);
  return status;
}
