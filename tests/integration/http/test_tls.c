/* SPDX-License-Identifier: Apache-2.0
 *
 * Server and transport over TLS: who is believed, who is not, certificates that
 * change while the server runs, and clients that dawdle over the handshake.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tessera/transport_curl.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/certificates.h"
#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

static identity ca, other_ca, server_id, other_server_id, client_id, stray_id;
static site s;

static void setup(void) {
  ca = identity_new("test signer", NULL, NULL);
  other_ca = identity_new("other signer", NULL, NULL);
  server_id = identity_new("server", "127.0.0.1", &ca);
  other_server_id = identity_new("other server", "127.0.0.1", &other_ca);
  client_id = identity_new("client 7", NULL, &ca);
  stray_id = identity_new("stray", NULL, &other_ca);
}

static void teardown(void) {
  identity *all[] = {&ca, &other_ca, &server_id, &other_server_id, &client_id, &stray_id};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    identity_free(all[i]);
}

static tess_tls_options server_options(void) {
  return (tess_tls_options){.certificate_pem = server_id.certificate, .key_pem = server_id.key};
}

static void start(tess_tls_options tls) {
  site_start(&s, (tess_http_server_options){.tls = &tls});
  ck_assert_int_eq(strncmp(tess_http_server_url(s.server), "https://127.0.0.1:", 18), 0);
}

static tess_transport *transport(const char *ca_pem, const identity *who) {
  tess_tls_options tls = {.ca_pem = ca_pem};
  if (who != NULL) {
    tls.certificate_pem = who->certificate;
    tls.key_pem = who->key;
  }
  tess_status status = TESS_STATUS_INIT;
  tess_transport *t = tess_transport_curl_new(&(tess_transport_curl_options){.tls = &tls}, &status);
  ck_assert_msg(t != NULL, "%s", status.message != NULL ? status.message : "?");
  return t;
}

static call *secure_call(tess_transport *t, const char *path, const tess_slice *pieces,
                         size_t count) {
  call *c = call_new(t, 0, pieces != NULL ? "POST" : "GET", path, pieces, count);
  snprintf(c->url, sizeof c->url, "https://127.0.0.1:%d%s", s.port, path);
  return c;
}

/* One request on a transport of its own: the code; its body in text. */
static tess_code ask(const char *ca_pem, const identity *who, char text[512]) {
  tess_transport *t = transport(ca_pem, who);
  call *c = secure_call(t, "/headers", NULL, 0);
  tess_code code = call_run(c);
  snprintf(text, 512, "%.*s", code == TESS_OK ? (int)c->size : 0,
           code == TESS_OK ? (const char *)c->body : "");
  if (code != TESS_OK) snprintf(text, 512, "%s", c->detail);
  call_free(c);
  t->ops->free(t);
  return code;
}

START_TEST(calls_and_large_bodies) {
  start(server_options());
  tess_transport *t = transport(ca.certificate, NULL);
  for (int i = 0; i < 20; i++) {
    tess_slice piece = {"hello", 5};
    call *c = secure_call(t, "/echo", &piece, 1);
    ck_assert_msg(call_run(c) == TESS_OK, "%s", c->detail);
    ck_assert_uint_eq(c->size, 5);
    ck_assert_mem_eq(c->body, "hello", 5);
    call_free(c);
  }
  size_t size = 16u << 20;
  uint8_t *data = malloc(size);
  for (size_t i = 0; i < size; i++)
    data[i] = site_pattern(i);
  tess_slice piece = {data, size};
  call *c = secure_call(t, "/echo", &piece, 1);
  ck_assert_msg(call_run(c) == TESS_OK, "%s", c->detail);
  ck_assert_uint_eq(c->size, size);
  ck_assert(memcmp(c->body, data, size) == 0);
  call_free(c);
  free(data);
  c = secure_call(t, "/later?120", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  c = secure_call(t, "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 1\n"));
  call_free(c);
  t->ops->free(t);
  site_stop(&s);
}
END_TEST

