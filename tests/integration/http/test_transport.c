/* SPDX-License-Identifier: Apache-2.0
 *
 * The libcurl transport against our own server, and against servers on bare
 * sockets that misbehave.
 */
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tessera/transport_curl.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

static site s;
static tess_transport *t;

static void setup(void) {
  site_start(&s, (tess_http_server_options){.idle_timeout_ms = 0});
  t = tess_transport_curl_new(NULL, NULL);
  ck_assert_ptr_nonnull(t);
}

static void teardown(void) {
  t->ops->free(t);
  site_stop(&s);
}

/* FNV-1a, 64 bits. */
static uint64_t sum(const uint8_t *data, size_t size) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < size; i++)
    h = (h ^ data[i]) * 1099511628211u;
  return h;
}

static call *echo(const void *data, size_t size, tess_slice *piece) {
  *piece = (tess_slice){data, size};
  return call_new(t, s.port, "POST", "/echo", piece, 1);
}

START_TEST(small_calls) {
  for (int i = 0; i < 200; i++) {
    tess_slice pieces[3] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
    call *c = call_new(t, s.port, "POST", "/echo", pieces, i % 3 == 0 ? 3 : 1);
    c->base.caller_waits = i % 2 == 0;
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_int_eq(c->status, 200);
    ck_assert_int_eq(c->reply_length, i % 3 == 0 ? 13 : 4);
    ck_assert_mem_eq(c->body, "one two three", c->size);
    ck_assert_uint_eq(c->size, i % 3 == 0 ? 13 : 4);
    call_free(c);
  }
  tess_slice nothing = {NULL, 0};
  call *c = call_new(t, s.port, "POST", "/echo", &nothing, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_uint_eq(c->size, 0);
  call_free(c);
}
END_TEST

START_TEST(one_connection_is_reused) {
  for (int i = 0; i < 20; i++) {
    tess_slice piece;
    call *c = echo("x", 1, &piece);
    ck_assert_int_eq(call_run(c), TESS_OK);
    call_free(c);
  }
  call *c = call_new(t, s.port, "GET", "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 1\n"));
  call_free(c);
}
END_TEST

START_TEST(headers_as_sent) {
  call *c = call_new(t, s.port, "GET", "/headers?q=1", NULL, 0);
  tess_metadata_add(&c->headers, "x-custom", "some value");
  tess_metadata_add(&c->headers, "x-empty", "");
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body = realloc(c->body, c->size + 1);
  c->body[c->size] = 0;
  const char *text = (const char *)c->body;
  ck_assert_ptr_nonnull(strstr(text, "GET|q=1|127.0.0.1:"));
  ck_assert_ptr_nonnull(
      strstr(text, "content-type=application/proto;x-custom=some value;x-empty=;"));
  ck_assert_ptr_null(strstr(text, "expect="));
  ck_assert_ptr_null(strstr(text, "accept="));
  call_free(c);
  tess_slice piece = {"x", 1};
  c = call_new(t, s.port, "POST", "/headers", &piece, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body = realloc(c->body, c->size + 1);
  c->body[c->size] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "content-length=1;"));
  ck_assert_ptr_null(strstr((char *)c->body, "expect="));
  call_free(c);
}
END_TEST

START_TEST(large_body_both_ways) {
  size_t size = 64u << 20, half = 20000003;
  uint8_t *data = malloc(size);
  for (size_t i = 0; i < size; i++)
    data[i] = site_pattern(i);
  tess_slice pieces[4] = {
      {data, 7}, {data + 7, half}, {data + 7 + half, 0}, {data + 7 + half, size - half - 7}};
  call *c = call_new(t, s.port, "POST", "/echo", pieces, 4);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 200);
  ck_assert_uint_eq(c->size, size);
  ck_assert_uint_eq(sum(c->body, size), sum(data, size));
  call_free(c);
  free(data);
}
END_TEST

START_TEST(parallel_from_one_thread) {
  enum { N = 64 };
  call *calls[N];
  uint8_t *data = malloc(200000);
  for (size_t i = 0; i < 200000; i++)
    data[i] = site_pattern(i);
  tess_slice pieces[N];
  for (int i = 0; i < N; i++) {
    pieces[i] = (tess_slice){data, (size_t)(i % 2 == 0 ? 100 + i : 150000 + i)};
    calls[i] = call_new(t, s.port, "POST", "/echo", &pieces[i], 1);
    ck_assert_int_eq(t->ops->start(t, &calls[i]->base, NULL), TESS_OK);
  }
  for (int i = 0; i < N; i++) {
    ck_assert(t->ops->wait(t, call_is_over, calls[i], t->ops->now_ms(t) + 30000));
    ck_assert_int_eq(calls[i]->code, TESS_OK);
    ck_assert_uint_eq(calls[i]->size, pieces[i].size);
    ck_assert_uint_eq(sum(calls[i]->body, calls[i]->size), sum(data, pieces[i].size));
    call_free(calls[i]);
  }
  free(data);
}
END_TEST

