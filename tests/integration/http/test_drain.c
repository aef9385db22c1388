/* SPDX-License-Identifier: Apache-2.0
 *
 * How the HTTP server ends: politely, and without mercy.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HOST "Host: localhost\r\n"

typedef struct draining {
  site *owner;
  int64_t grace_ms;
  bool result;
  pthread_t thread;
} draining;

static void *drain(void *arg) {
  draining *d = arg;
  d->result = tess_http_server_drain(d->owner->server, d->grace_ms);
  return NULL;
}

static void drain_begin(draining *d, site *s, int64_t grace_ms) {
  *d = (draining){.owner = s, .grace_ms = grace_ms};
  ck_assert_int_eq(pthread_create(&d->thread, NULL, drain, d), 0);
  site_sleep_ms(50);
}

START_TEST(requests_in_progress_are_finished) {
  site s;
  draining d;
  site_start(&s, (tess_http_server_options){.idle_timeout_ms = 60000});
  int idle = raw_connect(s.port), busy = raw_connect(s.port), waiting = raw_connect(s.port);
  raw_text(idle, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
  raw_response r = raw_read(idle, 2000, false);
  raw_free(&r);
  raw_text(busy, "GET /busy?500 HTTP/1.1\r\n" HOST "\r\n");
  raw_text(waiting, "GET /later?700 HTTP/1.1\r\n" HOST "\r\n");
  for (int i = 0; i < 1000 && atomic_load(&s.opened) < 2; i++)
    site_sleep_ms(5);
  drain_begin(&d, &s, 10000);
  ck_assert(raw_closed(idle, 1000));
  /* Meanwhile: alive, not ready, no new calls. */
  ck_assert_int_eq(raw_status(s.port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);
  ck_assert_int_eq(raw_status(s.port, "GET /readyz HTTP/1.1\r\n" HOST "\r\n"), 503);
  ck_assert_int_eq(raw_status(s.port, "GET /echo HTTP/1.1\r\n" HOST "\r\n"), 503);
  r = raw_read(busy, 3000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  r = raw_read(waiting, 3000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert(r.complete);
  raw_free(&r);
  pthread_join(d.thread, NULL);
  ck_assert(d.result);
  ck_assert_int_eq(atomic_load(&s.aborted), 0);
  close(idle);
  close(busy);
  close(waiting);
  site_stop(&s);
}
END_TEST

START_TEST(grace_has_an_end) {
  site s;
  draining d;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  int waiting = raw_connect(s.port), reading = raw_connect(s.port), writing = raw_connect(s.port);
  raw_text(waiting, "GET /forever HTTP/1.1\r\n" HOST "\r\n");
  raw_text(reading, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nhalf");
  raw_text(writing, "GET /big?16000000 HTTP/1.1\r\n" HOST "\r\n");
  for (int i = 0; i < 1000 && atomic_load(&s.opened) < 3; i++)
    site_sleep_ms(5);
  site_sleep_ms(100);
  int64_t began = tess_http_server_now_ms();
  drain_begin(&d, &s, 200);
  raw_response r = raw_read(waiting, 3000, false);
  ck_assert_int_eq(r.status, 503);
  raw_free(&r);
  r = raw_read(reading, 3000, false);
  ck_assert_int_eq(r.status, 503); /* not that its body took too long */
  raw_free(&r);
  pthread_join(d.thread, NULL);
  ck_assert(!d.result);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) < 3; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 3);
  site_stop(&s);
  ck_assert_int_lt(tess_http_server_now_ms() - began, 4000);
  close(waiting);
  close(reading);
  close(writing);
}
END_TEST

/* As programs end: whoever still waits is told, though the server is freed at once. */
START_TEST(who_waits_is_told_at_the_end) {
  enum { ROUNDS = 10, CONNECTIONS = 30 };
  for (int round = 0; round < ROUNDS; round++) {
    site s;
    site_start(&s, (tess_http_server_options){.idle_timeout_ms = 60000});
    int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
      fds[i] = raw_connect(s.port);
      raw_text(fds[i], "GET /forever HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < 1000 && atomic_load(&s.opened) < CONNECTIONS; i++)
      site_sleep_ms(5);
    ck_assert(!tess_http_server_drain(s.server, 10));
    site_stop(&s);
    for (int i = 0; i < CONNECTIONS; i++) {
      raw_response r = raw_read(fds[i], 3000, false);
      ck_assert_msg(r.status == 503, "round %d: connection %d got %d", round, i, r.status);
      raw_free(&r);
      close(fds[i]);
    }
  }
}
END_TEST

START_TEST(freed_without_a_drain) {
  site s;
  site_start(&s, (tess_http_server_options){.idle_timeout_ms = 60000});
  int fds[20];
  for (int i = 0; i < 20; i++) {
    fds[i] = raw_connect(s.port);
    if (i % 2 == 0) raw_text(fds[i], "GET /forever HTTP/1.1\r\n" HOST "\r\n");
  }
  for (int i = 0; i < 1000 && atomic_load(&s.opened) < 10; i++)
    site_sleep_ms(5);
  int64_t began = tess_http_server_now_ms();
  site_stop(&s);
  ck_assert_int_lt(tess_http_server_now_ms() - began, 3000);
  ck_assert_int_eq(atomic_load(&s.aborted), 10);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_UNAVAILABLE);
  for (int i = 0; i < 20; i++)
    close(fds[i]);
}
END_TEST

/* Accepted by the server, and begun by none of its threads: they are closed, too, and do
 * not wait for an answer until their client's deadline. With one connection allowed there
 * are few threads and a short queue. */
START_TEST(freed_with_connections_not_yet_begun) {
  enum { ROUNDS = 20, CONNECTIONS = 60 };
  for (int round = 0; round < ROUNDS; round++) {
    site s;
    site_start(&s, (tess_http_server_options){.max_connections = round % 2 == 0 ? 1 : 256});
    int fds[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
      fds[i] = raw_connect(s.port);
    site_stop(&s);
    for (int i = 0; i < CONNECTIONS; i++) {
      char bytes[512];
      ssize_t n;
      struct pollfd p = {.fd = fds[i], .events = POLLIN};
      do { /* some were told that there is no room */
        ck_assert_msg(poll(&p, 1, 1000) == 1, "round %d: connection %d is left open", round, i);
        n = recv(fds[i], bytes, sizeof bytes, 0);
      } while (n > 0);
      close(fds[i]);
    }
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("http server's end", 60, requests_in_progress_are_finished, grace_has_an_end,
                   who_waits_is_told_at_the_end, freed_without_a_drain,
                   freed_with_connections_not_yet_begun);
}
