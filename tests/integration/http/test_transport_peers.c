/* SPDX-License-Identifier: Apache-2.0
 *
 * The libcurl transport where there is no server, and against servers on bare
 * sockets: those that misbehave, and those that do what is rare.
 */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/raw.h"
#include "tests/integration/http/transport_rig.h"
#include "tests/unit/run_case.h"

START_TEST(no_server) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0); /* bound, not listening */
  ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
  call *c = call_new(t, ntohs(at.sin_port), "GET", "/echo", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_UNAVAILABLE);
  ck_assert_msg(strstr(c->detail, "onnect") != NULL, "%s", c->detail);
  ck_assert_int_eq(atomic_load(&c->heads), 0);
  call_free(c);
  close(fd);
}
END_TEST

START_TEST(bad_urls) {
  static const char *const urls[] = {"http://", "ftp://127.0.0.1/x", "file:///etc/passwd", ""};
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    call *c = call_new(t, s.port, "GET", "/echo", NULL, 0);
    c->base.url = urls[i];
    ck_assert_int_eq(call_run(c), TESS_INVALID_ARGUMENT);
    call_free(c);
  }
  call *c = call_new(t, s.port, "GET", "/echo", NULL, 0);
  c->base.url = "http://no-such-host.invalid/x";
  c->base.deadline_ms = t->ops->now_ms(t) + 15000;
  tess_code code = call_run(c);
  ck_assert_msg(code == TESS_UNAVAILABLE, "%d %s", code, c->detail);
  call_free(c);
}
END_TEST

/* ---- servers on bare sockets ---- */

typedef struct fake {
  int listener, port, replies; /* how many requests a connection is good for */
  _Atomic int connections, requests;
  const char *reply;
  pthread_t thread;
} fake;

/* Answers `replies` requests per connection and closes then, without a word. */
static void *fake_main(void *arg) {
  fake *f = arg;
  for (;;) {
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0) return NULL;
    atomic_fetch_add(&f->connections, 1);
    char data[65536];
    for (int i = 0; i < f->replies; i++) {
      size_t size = 0, want = 0;
      while (want == 0 || size < want) {
        ssize_t n = recv(fd, data + size, sizeof data - 1 - size, 0);
        if (n <= 0) break;
        size += (size_t)n;
        data[size] = 0;
        char *end = strstr(data, "\r\n\r\n");
        if (end == NULL) continue;
        char *length = strstr(data, "Content-Length: ");
        want = (size_t)(end + 4 - data) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
      }
      if (want == 0 || size < want) break;
      atomic_fetch_add(&f->requests, 1);
      raw_text(fd, f->reply);
    }
    close(fd);
  }
}

