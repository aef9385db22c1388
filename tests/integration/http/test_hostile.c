/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server and clients that are slow, broken or ill-willed: the right
 * answer, bounded time, and others are served meanwhile.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HOST "Host: localhost\r\n"
#define CHUNKED "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

static int64_t now_ms(void) {
  return tess_http_server_now_ms();
}

/* One good request on a connection of its own: how long it took. */
static int64_t good_request(int port) {
  int64_t began = now_ms();
  int status = raw_status(
      port, "POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 2\r\n\r\nhi");
  ck_assert_int_eq(status, 200);
  return now_ms() - began;
}

/* The slowest of so many, in ms. Each that takes long has two more tries: the machine
 * may be busy with something else. */
static int64_t slowest_good(int port, int count) {
  int64_t worst = 0;
  for (int i = 0; i < count; i++) {
    int64_t took = good_request(port);
    for (int more = 0; more < 2 && took >= 1000; more++)
      took = good_request(port);
    if (took > worst) worst = took;
  }
  return worst;
}

/* ---- ambiguous requests ---- */

START_TEST(smuggling) {
  /* Each is followed by a request that must never be answered. */
  static const struct {
    int status;
    const char *request;
  } cases[] = {
      {400, "POST /echo HTTP/1.1\r\n" HOST
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5x\r\n\r\nhello"},
      {411, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\nhello"},
      {411, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: abc\r\n\r\nhello"},
      {411, "POST /echo HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "X: 1\r\n Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "X: 1\r\n\tfolded\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "X: 1\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\n\r\nhello"},
      {400,
       "POST /echo HTTP/1.1\n"
       "Host: x\nContent-Length: 5\n\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "X: 1\rContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {501, "POST /echo HTTP/1.1\r\n" HOST
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {501, "POST /echo HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
      {400, "POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\nHost: a b\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /../echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /e%2 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "X(y: 1\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST ": 1\r\nContent-Length: 5\r\n\r\nhello"},
      {505, "POST /echo HTTP/1.2\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "NONSENSE\r\n\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"},
      {400,
       "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n"},
      /* Sizes of chunks: nothing but digits, and no more than can be added up. */
      {400, CHUNKED "5\r9\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "5\r\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "+5\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "5 \r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "7fffffffffffffff\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "8000000000000000\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "ffffffffffffff00\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"},
      {400, CHUNKED "5\r\nhello\r\n0\r5\r\n\r\n"},
      /* What stands between and before the words of a head. */
      {400, " POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, " \r\n\r\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "\n\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "\r\n\n\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "\rPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST  /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST \r\n/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n " HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "\x80: 1\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
      /* Targets of other forms, of which something is wrong. */
      {400, "POST http:///echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST http://me@h/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST http://h/../echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST ftp://h/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "POST http://h/echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"},
      {400, "POST * HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"},
      {400, "CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n"},
  };
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = raw_connect(s.port);
    raw_text(fd, cases[i].request);
    raw_text(fd, "GET /livez HTTP/1.1\r\n" HOST "X-Smuggled: 1\r\n\r\n");
    raw_response r = raw_read(fd, 3000, false);
    ck_assert_msg(r.status == cases[i].status, "case %zu: %d, not %d\n%s", i, r.status,
                  cases[i].status, cases[i].request);
    raw_free(&r);
    ck_assert_msg(raw_closed(fd, 7000), "case %zu: a second answer", i);
    close(fd);
  }
  ck_assert_int_lt(slowest_good(s.port, 3), 1000);
  site_stop(&s);
}
END_TEST

START_TEST(nul_in_a_head) {
  static const char request[] =
      "POST /echo HTTP/1.1\r\n" HOST "X: \0\r\nContent-Length: 5\r\n\r\nhello";
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  int fd = raw_connect(s.port);
  raw_send(fd, request, sizeof request - 1);
  raw_response r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 400);
  raw_free(&r);
  ck_assert(raw_closed(fd, 7000));
  close(fd);
  site_stop(&s);
}
END_TEST

/* ---- blank lines before a request, targets of other forms ---- */

/* Sends it whole, or byte by byte. */
static void send_as(int fd, const char *text, bool bytewise) {
  if (!bytewise) raw_text(fd, text);
  for (; bytewise && *text != 0; text++) {
    if (!raw_send(fd, text, 1)) return;
    site_sleep_ms(1);
  }
}

static void expect_reply(int fd, int status, const char *body) {
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, status);
  if (body != NULL) ck_assert_str_eq((char *)r.body, body);
  raw_free(&r);
}

/* The body of each POST is a request that must come back as what it is. */
#define INNER "GET /livez HTTP/1.1\r\n" HOST "\r\n"
#define OUTER "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\n" INNER

START_TEST(blank_lines) {
  static const char *const before[] = {"", "\r\n", "\r\n\r\n", "\r\n\r\n\r\n",
                                       "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"};
  static const char too_many[] =
      "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" OUTER "GET /livez HTTP/1.1\r\n" HOST "\r\n";
  ck_assert_uint_eq(strlen(INNER), 40);
  site s;
  char text[1024];
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
    for (int bytewise = 0; bytewise < 2; bytewise++) {
      /* The first on its connection, one that follows, one behind a GET in the same bytes. */
      int fd = raw_connect(s.port);
      snprintf(text, sizeof text, "%s" OUTER, before[i]);
      for (int k = 0; k < 2; k++) {
        send_as(fd, text, bytewise != 0);
        expect_reply(fd, 200, INNER);
      }
      snprintf(text, sizeof text,
               "GET /livez HTTP/1.1\r\n" HOST "\r\n%s" OUTER "%s" CHUNKED "28\r\n" INNER
               "\r\n0\r\n\r\n%sGET /livez HTTP/1.1\r\n" HOST "\r\n",
               before[i], before[i], before[i]);
      send_as(fd, text, bytewise != 0);
      expect_reply(fd, 200, "ok\n");
      expect_reply(fd, 200, INNER);
      expect_reply(fd, 200, INNER);
      expect_reply(fd, 200, "ok\n");
      raw_text(fd, "\r\n\r\n"); /* and then nothing */
      shutdown(fd, SHUT_WR);
      ck_assert(raw_closed(fd, 3000));
      close(fd);
    }
  }
  for (int kept = 0; kept < 2; kept++) {
    int fd = raw_connect(s.port);
    if (kept) raw_text(fd, INNER);
    if (kept) expect_reply(fd, 200, "ok\n");
    raw_text(fd, too_many);
    expect_reply(fd, 400, NULL);
    ck_assert(raw_closed(fd, 3000));
    close(fd);
  }
  site_stop(&s);
}
END_TEST

/* A thread's buffer holds what its last connection sent: nobody else gets an answer to it. */
START_TEST(what_others_sent_stays_theirs) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  char sent[256], blank[165] = "";
  int n = snprintf(sent, sizeof sent,
                   "POST /echo HTTP/1.1\r\n" HOST
                   "Content-Length: 124\r\nConnection: close\r\n\r\n%084d" INNER,
                   0);
  ck_assert_int_eq(n, 164 + 40);
  for (int i = 0; i < 82; i++)
    memcpy(blank + (size_t)2 * (size_t)i, "\r\n", 2);
  for (int i = 0; i < 300; i++) {
    int fd = raw_connect(s.port);
    raw_text(fd, sent);
    expect_reply(fd, 200, NULL);
    close(fd);
  }
  for (int i = 0; i < 300; i++) {
    int fd = raw_connect(s.port);
    raw_text(fd, blank);
    expect_reply(fd, 400, NULL);
    close(fd);
  }
  site_stop(&s);
}
END_TEST

/* And a value with tabs, which is allowed. */
START_TEST(targets_of_other_forms) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  int fd = raw_connect(s.port);
  for (int bytewise = 0; bytewise < 2; bytewise++) {
    send_as(fd,
            "POST http://example.com:81/echo HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\n" INNER
            "POST HTTPS://[::1]/echo HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\n\r\n28\r\n" INNER
            "\r\n0\r\n\r\n"
            "GET http://localhost/livez HTTP/1.1\r\n" HOST
            "\r\n"
            "GET http://localhost/headers?a=b HTTP/1.1\r\n" HOST "X:\tc\td\r\n\r\n",
            bytewise != 0);
    expect_reply(fd, 200, INNER);
    expect_reply(fd, 200, INNER);
    expect_reply(fd, 200, "ok\n");
    raw_response r = raw_read(fd, 5000, false);
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr((char *)r.body, "a=b"));
    ck_assert_ptr_nonnull(strstr((char *)r.body, "x=c\td;"));
    ck_assert_ptr_null(strstr((char *)r.body, "http://"));
    raw_free(&r);
    static const char *const server_wide[] = {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
                                              "OPTIONS http://h:81 HTTP/1.1\r\n" HOST "\r\n"};
    for (int i = 0; i < 2; i++) {
      send_as(fd, server_wide[i], bytewise != 0);
      r = raw_read(fd, 5000, false);
      ck_assert_int_eq(r.status, 204);
      ck_assert_str_eq(raw_header(&r, "allow"), "GET, HEAD, POST, OPTIONS");
      raw_free(&r);
    }
    send_as(fd, "OPTIONS / HTTP/1.1\r\n" HOST "\r\n" INNER, bytewise != 0);
    expect_reply(fd, 404, NULL);
    expect_reply(fd, 200, "ok\n");
  }
  close(fd);
  site_stop(&s);
}
END_TEST

/* Dropped (RFC 9112 7.1.2), and what follows them is a request of its own. */
START_TEST(trailers) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
#define CHUNKED_INNER CHUNKED "28\r\n" INNER "\r\n0\r\n"
  static const char *const good[] = {"\r\n", "X-Sum: 1\r\n\r\n",
                                     "Grpc-Status:0\r\nx:\ta b\r\nEmpty:\r\n\r\n"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    for (int bytewise = 0; bytewise < 2; bytewise++) {
      char text[1024];
      snprintf(text, sizeof text, CHUNKED_INNER "%s" INNER, good[i]);
      int fd = raw_connect(s.port);
      send_as(fd, text, bytewise != 0);
      expect_reply(fd, 200, INNER);
      expect_reply(fd, 200, "ok\n");
      send_as(fd, INNER, bytewise != 0);
      expect_reply(fd, 200, "ok\n");
      close(fd);
    }
  static const char *const bad[] = {"GET /livez HTTP/1.1\r\n" HOST "\r\n",
                                    "\n\nGET /livez HTTP/1.1\r\n" HOST "\r\n",
                                    "X-Sum: 1\r\n folded\r\n\r\n",
                                    "X-Sum: 1\n\r\n\r\n",
                                    "X-Sum : 1\r\n\r\n",
                                    "X-Sum: 1\r\n\rX",
                                    "X-Sum: 1\rX\r\n\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char text[1024];
    snprintf(text, sizeof text, CHUNKED_INNER "%s", bad[i]);
    int fd = raw_connect(s.port);
    raw_text(fd, text);
    expect_reply(fd, 400, NULL);
    ck_assert(raw_closed(fd, 7000));
    close(fd);
  }
  /* Without an end. */
  int fd = raw_connect(s.port);
  raw_text(fd, CHUNKED_INNER "X-Long: ");
  char piece[1001];
  memset(piece, 'a', 1000);
  piece[1000] = 0;
  for (int i = 0; i < 9; i++)
    raw_text(fd, piece);
  expect_reply(fd, 400, NULL);
  close(fd);
#undef CHUNKED_INNER
  site_stop(&s);
}
END_TEST

START_TEST(large_heads) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  /* Many headers: refused, because civetweb would drop those past its table. */
  char *text = malloc(200000);
  size_t n = (size_t)sprintf(text, "GET /echo HTTP/1.1\r\n" HOST);
  for (int i = 0; i < 64; i++)
    n += (size_t)sprintf(text + n, "X-%d: 1\r\n", i);
  sprintf(text + n, "\r\n");
  ck_assert_int_eq(raw_status(s.port, text), 431);
  /* One fewer is fine. */
  n = (size_t)sprintf(text, "GET /livez HTTP/1.1\r\n" HOST);
  for (int i = 0; i < 63; i++)
    n += (size_t)sprintf(text + n, "X-%d: 1\r\n", i);
  sprintf(text + n, "\r\n");
  ck_assert_int_eq(raw_status(s.port, text), 200);
  /* A long GET passes (queries of Connect GET), up to 64 KiB of head. */
  static const char begin[] = "GET /livez?", end[] = " HTTP/1.1\r\n" HOST "\r\n";
  size_t around = strlen(begin) + strlen(end);
  for (size_t over = 0; over < 2; over++) {
    memset(text, 'a', 70000);
    memcpy(text, begin, strlen(begin));
    strcpy(text + 65536 + over - strlen(end), end);
    ck_assert_uint_eq(strlen(text), 65536 + over);
    ck_assert_uint_gt(strlen(text), around);
    ck_assert_int_eq(raw_status(s.port, text), over ? 414 : 200);
  }
  memset(text, 'a', 70000);
  memcpy(text, begin, strlen(begin));
  text[70000] = 0;
  ck_assert_int_eq(raw_status(s.port, text), 414);
  /* An endless one does not. */
  n = (size_t)sprintf(text, "GET /livez HTTP/1.1\r\n" HOST "X: ");
  memset(text + n, 'a', 199999 - n);
  text[199999] = 0;
  for (int kept = 0; kept < 2; kept++) {
    int fd = raw_connect(s.port);
    if (kept) raw_text(fd, INNER);
    if (kept) expect_reply(fd, 200, "ok\n");
    raw_text(fd, text);
    raw_response r = raw_read(fd, 6000, false);
    ck_assert_int_eq(r.status, 431);
    ck_assert_str_eq(raw_header(&r, "connection"), "close");
    raw_free(&r);
    ck_assert(raw_closed(fd, 7000));
    close(fd);
  }
  free(text);
  ck_assert_int_lt(slowest_good(s.port, 3), 1000);
  site_stop(&s);
}
END_TEST

/* ---- slow clients ---- */

enum { MANY = 200 };

START_TEST(slow_heads) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  static const char head[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaa";
  int fds[MANY];
  for (int i = 0; i < MANY; i++)
    fds[i] = raw_connect(s.port);
  int64_t worst = 0;
  int64_t until = now_ms() + 2000;
  for (size_t byte = 0; byte < sizeof head - 1 && now_ms() < until; byte++) {
    for (int i = 0; i < MANY; i++)
      raw_send(fds[i], head + byte, 1);
    int64_t took = slowest_good(s.port, 1);
    if (took > worst) worst = took;
    site_sleep_ms(20);
  }
  ck_assert_msg(worst < 1000, "a good request took %lld ms", (long long)worst);
  /* And they are cut off: header_timeout is 3 s. */
  site_sleep_ms(1500);
  for (int i = 0; i < MANY; i++) {
    raw_response r = raw_read(fds[i], 3000, false);
    ck_assert_msg(r.status == 0 || r.status == 400 || r.status == 408, "%d", r.status);
    raw_free(&r);
    close(fds[i]);
  }
  site_stop(&s);
}
END_TEST

START_TEST(half_sent_bodies) {
  site s;
  site_start(&s, (tess_http_server_options){.body_timeout_ms = 1500});
  int fds[MANY];
  for (int i = 0; i < MANY; i++) {
    fds[i] = raw_connect(s.port);
    raw_text(fds[i], i % 2 == 0 ? "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nhalf"
                                : "POST /echo HTTP/1.1\r\n" HOST
                                  "Transfer-Encoding: chunked\r\n\r\n100\r\nhalf");
  }
  int64_t worst = slowest_good(s.port, 20);
  ck_assert_msg(worst < 1000, "a good request took %lld ms", (long long)worst);
  for (int i = 0; i < MANY; i++) {
    raw_response r = raw_read(fds[i], 5000, false);
    ck_assert_msg(r.status == 408, "%d: %d", i, r.status);
    raw_free(&r);
    close(fds[i]);
  }
  ck_assert_int_eq(atomic_load(&s.aborted), MANY);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_DEADLINE_EXCEEDED);
  site_stop(&s);
}
END_TEST

START_TEST(clients_that_never_read) {
  site s;
  site_start(&s, (tess_http_server_options){.body_timeout_ms = 1500});
  int fds[MANY];
  for (int i = 0; i < MANY; i++) {
    fds[i] = raw_connect(s.port);
    int small = 4096;
    setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_text(fds[i], "GET /big?8000000 HTTP/1.1\r\n" HOST "\r\n");
  }
  int64_t worst = slowest_good(s.port, 20);
  ck_assert_msg(worst < 1000, "a good request took %lld ms", (long long)worst);
  for (int i = 0; i < 1200 && atomic_load(&s.aborted) < MANY; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), MANY);
  for (int i = 0; i < MANY; i++)
    close(fds[i]);
  site_stop(&s);
}
END_TEST

/* A byte now and then is no progress. */
START_TEST(trickled_body) {
  site s;
  site_start(&s, (tess_http_server_options){.body_timeout_ms = 300});
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 8000\r\n\r\n");
  int64_t began = now_ms();
  int status = 0;
  while (now_ms() - began < 8000) {
    char byte;
    if (!raw_send(fd, "x", 1)) break;
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) break;
    site_sleep_ms(50);
  }
  raw_response r = raw_read(fd, 1000, false); /* there, even if the close came behind it */
  status = r.status;
  raw_free(&r);
  int64_t took = now_ms() - began;
  ck_assert_int_eq(status, 408);
  ck_assert_int_ge(took, 300 + 8000 / 16);
  ck_assert_int_lt(took, 4000);
  close(fd);
  site_stop(&s);
}
END_TEST

