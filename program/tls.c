/* SPDX-License-Identifier: Apache-2.0 */
#include "program/tls.h"

#include <stddef.h>

bool program_tls_take(program_tls *tls, int option, char *value) {
  switch (option) {
    case PROGRAM_TLS_CERT:
      tls->certificate = value;
      return true;
    case PROGRAM_TLS_KEY:
      tls->key = value;
      return true;
    case PROGRAM_TLS_CA:
      tls->ca = value;
      return true;
    case PROGRAM_TLS_CLIENT_CA:
      tls->client_ca = value;
      return true;
    case PROGRAM_TLS_REQUIRE:
      tls->require_client_certificate = true;
      return true;
    default:
      return false;
  }
}

const char *program_tls_check(const program_tls *tls) {
  if ((tls->certificate == NULL) != (tls->key == NULL))
    return "--tls-cert and --tls-key belong together";
  if (tls->client_ca != NULL && tls->certificate == NULL)
    return "--tls-client-ca needs --tls-cert and --tls-key";
  if (tls->require_client_certificate && tls->client_ca == NULL)
    return "--require-client-cert needs --tls-client-ca: who signs them?";
  return NULL;
}

bool program_tls_listens(const program_tls *tls) {
  return tls->certificate != NULL;
}

tess_tls_options program_tls_server(const program_tls *tls) {
  return (tess_tls_options){.certificate_file = tls->certificate,
                            .key_file = tls->key,
                            .ca_file = tls->client_ca,
                            .require_client_certificate = tls->require_client_certificate};
}

tess_tls_options program_tls_client(const program_tls *tls) {
  return (tess_tls_options){
      .certificate_file = tls->certificate, .key_file = tls->key, .ca_file = tls->ca};
}
