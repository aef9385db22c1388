/* SPDX-License-Identifier: Apache-2.0
 *
 * A tess_transport without a network, for tests of the module host. What
 * happens is in the URL's path:
 *   /echo       200, the request's body in pieces of 100,000 bytes
 *   /whole      the same, in one chunk that is given away
 *   /chunked    the same, length unknown
 *   /never      nothing until cancelled or late
 *   /fail       no connection
 *   /short      half of what its length says, then a good end
 *   /huge       claims 2^40 bytes
 *   /teapot     418
 * Each request has a thread. Bodies are read when the request starts to be
 * answered, so pieces that were changed too early show.
 */
#ifndef TESSERA_TESTS_FAKE_TRANSPORT_H
#define TESSERA_TESTS_FAKE_TRANSPORT_H

#include <tessera/http.h>

tess_transport *fake_transport_new(void);
/* Requests begun, and those that ended. */
void fake_transport_counts(tess_transport *transport, unsigned *started, unsigned *ended,
                           unsigned *cancelled);

#endif
