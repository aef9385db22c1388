/* SPDX-License-Identifier: Apache-2.0
 *
 * Services that are for known clients alone: calls to them must come over TLS with
 * a client certificate that the server believes (tess_tls_options.ca_file), while
 * other services on the same port stay open to all.
 *
 *   static const char *const guarded[] = {"bank.v1.TransferService",
 *                                         "bank.v1.AccountService/Close"};
 *   static const tess_client_certificate_rule rule = {.names = guarded, .name_count = 2};
 *   tess_server_demand_client_certificates(server, &rule);
 *   tls = {.certificate_file = ..., .key_file = ..., .ca_file = "clients.pem"};
 *
 * Without a certificate a call ends with unauthenticated before its request is
 * read; one whose subject `allows` turns down, with permission_denied. To demand a
 * certificate of every connection, set tess_tls_options.require_client_certificate.
 *
 * Link with tessera-services.
 */
#ifndef TESSERA_CLIENT_CERTIFICATES_H
#define TESSERA_CLIENT_CERTIFICATES_H

#include <tessera/server.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Constant while the server lives; kept by pointer. */
typedef struct tess_client_certificate_rule {
  /* Services ("package.Service") and methods ("package.Service/Method"). With
   * name_count 0 all of the server's. */
  const char *const *names;
  size_t name_count;
  /* Is this client welcome? subject: RFC 2253 text ("CN=worker 1,O=Example").
   * NULL: every certificate that was believed. Any thread. */
  bool (*allows)(void *ctx, const tess_method *method, const char *subject);
  void *ctx;
} tess_client_certificate_rule;

/* Before serving; several rules add up. TESS_RESOURCE_EXHAUSTED: memory. */
tess_code tess_server_demand_client_certificates(tess_server *server,
                                                 const tess_client_certificate_rule *rule);

#ifdef __cplusplus
}
#endif
#endif