static void *many_calls(void *arg) {
  uint8_t *data = arg;
  for (int i = 0; i < 50; i++) {
    tess_slice piece;
    call *c = echo(data, 1 + (size_t)i * 7, &piece);
    c->base.caller_waits = i % 2 == 0;
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_uint_eq(c->size, piece.size);
    ck_assert_mem_eq(c->body, data, c->size);
    call_free(c);
  }
  return NULL;
}

START_TEST(parallel_from_many_threads) {
  enum { N = 24 };
  pthread_t threads[N];
  uint8_t data[1024];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = site_pattern(i);
  for (int i = 0; i < N; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, many_calls, data), 0);
  for (int i = 0; i < N; i++)
    pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(ends_without_anybody_waiting) {
  tess_slice piece;
  call *c = echo("x", 1, &piece);
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 300 && !call_is_over(c); i++)
    site_sleep_ms(10);
  ck_assert(call_is_over(c));
  ck_assert_int_eq(c->code, TESS_OK);
  /* And waiting for what is over already ends at once. */
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 1000));
  call_free(c);
}
END_TEST

static bool never(void *ctx) {
  (void)ctx;
  return false;
}

START_TEST(wait_has_an_end) {
  int64_t began = t->ops->now_ms(t);
  ck_assert(!t->ops->wait(t, never, NULL, began + 100));
  ck_assert_int_ge(t->ops->now_ms(t) - began, 100);
  ck_assert_int_lt(t->ops->now_ms(t) - began, 2000);
}
END_TEST

START_TEST(deadline) {
  call *c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  int64_t began = t->ops->now_ms(t);
  c->base.deadline_ms = began + 150;
  ck_assert_int_eq(call_run(c), TESS_DEADLINE_EXCEEDED);
  int64_t took = t->ops->now_ms(t) - began;
  ck_assert_int_ge(took, 150);
  ck_assert_int_lt(took, 1500);
  call_free(c);
  /* The server notices, and ends the exchange. */
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  /* Passed already. */
  c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  c->base.deadline_ms = began;
  ck_assert_int_eq(call_run(c), TESS_DEADLINE_EXCEEDED);
  call_free(c);
}
END_TEST

static void *cancel_soon(void *arg) {
  call *c = arg;
  site_sleep_ms(50);
  c->transport->ops->cancel(c->transport, &c->base);
  return NULL;
}

START_TEST(cancel_while_waiting) {
  call *c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, c), 0);
  ck_assert_int_eq(call_run(c), TESS_CANCELED);
  pthread_join(thread, NULL);
  t->ops->cancel(t, &c->base); /* over: nothing happens */
  call_free(c);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
}
END_TEST

START_TEST(cancel_in_mid_body) {
  size_t size = 1 << 20;
  uint8_t *data = calloc(1, size);
  tess_slice pieces[2] = {{data, size}, {data, size}};
  call *c = call_new(t, s.port, "POST", "/echo", pieces, 2);
  c->hold = true; /* only the first piece goes */
  atomic_store(&c->released, 1);
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 1000 && atomic_load(&s.opened) == 0; i++)
    site_sleep_ms(10);
  site_sleep_ms(50);
  t->ops->cancel(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_CANCELED);
  call_free(c);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  /* The transport is as good as new. */
  tess_slice piece;
  c = echo(data, 1000, &piece);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  free(data);
}
END_TEST

START_TEST(streamed_upload_pauses_and_resumes) {
  tess_slice pieces[5] = {
      {"0123456789", 10}, {"abcdefghij", 10}, {"ABCDEFGHIJ", 10}, {"9876543210", 10}, {"end", 3}};
  call *c = call_new(t, s.port, "POST", "/stream", pieces, 5);
  c->base.content_length = -1;
  c->hold = true;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 5; i++) {
    atomic_store(&c->released, i + 1);
    t->ops->resume(t, &c->base);
    /* What was sent comes back before the next is sent. */
    for (int k = 0; i < 4 && k < 300 && atomic_load(&c->bodies) < i + 1; k++)
      site_sleep_ms(10);
    if (i < 4) ck_assert_int_ge(atomic_load(&c->bodies), i + 1);
  }
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_int_eq(c->reply_length, -1);
  ck_assert_uint_eq(c->size, 43);
  ck_assert_mem_eq(c->body, "0123456789abcdefghijABCDEFGHIJ9876543210end", 43);
  call_free(c);
}
END_TEST

START_TEST(receiver_pauses) {
  call *c = call_new(t, s.port, "GET", "/big?8000000", NULL, 0);
  c->pause_after = 100000;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 100 && atomic_load(&c->bodies) == 0; i++)
    ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 50));
  ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 200));
  /* on_body itself asserts that nothing came meanwhile. */
  ck_assert(c->paused);
  ck_assert_uint_lt(c->size, 8000000);
  c->paused = false;
  t->ops->resume(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 10000));
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_uint_eq(c->size, 8000000);
  for (size_t i = 0; i < c->size; i += 997)
    ck_assert_uint_eq(c->body[i], site_pattern(i));
  call_free(c);
  /* Paused by the last bytes: the end waits as well. */
  c = call_new(t, s.port, "GET", "/big?10", NULL, 0);
  c->pause_after = 5;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 100));
  c->paused = false;
  t->ops->resume(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_OK);
  call_free(c);
}
END_TEST

