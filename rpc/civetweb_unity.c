/* SPDX-License-Identifier: Apache-2.0
 *
 * civetweb, compiled as part of this file so that things which its API hides can
 * be asked for: the sockets of a connection and of a listener, and the beginning
 * of a TLS handshake. civetweb has no call that says whether a client has gone,
 * ends a connection from outside, or sets a socket option; with the descriptor the
 * kernel does all three.
 *
 * Its warnings are not ours: CMake compiles this file without them.
 */
#include "rpc/civetweb_unity.h"

#ifndef NO_SSL
#include <openssl/ssl.h>

static int accept_watched(SSL *ssl) {
  tess__civetweb_on_handshake((struct mg_connection *)SSL_get_app_data(ssl));
  return SSL_accept(ssl);
}
#define SSL_accept accept_watched
#endif

#include <civetweb.c>

int tess__civetweb_socket(const struct mg_connection *connection) {
  return connection->client.sock;
}

int tess__civetweb_listener(const struct mg_context *context) {
  return context->num_listening_sockets > 0 ? context->listening_sockets[0].sock : -1;
}

void *tess__civetweb_ssl(const struct mg_connection *connection) {
  return connection->ssl;
}