START_TEST(servers_that_are_not_believed) {
  char text[512];
  start(server_options());
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);
  ck_assert_ptr_nonnull(strstr(text, "|tls|-|"));
  ck_assert_int_eq(ask(other_ca.certificate, NULL, text), TESS_UNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(text, "ertificate"));
  ck_assert_int_eq(ask(NULL, NULL, text), TESS_UNAVAILABLE); /* the system's list */
  site_stop(&s);
  /* Signed well, for somebody else. */
  identity elsewhere = identity_new("elsewhere", "127.0.0.2", &ca);
  start((tess_tls_options){.certificate_pem = elsewhere.certificate, .key_pem = elsewhere.key});
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_UNAVAILABLE);
  site_stop(&s);
  identity_free(&elsewhere);
}
END_TEST

START_TEST(client_certificates) {
  char text[512];
  tess_tls_options tls = server_options();
  tls.ca_pem = ca.certificate;
  tls.require_client_certificate = true;
  start(tls);
  ck_assert_int_eq(ask(ca.certificate, &client_id, text), TESS_OK);
  ck_assert_msg(strstr(text, "|tls|CN=client 7,O=Test|") != NULL, "%s", text);
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(ca.certificate, &stray_id, text), TESS_UNAVAILABLE);
  site_stop(&s);
  /* Asked for, not demanded. */
  tls.require_client_certificate = false;
  start(tls);
  ck_assert_int_eq(ask(ca.certificate, &client_id, text), TESS_OK);
  ck_assert_ptr_nonnull(strstr(text, "|tls|CN=client 7,O=Test|"));
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);
  ck_assert_ptr_nonnull(strstr(text, "|tls|-|"));
  ck_assert_int_eq(ask(ca.certificate, &stray_id, text), TESS_UNAVAILABLE);
  site_stop(&s);
}
END_TEST

START_TEST(reload_in_service) {
  char text[512];
  start(server_options());
  tess_transport *before = transport(ca.certificate, NULL);
  call *c = secure_call(before, "/echo", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);

  /* What cannot be used changes nothing. */
  tess_status status = TESS_STATUS_INIT;
  tess_tls_options wrong = {.certificate_pem = other_server_id.certificate,
                            .key_pem = server_id.key};
  ck_assert_int_eq(tess_http_server_reload_tls(s.server, &wrong, &status), TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(status.message);
  tess_status_cleanup(&status);
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);

  tess_tls_options next = {.certificate_pem = other_server_id.certificate,
                           .key_pem = other_server_id.key};
  ck_assert_int_eq(tess_http_server_reload_tls(s.server, &next, NULL), TESS_OK);
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(other_ca.certificate, NULL, text), TESS_OK);
  /* Connections that are open stay. */
  c = secure_call(before, "/echo", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  before->ops->free(before);

  /* Client certificates can be demanded from now on. */
  next.ca_pem = ca.certificate;
  next.require_client_certificate = true;
  ck_assert_int_eq(tess_http_server_reload_tls(s.server, &next, NULL), TESS_OK);
  ck_assert_int_eq(ask(other_ca.certificate, NULL, text), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(other_ca.certificate, &client_id, text), TESS_OK);
  ck_assert_ptr_nonnull(strstr(text, "|tls|CN=client 7,O=Test|"));
  site_stop(&s);
}
END_TEST

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_ge(fputs(text, f), 0);
  fclose(f);
}

START_TEST(files_are_read_again) {
  char dir[] = "/tmp/tessera-tls-XXXXXX", certificate[64], key[64], text[512];
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(certificate, sizeof certificate, "%s/server.pem", dir);
  snprintf(key, sizeof key, "%s/server.key", dir);
  write_file(certificate, server_id.certificate);
  write_file(key, server_id.key);
  start((tess_tls_options){.certificate_file = certificate, .key_file = key});
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);
  write_file(certificate, other_server_id.certificate);
  write_file(key, other_server_id.key);
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK); /* not before it is told to */
  ck_assert_int_eq(tess_http_server_reload_tls(s.server, NULL, NULL), TESS_OK);
  ck_assert_int_eq(ask(other_ca.certificate, NULL, text), TESS_OK);
  /* A client with files. */
  write_file(certificate, other_ca.certificate);
  tess_tls_options tls = {.ca_file = certificate};
  tess_transport *t = tess_transport_curl_new(&(tess_transport_curl_options){.tls = &tls}, NULL);
  call *c = secure_call(t, "/echo", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  t->ops->free(t);
  site_stop(&s);
  unlink(certificate);
  unlink(key);
  rmdir(dir);
}
END_TEST

