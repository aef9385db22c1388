/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_tls.h: a build without OpenSSL, which says so.
 */
#include "rpc/http_server_tls.h"

tess__tls *tess__tls_new(const tess_tls_options *options, tess_status *status) {
  (void)options;
  tess_status_set(status, TESS_UNIMPLEMENTED, "built without TLS (OpenSSL was not found)");
  return NULL;
}

void tess__tls_free(tess__tls *tls) {
  (void)tls;
}

tess_code tess__tls_reload(tess__tls *tls, const tess_tls_options *options, tess_status *status) {
  (void)tls;
  (void)options;
  return tess_status_set(status, TESS_UNIMPLEMENTED, "built without TLS (OpenSSL was not found)");
}

void *tess__tls_context(tess__tls *tls) {
  (void)tls;
  return NULL;
}

void tess__tls_subject(void *ssl, char *text, size_t size) {
  (void)ssl;
  if (size > 0) text[0] = 0;
}
