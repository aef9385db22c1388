/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS side of the HTTP server: certificates, and their exchange while the
 * server runs. http_server_tls.c does it with OpenSSL; http_server_tls_none.c
 * takes its place where there is no OpenSSL.
 *
 * Threads: any.
 */
#ifndef TESSERA_RPC_HTTP_SERVER_TLS_H
#define TESSERA_RPC_HTTP_SERVER_TLS_H

#include <stddef.h>

#include <tessera/status.h>
#include <tessera/tls.h>

typedef struct tess__tls tess__tls;

/* NULL on error: invalid_argument (no certificate, a bad file, a key that does
 * not fit), unimplemented (built without TLS), memory. */
tess__tls *tess__tls_new(const tess_tls_options *options, tess_status *status);
/* No connection may be open. */
void tess__tls_free(tess__tls *tls);
/* New connections get these certificates (NULL: the same files, read again). On
 * error all stays as it was. */
tess_code tess__tls_reload(tess__tls *tls, const tess_tls_options *options, tess_status *status);
/* The SSL_CTX for civetweb, valid until tess__tls_free. */
void *tess__tls_context(tess__tls *tls);
/* The subject of the peer's verified certificate as RFC 2253 text
 * ("CN=worker 1,O=Example"); empty: it showed none. ssl: an SSL. */
void tess__tls_subject(void *ssl, char *text, size_t size);

#endif
