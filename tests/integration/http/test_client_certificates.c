/* SPDX-License-Identifier: Apache-2.0
 *
 * Services that demand client certificates beside others that do not, on one port,
 * over real TLS; and a certificate that changes under traffic.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/client.h>
#include <tessera/client_certificates.h>
#include <tessera/health.h>
#include <tessera/transport_curl.h>

#include "grpc/health/v1/health.rpc.pb-c.h"
#include "tests/integration/http/certificates.h"
#include "tests/integration/http/rpc_site.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

static identity ca, other_ca, server_id, second_id, friend_id, stranger_id, stray_id;
static rpc_site s;
static tess_health_server *health;

/* The client that the site's rule turns down. */
static bool no_strangers(void *ctx, const tess_method *method, const char *subject) {
  (void)ctx;
  (void)method;
  return strcmp(subject, "CN=stranger,O=Test") != 0;
}

static void start(const char *const *names, size_t count) {
  static tess_client_certificate_rule rule;
  rule = (tess_client_certificate_rule){names, count, no_strangers, NULL};
  tess_tls_options tls = {
      .certificate_pem = server_id.certificate, .key_pem = server_id.key, .ca_pem = ca.certificate};
  rpc_site_init(&s);
  health = tess_health_server_new(s.server, NULL, NULL);
  ck_assert_ptr_nonnull(health);
  ck_assert_int_eq(tess_server_demand_client_certificates(s.server, &rule), TESS_OK);
  rpc_site_start(&s, (tess_http_server_options){.tls = &tls});
}

static void stop(void) {
  rpc_site_stop(&s);
  tess_health_server_free(health);
}

static void setup(void) {
  ca = identity_new("test signer", NULL, NULL);
  other_ca = identity_new("other signer", NULL, NULL);
  server_id = identity_new("server", "127.0.0.1", &ca);
  second_id = identity_new("second server", "127.0.0.1", &ca);
  friend_id = identity_new("friend", NULL, &ca);
  stranger_id = identity_new("stranger", NULL, &ca);
  stray_id = identity_new("stray", NULL, &other_ca);
}

static void teardown(void) {
  identity *all[] = {&ca, &other_ca, &server_id, &second_id, &friend_id, &stranger_id, &stray_id};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    identity_free(all[i]);
}

/* ---- calls ---- */

typedef struct peer {
  tess_transport *transport;
  tess_client *client;
  char url[64];
} peer;

static peer peer_new(const identity *who) {
  peer p = {0};
  tess_tls_options tls = {.ca_pem = ca.certificate};
  if (who != NULL) {
    tls.certificate_pem = who->certificate;
    tls.key_pem = who->key;
  }
  p.transport = tess_transport_curl_new(&(tess_transport_curl_options){.tls = &tls}, NULL);
  ck_assert_ptr_nonnull(p.transport);
  snprintf(p.url, sizeof p.url, "https://127.0.0.1:%d", s.port);
  p.client =
      tess_client_new(&(tess_client_options){.transport = p.transport, .base_url = p.url}, NULL);
  ck_assert_ptr_nonnull(p.client);
  return p;
}

static void peer_free(peer *p) {
  tess_client_free(p->client);
  p->transport->ops->free(p->transport);
}

/* Of a bytes-only client: what is said does not matter here. */
static tess_code call(peer *p, const char *path) {
  static const tess_message_type type = {"message", sizeof(tess_slice), NULL, &tess_runtime_bytes,
                                         NULL};
  const tess_method method = {"", path, TESS_UNARY, TESS_IDEMPOTENCY_UNKNOWN, &type, &type};
  const tess_slice request = {"", 0};
  tess_slice response;
  const tess_call_options options = {.timeout_ms = 20000};
  tess_code code = tess_client_unary(p->client, &method, &options, &request, &response, NULL);
  if (code == TESS_OK) tess_client_clear_response(p->client, &method, &response);
  return code;
}

static tess_code ask(const identity *who, const char *path) {
  peer p = peer_new(who);
  tess_code code = call(&p, path);
  peer_free(&p);
  return code;
}

#define CHECK "/grpc.health.v1.Health/Check"
#define LIST "/grpc.health.v1.Health/List"

