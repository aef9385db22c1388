/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates made on the spot: EC P-256 keys, valid for a day.
 */
#ifndef TESSERA_TESTS_HTTP_CERTIFICATES_H
#define TESSERA_TESTS_HTTP_CERTIFICATES_H

typedef struct identity {
  char *certificate; /* PEM */
  char *key;
} identity;

/* name: its CN, and with a host its subjectAltName ("127.0.0.1"). issuer NULL:
 * signs itself and may sign others. Fails the test. */
identity identity_new(const char *name, const char *host, const identity *issuer);
void identity_free(identity *i);

#endif