START_TEST(options_that_cannot_work) {
  const tess_tls_options bad[] = {
      {.key_pem = server_id.key},
      {.certificate_pem = server_id.certificate},
      {.certificate_pem = server_id.certificate, .key_pem = other_server_id.key},
      {.certificate_pem = "nonsense", .key_pem = server_id.key},
      {.certificate_file = "/nonexistent/server.pem", .key_pem = server_id.key},
      {.certificate_pem = server_id.certificate,
       .key_pem = server_id.key,
       .require_client_certificate = true},
      {.certificate_pem = server_id.certificate, .key_pem = server_id.key, .ca_pem = "nonsense"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    tess_http_server_options o = {
        .listen = "127.0.0.1:0",
        .tls = &bad[i],
        .handler = {
            (tess_http_exchange * (*)(void *, const tess_http_request *, tess_waker, int64_t))1,
            NULL}};
    ck_assert_ptr_null(tess_http_server_start(&o, &status));
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    ck_assert_msg(strncmp(status.message, "TLS: ", 5) == 0, "%s", status.message);
    tess_status_cleanup(&status);
  }
  site plain;
  site_start(&plain, (tess_http_server_options){.tls = NULL});
  ck_assert_int_eq(tess_http_server_reload_tls(plain.server, NULL, NULL), TESS_FAILED_PRECONDITION);
  site_stop(&plain);
}
END_TEST

START_TEST(silent_handshakes_starve_nobody) {
  enum { MANY = 200 };
  int fds[MANY];
  char text[512];
  tess_tls_options tls = server_options();
  site_start(&s, (tess_http_server_options){.tls = &tls, .header_timeout_ms = 1500});
  for (int i = 0; i < MANY; i++) {
    fds[i] = raw_connect(s.port);
    if (i % 2 == 0) raw_send(fds[i], "\x16\x03\x01", 3); /* a hello that begins */
  }
  for (int i = 0; i < 5; i++) {
    int64_t began = tess_http_server_now_ms();
    ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);
    ck_assert_int_lt(tess_http_server_now_ms() - began, 1000);
  }
  for (int i = 0; i < MANY; i++) {
    ck_assert(raw_closed(fds[i], 4000));
    close(fds[i]);
  }
  site_stop(&s);
}
END_TEST

START_TEST(plain_http_on_the_tls_port) {
  char text[512];
  start(server_options());
  int fd = raw_connect(s.port);
  raw_text(fd, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  char answer[16] = "";
  ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
  ck_assert_msg(n < 5 || memcmp(answer, "HTTP/", 5) != 0, "answered in plain text");
  close(fd);
  ck_assert_int_eq(ask(ca.certificate, NULL, text), TESS_OK);
  site_stop(&s);
}
END_TEST

START_TEST(client_gone_while_waiting) {
  start(server_options());
  tess_transport *t = transport(ca.certificate, NULL);
  call *c = secure_call(t, "/forever", NULL, 0);
  c->base.deadline_ms = t->ops->now_ms(t) + 300;
  ck_assert_int_eq(call_run(c), TESS_DEADLINE_EXCEEDED);
  call_free(c);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  t->ops->free(t);
  site_stop(&s);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, calls_and_large_bodies);
  tcase_add_test(tcase, servers_that_are_not_believed);
  tcase_add_test(tcase, client_certificates);
  tcase_add_test(tcase, reload_in_service);
  tcase_add_test(tcase, files_are_read_again);
  tcase_add_test(tcase, options_that_cannot_work);
  tcase_add_test(tcase, silent_handshakes_starve_nobody);
  tcase_add_test(tcase, plain_http_on_the_tls_port);
  tcase_add_test(tcase, client_gone_while_waiting);
  return run_case("tls", tcase);
}