static void fake_listen(fake *f, void *(*serve)(void *)) {
  f->listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ck_assert_int_eq(bind(f->listener, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(listen(f->listener, 16), 0);
  ck_assert_int_eq(getsockname(f->listener, (struct sockaddr *)&at, &size), 0);
  f->port = ntohs(at.sin_port);
  ck_assert_int_eq(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void fake_start(fake *f, int replies, const char *reply) {
  *f = (fake){.replies = replies, .reply = reply};
  fake_listen(f, fake_main);
}

static void fake_stop(fake *f) {
  shutdown(f->listener, SHUT_RDWR);
  pthread_join(f->thread, NULL);
  close(f->listener);
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

START_TEST(server_closes_between_requests) {
  fake f;
  fake_start(&f, 1, OK_REPLY);
  tess_slice piece = {"body", 4};
  for (int i = 0; i < 20; i++) {
    call *c = call_new(t, f.port, "POST", "/x", &piece, 1);
    ck_assert_msg(call_run(c) == TESS_OK, "call %d: %s", i, c->detail);
    ck_assert_uint_eq(c->size, 2);
    call_free(c);
    if (i % 2 == 0) site_sleep_ms(5); /* time to see the close, and no time */
  }
  ck_assert_int_eq(atomic_load(&f.requests), 20);
  fake_stop(&f);
}
END_TEST

/* Takes the second request of a connection whole and closes without an answer. */
static void *fickle_main(void *arg) {
  fake *f = arg;
  for (;;) {
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0) return NULL;
    int n = atomic_fetch_add(&f->connections, 1);
    char *data = malloc(1 << 20);
    size_t got = 0;
    while (got < 200000) {
      ssize_t k = recv(fd, data, 1 << 20, 0);
      if (k <= 0) break;
      got += (size_t)k;
    }
    if (got >= 200000) {
      atomic_fetch_add(&f->requests, 1);
      raw_text(fd, OK_REPLY);
      /* Half of the next request, and gone. */
      ssize_t k = 1;
      for (size_t half = 0; n == 0 && half < 100000 && k > 0; half += (size_t)k)
        k = recv(fd, data, 100000, 0);
      if (n > 0) site_sleep_ms(20);
    }
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    free(data);
  }
}

START_TEST(a_dead_reused_connection_is_retried_with_the_body_again) {
  fake f = {0};
  fake_listen(&f, fickle_main);
  uint8_t *data = calloc(1, 200000);
  tess_slice piece = {data, 200000};
  call *c = call_new(t, f.port, "POST", "/x", &piece, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  c = call_new(t, f.port, "POST", "/x", &piece, 1);
  ck_assert_msg(call_run(c) == TESS_OK, "%s", c->detail);
  ck_assert_int_ge(atomic_load(&c->rewinds), 1);
  call_free(c);
  ck_assert_int_eq(atomic_load(&f.connections), 2);
  free(data);
  fake_stop(&f);
}
END_TEST

START_TEST(bad_replies) {
  static const struct {
    const char *reply;
    tess_code code;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", TESS_UNAVAILABLE},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", TESS_UNAVAILABLE},
      {"HTTP/1.1 200 OK\r\nX-Bad: a\x01z\r\nContent-Length: 0\r\n\r\n", TESS_INTERNAL},
      {"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", TESS_INTERNAL},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", TESS_INTERNAL},
      {"", TESS_UNAVAILABLE},
      {"SSH-2.0-OpenSSH\r\n\r\n", TESS_INTERNAL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fake f;
    fake_start(&f, 1, cases[i].reply);
    call *c = call_new(t, f.port, "GET", "/x", NULL, 0);
    tess_code code = call_run(c);
    ck_assert_msg(code == cases[i].code, "case %zu: %d %s", i, code, c->detail);
    ck_assert_int_ne(c->detail[0], 0);
    call_free(c);
    fake_stop(&f);
  }
}
END_TEST

START_TEST(head_over_the_limit) {
  size_t size = 300 << 10;
  char *reply = malloc(size + 200);
  size_t n = (size_t)sprintf(reply, "HTTP/1.1 200 OK\r\n");
  while (n < size)
    n += (size_t)sprintf(reply + n, "x-%zu: %0200d\r\n", n, 1);
  sprintf(reply + n, "Content-Length: 0\r\n\r\n");
  fake f;
  fake_start(&f, 1, reply);
  call *c = call_new(t, f.port, "GET", "/x", NULL, 0);
  tess_code code = call_run(c);
  ck_assert_msg(code == TESS_RESOURCE_EXHAUSTED, "%d %s", code, c->detail);
  call_free(c);
  fake_stop(&f);
  free(reply);
}
END_TEST

/* Begins a header and never ends it. requests: how many pieces of 64 KiB went out. */
static void *endless_main(void *arg) {
  fake *f = arg;
  static char piece[64 << 10];
  memset(piece, 'a', sizeof piece);
  for (;;) {
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0) return NULL;
    char data[4096];
    if (recv(fd, data, sizeof data, 0) > 0 && raw_text(fd, f->reply))
      while (atomic_load(&f->requests) < 1600 && raw_send(fd, piece, sizeof piece))
        atomic_fetch_add(&f->requests, 1);
    close(fd);
  }
}

START_TEST(a_header_without_end) {
  static const char *const begins[] = {"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK"};
  for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
    fake f = {.reply = begins[i]};
    fake_listen(&f, endless_main);
    call *c = call_new(t, f.port, "GET", "/x", NULL, 0);
    tess_code code = call_run(c);
    ck_assert_msg(code == TESS_RESOURCE_EXHAUSTED, "%d %s", code, c->detail);
    ck_assert_msg(strstr(c->detail, "the response head is too large") != NULL, "%s", c->detail);
    call_free(c);
    fake_stop(&f);
    /* Given up early: what went out lies in the buffers of sockets. */
    ck_assert_int_lt(atomic_load(&f.requests), 400);
  }
}
END_TEST

START_TEST(interim_replies_and_reply_trailers) {
  fake f;
  fake_start(&f, 1,
             "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
             "HTTP/1.1 299 Odd But Fine\r\nContent-Type: text/plain\r\n"
             "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n");
  call *c = call_new(t, f.port, "GET", "/x", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 299);
  ck_assert_str_eq(c->content_type, "text/plain");
  ck_assert_uint_eq(c->size, 2);
  call_free(c);
  fake_stop(&f);
}
END_TEST

START_TEST(redirects_are_not_followed) {
  fake f;
  char reply[128];
  snprintf(reply, sizeof reply,
           "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/echo\r\nContent-Length: 0\r\n\r\n",
           s.port);
  fake_start(&f, 1, reply);
  call *c = call_new(t, f.port, "GET", "/x", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 302);
  ck_assert_int_eq(atomic_load(&s.opened), 0);
  call_free(c);
  fake_stop(&f);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 90);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, no_server);
  tcase_add_test(tcase, bad_urls);
  tcase_add_test(tcase, server_closes_between_requests);
  tcase_add_test(tcase, a_dead_reused_connection_is_retried_with_the_body_again);
  tcase_add_test(tcase, bad_replies);
  tcase_add_test(tcase, head_over_the_limit);
  tcase_add_test(tcase, a_header_without_end);
  tcase_add_test(tcase, interim_replies_and_reply_trailers);
  tcase_add_test(tcase, redirects_are_not_followed);
  return run_case("curl transport and its peers", tcase);
}