START_TEST(head_and_idle_limits) {
  site s;
  site_start(&s, (tess_http_server_options){.header_timeout_ms = 300, .idle_timeout_ms = 300});
  int silent = raw_connect(s.port), idle = raw_connect(s.port);
  raw_text(idle, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
  raw_response r = raw_read(idle, 1000, false);
  ck_assert_int_eq(r.status, 200);
  raw_free(&r);
  int64_t began = now_ms();
  ck_assert(raw_closed(silent, 3000));
  ck_assert(raw_closed(idle, 3000));
  ck_assert_int_lt(now_ms() - began, 2000);
  close(silent);
  close(idle);
  site_stop(&s);
}
END_TEST

START_TEST(reading_stops_at_the_exchange_s_own_limit) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /slowread?200 HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nhalf");
  int64_t began = now_ms();
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 408);
  ck_assert_uint_eq(r.size, 4);
  ck_assert_mem_eq(r.body, "slow", 4);
  ck_assert_int_lt(now_ms() - began, 2000);
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  ck_assert(raw_closed(fd, 7000));
  close(fd);
  ck_assert_int_eq(atomic_load(&s.aborted), 0);
  site_stop(&s);
}
END_TEST

/* ---- the limit on connections ---- */

START_TEST(idle_connections_make_room) {
  site s;
  site_start(&s, (tess_http_server_options){.max_connections = 8, .idle_timeout_ms = 60000});
  int fds[8];
  for (int i = 0; i < 8; i++) {
    fds[i] = raw_connect(s.port);
    raw_text(fds[i], "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    raw_response r = raw_read(fds[i], 2000, false);
    ck_assert_int_eq(r.status, 200);
    raw_free(&r);
    site_sleep_ms(5);
  }
  int64_t worst = slowest_good(s.port, 4);
  ck_assert_msg(worst < 1000, "a good request took %lld ms", (long long)worst);
  ck_assert(raw_closed(fds[0], 1000)); /* idle longest */
  for (int i = 0; i < 8; i++)
    close(fds[i]);
  site_stop(&s);
}
END_TEST

START_TEST(over_the_limit_is_refused_at_once) {
  site s;
  site_start(&s, (tess_http_server_options){.max_connections = 4});
  int fds[4];
  for (int i = 0; i < 4; i++) {
    fds[i] = raw_connect(s.port);
    raw_text(fds[i], "GET /forever HTTP/1.1\r\n" HOST "\r\n");
  }
  for (int i = 0; i < 1000 && atomic_load(&s.opened) < 4; i++)
    site_sleep_ms(10);
  for (int i = 0; i < 40; i++) {
    int64_t began = now_ms();
    int fd = raw_connect(s.port);
    raw_response r = raw_read(fd, 3000, false);
    ck_assert_msg(r.status == 503, "%d: %d", i, r.status);
    ck_assert_int_lt(now_ms() - began, 1000);
    raw_free(&r);
    close(fd);
  }
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  for (int i = 0; i < 300 && atomic_load(&s.freed) < 4; i++)
    site_sleep_ms(10);
  ck_assert_int_lt(slowest_good(s.port, 4), 1000);
  site_stop(&s);
}
END_TEST

START_TEST(dawdlers_make_room) {
  site s;
  site_start(&s, (tess_http_server_options){.max_connections = 4, .header_timeout_ms = 60000});
  int fds[4];
  for (int i = 0; i < 4; i++) {
    fds[i] = raw_connect(s.port);
    raw_text(fds[i], "GET /live");
  }
  site_sleep_ms(700);
  ck_assert_int_lt(slowest_good(s.port, 3), 1000);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  site_stop(&s);
}
END_TEST

/* ---- clients that go away ---- */

START_TEST(gone_while_waiting) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  int fd = raw_connect(s.port);
  raw_text(fd, "GET /forever HTTP/1.1\r\n" HOST "\r\n");
  for (int i = 0; i < 1000 && atomic_load(&s.opened) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 0);
  int64_t began = now_ms();
  close(fd);
  for (int i = 0; i < 300 && atomic_load(&s.freed) == 0; i++)
    site_sleep_ms(5);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  ck_assert_int_lt(now_ms() - began, 500);
  site_stop(&s);
}
END_TEST

