/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS for the HTTP server (http_server.h) and for the libcurl transport
 * (transport_curl.h): TLS 1.2 and 1.3, certificates in PEM.
 *
 *   server: tess_tls_options tls = {.certificate_file = "server.pem",
 *                                   .key_file = "server.key"};
 *   client: tess_tls_options tls = {.ca_file = "ca.pem"};
 */
#ifndef TESSERA_TLS_H
#define TESSERA_TLS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each item is a file or, if that is NULL, PEM text (NUL-terminated). All is
 * copied; files are read again by tess_http_server_reload_tls, and by a client
 * for new connections. */
typedef struct tess_tls_options {
  /* What we show: the certificate (its chain behind it) and its key. A server
   * needs them; a client where the server asks for them. */
  const char *certificate_file;
  const char *certificate_pem;
  const char *key_file;
  const char *key_pem;
  /* Whom we believe. Server: who signs client certificates (none: they are not
   * asked for). Client: who signs server certificates (none: the system's list). */
  const char *ca_file;
  const char *ca_pem;
  /* Server: refuse clients without a certificate. Otherwise one is asked for and
   * a handler decides (tess_http_request.client_subject). */
  bool require_client_certificate;
} tess_tls_options;

#ifdef __cplusplus
}
#endif
#endif
