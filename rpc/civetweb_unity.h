/* SPDX-License-Identifier: Apache-2.0
 *
 * What rpc/civetweb_unity.c adds to civetweb's API, and what it calls.
 */
#ifndef TESSERA_RPC_CIVETWEB_UNITY_H
#define TESSERA_RPC_CIVETWEB_UNITY_H

#include <stdbool.h>
#include <stddef.h>

struct mg_connection;
struct mg_context;

/* The connection's descriptor. */
int tess__civetweb_socket(const struct mg_connection *connection);
/* The first listener's. */
int tess__civetweb_listener(const struct mg_context *context);
/* The connection's SSL, or NULL. */
void *tess__civetweb_ssl(const struct mg_connection *connection);

/* From here on the heads of requests on this connection (not over TLS) are read by
 * the call that waits for them. On the connection's own thread, which must say
 * heads_end before civetweb closes it. */
void tess__civetweb_read_heads(const struct mg_connection *connection);
void tess__civetweb_heads_end(void);

/* On the connection's own thread, of the head that was read last: the status that it is
 * refused with and *why (static); 0: if it is, then by civetweb. */
int tess__civetweb_refused(const char **why);
/* Its target was "*", and not the "/" that civetweb was shown. */
bool tess__civetweb_asterisk(void);

/* mg_read that also takes the trailers behind a chunked body, and drops them (RFC 9112
 * 7.1.2); what is none is an error of the body's. */
int tess__civetweb_read(struct mg_connection *connection, void *data, size_t size);

/* Closes the connections that were accepted and that no thread has begun with. On the
 * master thread as it exits: all others have ended. */
void tess__civetweb_close_waiting(const struct mg_context *context);

/* Ours, in server_civetweb.c: called before each step of a TLS handshake, which
 * civetweb makes before it tells anybody of a new connection. */
void tess__civetweb_on_handshake(struct mg_connection *connection);

#endif
