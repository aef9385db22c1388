/* SPDX-License-Identifier: Apache-2.0
 *
 * The libcurl transport where a link goes dark: packets vanish, nothing is refused.
 * A filter on the server's sockets drops what comes for them before TCP sees it.
 */
#include <check.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include <tessera/transport_curl.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define PEER_TIMEOUT_MS 3000
/* A probe's second, and a busy machine. The kernel by itself gives up after 15 minutes. */
#define AT_MOST_MS 20000
#define MAX_FD 1024

static site s;
static tess_transport *t;

static void setup(void) {
  const tess_transport_curl_options options = {.peer_timeout_ms = PEER_TIMEOUT_MS};
  site_start(&s, (tess_http_server_options){.idle_timeout_ms = 0});
  t = tess_transport_curl_new(&options, NULL);
  ck_assert_ptr_nonnull(t);
}

static void teardown(void) {
  t->ops->free(t);
  site_stop(&s);
}

/* The server's side of every connection that is open. */
static void darken(void) {
  struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const struct sock_fprog program = {.len = 1, .filter = drop_all};
  int dark = 0;
  for (int fd = 3; fd < MAX_FD; fd++) {
    struct sockaddr_in at = {0};
    socklen_t size = sizeof at, peer_size = size;
    if (getsockname(fd, (struct sockaddr *)&at, &size) != 0 || ntohs(at.sin_port) != s.port)
      continue;
    if (getpeername(fd, (struct sockaddr *)&at, &peer_size) != 0) continue; /* the listener */
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
    dark++;
  }
  ck_assert_int_eq(dark, 1);
}

static void start(call *c) {
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(t->ops->start(t, &c->base, &status), TESS_OK);
}

static bool is_opened(void *ctx) {
  (void)ctx;
  return atomic_load(&s.opened) > 0;
}

/* The call, for which the link goes dark now, ends when the peer has been silent for
 * its time. */
static void ends_in_the_dark(call *c) {
  int64_t began_ms = t->ops->now_ms(t);
  bool over = t->ops->wait(t, call_is_over, c, began_ms + AT_MOST_MS);
  int64_t took_ms = t->ops->now_ms(t) - began_ms;
  ck_assert_msg(over, "still waiting after %lld ms", (long long)took_ms);
  ck_assert_int_eq(c->code, TESS_UNAVAILABLE);
  ck_assert_int_ge(took_ms, PEER_TIMEOUT_MS - 1000);
}

/* Nothing is on its way: probes find out. */
START_TEST(while_an_answer_is_awaited) {
  call *c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  start(c);
  ck_assert(t->ops->wait(t, is_opened, NULL, t->ops->now_ms(t) + 10000));
  darken();
  ends_in_the_dark(c);
  call_free(c);
}
END_TEST

/* What is sent is not acknowledged. */
START_TEST(while_a_body_is_sent) {
  static const char text[100000] = "";
  const tess_slice pieces[] = {{text, 1000}, {text, sizeof text}};
  call *c = call_new(t, s.port, "POST", "/echo", pieces, 2);
  c->hold = true;
  atomic_store(&c->released, 1);
  start(c);
  ck_assert(t->ops->wait(t, is_opened, NULL, t->ops->now_ms(t) + 10000));
  darken();
  atomic_store(&c->released, 2);
  t->ops->resume(t, &c->base);
  ends_in_the_dark(c);
  call_free(c);
}
END_TEST

/* A peer that is up and takes its time answers TCP's probes. */
START_TEST(a_slow_answer_is_no_silence) {
  char path[32];
  snprintf(path, sizeof path, "/later?%d", 2 * PEER_TIMEOUT_MS);
  call *c = call_new(t, s.port, "GET", path, NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_uint_eq(c->size, 4);
  call_free(c);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, while_an_answer_is_awaited);
  tcase_add_test(tcase, while_a_body_is_sent);
  tcase_add_test(tcase, a_slow_answer_is_no_silence);
  return run_case("curl transport over a link that goes dark", tcase);
}
