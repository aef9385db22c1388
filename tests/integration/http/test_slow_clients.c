/* SPDX-License-Identifier: Apache-2.0
 *
 * Slow and broken clients of an RPC server: 200 that send their headers byte by
 * byte, 200 that stop in mid-body, 200 that never read what they are sent; alone,
 * all at once, and more of them than there are places.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/rpc_site.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HOST "Host: localhost\r\n"
/* A Repeat of a million messages: 16 GB, which nobody will take. */
#define ENDLESS                                                          \
  "POST " RPC_REPEAT " HTTP/1.1\r\n" HOST                                \
  "Content-Type: application/connect+proto\r\nContent-Length: 9\r\n\r\n" \
  "\0\0\0\0\4\x20\xc0\x84\x3d"

enum { MANY = 200 };

typedef struct crowd {
  int heads[MANY], bodies[MANY], deaf[MANY];
  size_t head_byte;
} crowd;

static rpc_site s;
static crowd c;

/* One good call on a connection of its own: how long it took. */
static int64_t good_call(void) {
  int64_t began = tess_http_server_now_ms();
  int fd = raw_connect(s.port);
  static const char request[] = "POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                                "Content-Type: application/proto\r\nConnection: close\r\n"
                                "Content-Length: 4\r\n\r\n\x0a\2hi";
  raw_send(fd, request, sizeof request - 1);
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_msg(r.status == 200, "a good request got %d", r.status);
  ck_assert_uint_eq(r.size, 4);
  ck_assert_mem_eq(r.body, "\x0a\2hi", 4);
  raw_free(&r);
  close(fd);
  return tess_http_server_now_ms() - began;
}

/* Each has two more tries: the machine may be busy with something else. */
static void good_calls(int count) {
  for (int i = 0; i < count; i++) {
    int64_t took = good_call();
    for (int more = 0; more < 2 && took >= 1000; more++)
      took = good_call();
    ck_assert_msg(took < 1000, "a good request took %lld ms", (long long)took);
  }
}

static void send_head_byte(void) {
  static const char head[] = "POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                             "Content-Type: application/proto\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaa";
  if (c.head_byte == sizeof head - 1) return;
  for (int i = 0; i < MANY; i++)
    raw_send(c.heads[i], head + c.head_byte, 1);
  c.head_byte++;
}

static void begin_heads(void) {
  for (int i = 0; i < MANY; i++)
    c.heads[i] = raw_connect(s.port);
}

/* Unary with a length, unary in chunks, a client stream in mid-message. */
static void begin_bodies(void) {
  static const char *const requests[] = {
      "POST " RPC_ECHO " HTTP/1.1\r\n" HOST
      "Content-Type: application/proto\r\nContent-Length: 1000\r\n\r\nhalf",
      "POST " RPC_ECHO " HTTP/1.1\r\n" HOST
      "Content-Type: application/proto\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf",
      "POST " RPC_CONCAT " HTTP/1.1\r\n" HOST
      "Content-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\1\1\1"};
  for (int i = 0; i < MANY; i++) {
    c.bodies[i] = raw_connect(s.port);
    raw_text(c.bodies[i], requests[i % 3]);
  }
}

static void begin_deaf(void) {
  int small = 4096;
  for (int i = 0; i < MANY; i++) {
    c.deaf[i] = raw_connect(s.port);
    setsockopt(c.deaf[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_send(c.deaf[i], ENDLESS, sizeof ENDLESS - 1);
  }
}

/* Until the server has all their requests. */
static void wait_for_deaf(void) {
  for (int i = 0; i < 3000 && atomic_load(&s.streams) < MANY; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.streams), MANY);
}

static void end(int *fds) {
  for (int i = 0; i < MANY; i++)
    close(fds[i]);
}

static void start(size_t max_connections, int64_t body_timeout_ms) {
  struct rlimit limit;
  /* 601 connections, both ends of them in this process. */
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 4096 && limit.rlim_max >= 4096) {
    limit.rlim_cur = 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  memset(&c, 0, sizeof c);
  rpc_site_init(&s);
  rpc_site_start(&s, (tess_http_server_options){.max_connections = max_connections,
                                                .body_timeout_ms = body_timeout_ms});
}

START_TEST(slow_heads) {
  start(0, 0);
  begin_heads();
  for (int i = 0; i < 40; i++) {
    send_head_byte();
    good_calls(1);
    site_sleep_ms(20);
  }
  end(c.heads);
  rpc_site_stop(&s);
}
END_TEST

START_TEST(stopped_in_mid_body) {
  start(0, 0);
  begin_bodies();
  good_calls(20);
  end(c.bodies);
  rpc_site_stop(&s);
}
END_TEST

START_TEST(never_reading) {
  start(0, 1500);
  begin_deaf();
  wait_for_deaf();
  good_calls(20);
  /* They are cut off, and their handlers hear of it. */
  for (int i = 0; i < 2000 && atomic_load(&s.canceled) < MANY; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.streams), MANY);
  ck_assert_int_eq(atomic_load(&s.canceled), MANY);
  end(c.deaf);
  rpc_site_stop(&s);
}
END_TEST

START_TEST(all_at_once) {
  start(3 * MANY + 50, 0);
  begin_heads();
  begin_bodies();
  begin_deaf();
  wait_for_deaf();
  for (int i = 0; i < 20; i++) {
    send_head_byte();
    good_calls(1);
    site_sleep_ms(20);
  }
  end(c.heads);
  end(c.bodies);
  end(c.deaf);
  rpc_site_stop(&s);
}
END_TEST

/* 400 that stand still and 256 places: whoever has stood still for a second makes
 * room for those who have something to say. */
START_TEST(more_than_there_are_places) {
  start(256, 0);
  begin_bodies();
  begin_deaf();
  site_sleep_ms(2500);
  good_calls(30);
  end(c.bodies);
  end(c.deaf);
  rpc_site_stop(&s);
}
END_TEST

int main(void) {
  return RUN_TESTS("slow clients", 120, slow_heads, stopped_in_mid_body, never_reading, all_at_once,
                   more_than_there_are_places);
}