START_TEST(early_refusal_of_a_large_body) {
  size_t size = 8u << 20;
  uint8_t *data = calloc(1, size);
  tess_slice piece = {data, size};
  call *c = call_new(t, s.port, "POST", "/refuse", &piece, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 404);
  ck_assert_uint_eq(c->size, 2);
  call_free(c);
  free(data);
}
END_TEST

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

static void fake_start(fake *f, int replies, const char *reply) {
  memset(f, 0, sizeof *f);
  f->replies = replies;
  f->reply = reply;
  f->listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ck_assert_int_eq(bind(f->listener, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(listen(f->listener, 16), 0);
  ck_assert_int_eq(getsockname(f->listener, (struct sockaddr *)&at, &size), 0);
  f->port = ntohs(at.sin_port);
  ck_assert_int_eq(pthread_create(&f->thread, NULL, fake_main, f), 0);
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
  fake f;
  fake_start(&f, 0, OK_REPLY);
  shutdown(f.listener, SHUT_RDWR);
  pthread_join(f.thread, NULL);
  close(f.listener);
  memset(&f, 0, sizeof f);
  f.listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ck_assert_int_eq(bind(f.listener, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(listen(f.listener, 16), 0);
  ck_assert_int_eq(getsockname(f.listener, (struct sockaddr *)&at, &size), 0);
  f.port = ntohs(at.sin_port);
  ck_assert_int_eq(pthread_create(&f.thread, NULL, fickle_main, &f), 0);

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

START_TEST(connection_cap) {
  tess_transport *own =
      tess_transport_curl_new(&(tess_transport_curl_options){.max_connections_per_host = 2}, NULL);
  enum { N = 8 };
  call *calls[N];
  for (int i = 0; i < N; i++) {
    calls[i] = call_new(own, s.port, "GET", "/later?50", NULL, 0);
    ck_assert_int_eq(own->ops->start(own, &calls[i]->base, NULL), TESS_OK);
  }
  /* One whose turn does not come before its deadline. */
  call *late = call_new(own, s.port, "GET", "/later?1", NULL, 0);
  late->base.deadline_ms = own->ops->now_ms(own) + 30;
  ck_assert_int_eq(call_run(late), TESS_DEADLINE_EXCEEDED);
  call_free(late);
  for (int i = 0; i < N; i++) {
    ck_assert(own->ops->wait(own, call_is_over, calls[i], own->ops->now_ms(own) + 10000));
    ck_assert_int_eq(calls[i]->code, TESS_OK);
    call_free(calls[i]);
  }
  call *c = call_new(own, s.port, "GET", "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 2\n"));
  call_free(c);
  own->ops->free(own);
}
END_TEST

START_TEST(free_with_requests_in_flight) {
  tess_transport *own = tess_transport_curl_new(NULL, NULL);
  call *calls[5];
  for (int i = 0; i < 5; i++) {
    calls[i] = call_new(own, s.port, "GET", "/forever", NULL, 0);
    ck_assert_int_eq(own->ops->start(own, &calls[i]->base, NULL), TESS_OK);
  }
  site_sleep_ms(50);
  own->ops->free(own);
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(atomic_load(&calls[i]->ended), 1);
    ck_assert_int_eq(calls[i]->code, TESS_CANCELED);
    call_free(calls[i]);
  }
}
END_TEST

int main(void) {
  /* None of these may be heeded. */
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 90);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, small_calls);
  tcase_add_test(tcase, one_connection_is_reused);
  tcase_add_test(tcase, headers_as_sent);
  tcase_add_test(tcase, large_body_both_ways);
  tcase_add_test(tcase, parallel_from_one_thread);
  tcase_add_test(tcase, parallel_from_many_threads);
  tcase_add_test(tcase, ends_without_anybody_waiting);
  tcase_add_test(tcase, wait_has_an_end);
  tcase_add_test(tcase, deadline);
  tcase_add_test(tcase, cancel_while_waiting);
  tcase_add_test(tcase, cancel_in_mid_body);
  tcase_add_test(tcase, streamed_upload_pauses_and_resumes);
  tcase_add_test(tcase, receiver_pauses);
  tcase_add_test(tcase, early_refusal_of_a_large_body);
  tcase_add_test(tcase, no_server);
  tcase_add_test(tcase, bad_urls);
  tcase_add_test(tcase, server_closes_between_requests);
  tcase_add_test(tcase, a_dead_reused_connection_is_retried_with_the_body_again);
  tcase_add_test(tcase, bad_replies);
  tcase_add_test(tcase, head_over_the_limit);
  tcase_add_test(tcase, interim_replies_and_reply_trailers);
  tcase_add_test(tcase, redirects_are_not_followed);
  tcase_add_test(tcase, connection_cap);
  tcase_add_test(tcase, free_with_requests_in_flight);
  return run_case("curl transport", tcase);
}