START_TEST(gone_in_mid_body) {
  site s;
  site_start(&s, (tess_http_server_options){.cors_origin = NULL});
  static const char *const requests[] = {
      "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nhalf",
      "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100\r\nhalf"};
  for (int i = 0; i < 2; i++) {
    int fd = raw_connect(s.port);
    raw_text(fd, requests[i]);
    for (int k = 0; k < 300 && atomic_load(&s.opened) <= i; k++)
      site_sleep_ms(10);
    close(fd);
    for (int k = 0; k < 300 && atomic_load(&s.aborted) <= i; k++)
      site_sleep_ms(10);
    ck_assert_int_eq(atomic_load(&s.aborted), i + 1);
    ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  }
  site_stop(&s);
}
END_TEST

/* ---- limits on bodies ---- */

START_TEST(bodies_over_the_limit) {
  site s;
  site_start(&s, (tess_http_server_options){.max_body_bytes = 100});
  char text[512];
  snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n%0101d",
           0);
  ck_assert_int_eq(raw_status(s.port, text), 413);
  ck_assert_int_eq(atomic_load(&s.opened), 0);
  snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n%0100d",
           0);
  ck_assert_int_eq(raw_status(s.port, text), 200);
  snprintf(text, sizeof text,
           "POST /echo HTTP/1.1\r\n" HOST
           "Transfer-Encoding: chunked\r\n\r\n65\r\n%0101d\r\n0\r\n\r\n",
           0);
  ck_assert_int_eq(raw_status(s.port, text), 413);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_RESOURCE_EXHAUSTED);
  /* A claim costs nothing. */
  ck_assert_int_eq(
      raw_status(s.port, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 999999999999999\r\n\r\nx"),
      413);
  site_stop(&s);
}
END_TEST

int main(void) {
  return RUN_TESTS("http server and hostile clients", 120, smuggling, nul_in_a_head, blank_lines,
                   what_others_sent_stays_theirs, targets_of_other_forms, trailers, large_heads,
                   slow_heads, half_sent_bodies, clients_that_never_read, trickled_body,
                   head_and_idle_limits, reading_stops_at_the_exchange_s_own_limit,
                   idle_connections_make_room, over_the_limit_is_refused_at_once,
                   dawdlers_make_room, gone_while_waiting, gone_in_mid_body, bodies_over_the_limit);
}