START_TEST(a_guarded_service_beside_an_open_one) {
  static const char *const names[] = {"tessera.test.v1.EchoService"};
  start(names, 1);
  ck_assert_int_eq(ask(NULL, CHECK), TESS_OK);
  ck_assert_int_eq(ask(NULL, RPC_ECHO), TESS_UNAUTHENTICATED);
  ck_assert_int_eq(atomic_load(&s.echoes), 0);
  ck_assert_int_eq(ask(&friend_id, RPC_ECHO), TESS_OK);
  ck_assert_int_eq(ask(&friend_id, CHECK), TESS_OK);
  ck_assert_int_eq(ask(&stranger_id, RPC_ECHO), TESS_PERMISSION_DENIED);
  ck_assert_int_eq(ask(&stranger_id, CHECK), TESS_OK);
  /* Signed by nobody we know: not even the handshake. */
  ck_assert_int_eq(ask(&stray_id, RPC_ECHO), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(&stray_id, CHECK), TESS_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&s.echoes), 1);
  stop();
}
END_TEST

START_TEST(one_method_of_a_service) {
  /* The second is no method, and no prefix of one counts. */
  static const char *const names[] = {"grpc.health.v1.Health/List", "tessera.test.v1.EchoServ"};
  start(names, 2);
  ck_assert_int_eq(ask(NULL, CHECK), TESS_OK);
  ck_assert_int_eq(ask(NULL, LIST), TESS_UNAUTHENTICATED);
  ck_assert_int_eq(ask(&friend_id, LIST), TESS_OK);
  ck_assert_int_eq(ask(NULL, RPC_ECHO), TESS_OK);
  stop();
}
END_TEST

START_TEST(every_service) {
  start(NULL, 0);
  ck_assert_int_eq(ask(NULL, CHECK), TESS_UNAUTHENTICATED);
  ck_assert_int_eq(ask(NULL, RPC_ECHO), TESS_UNAUTHENTICATED);
  ck_assert_int_eq(ask(&friend_id, RPC_ECHO), TESS_OK);
  stop();
}
END_TEST

/* ---- a reload while others call ---- */

static atomic_bool enough;
static atomic_int calls, failures;

static void *caller(void *arg) {
  (void)arg;
  while (!atomic_load(&enough)) {
    peer p = peer_new(&friend_id); /* a handshake each */
    for (int i = 0; i < 3; i++) {
      if (call(&p, RPC_ECHO) != TESS_OK) atomic_fetch_add(&failures, 1);
      atomic_fetch_add(&calls, 1);
    }
    peer_free(&p);
  }
  return NULL;
}

START_TEST(reload_under_traffic) {
  static const char *const names[] = {"tessera.test.v1.EchoService"};
  pthread_t threads[3];
  start(names, 1);
  atomic_store(&enough, false);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, NULL), 0);
  for (int i = 0; i < 20; i++) {
    const identity *id = i % 2 == 0 ? &second_id : &server_id;
    const tess_tls_options tls = {
        .certificate_pem = id->certificate, .key_pem = id->key, .ca_pem = ca.certificate};
    ck_assert_int_eq(tess_http_server_reload_tls(s.http, &tls, NULL), TESS_OK);
    site_sleep_ms(20);
  }
  for (int i = 0; i < 1000 && atomic_load(&calls) < 30; i++)
    site_sleep_ms(10);
  atomic_store(&enough, true);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  ck_assert_int_ge(atomic_load(&calls), 30);
  ck_assert_int_eq(atomic_load(&failures), 0);
  /* From now on other clients are believed. */
  const tess_tls_options tls = {.certificate_pem = server_id.certificate,
                                .key_pem = server_id.key,
                                .ca_pem = other_ca.certificate};
  ck_assert_int_eq(tess_http_server_reload_tls(s.http, &tls, NULL), TESS_OK);
  ck_assert_int_eq(ask(&stray_id, RPC_ECHO), TESS_OK);
  ck_assert_int_eq(ask(&friend_id, RPC_ECHO), TESS_UNAVAILABLE);
  ck_assert_int_eq(ask(NULL, CHECK), TESS_OK);
  stop();
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 90);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, a_guarded_service_beside_an_open_one);
  tcase_add_test(tcase, one_method_of_a_service);
  tcase_add_test(tcase, every_service);
  tcase_add_test(tcase, reload_under_traffic);
  return run_case("client certificates by service", tcase);
}
