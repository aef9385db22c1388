/* SPDX-License-Identifier: Apache-2.0
 *
 * A handler of the tests' own, written against <tessera/http.h> alone, and a
 * server around it. Paths:
 *   /echo            the whole body, read at once when its length is known
 *   /stream          the body piece by piece as it comes, chunked
 *   /later?N         waits, is woken from another thread after N ms, then 200 "late"
 *   /due?N           waits without a wake, until its own time limit of N ms: 504
 *   /forever         waits; only an abort ends it
 *   /big?N           N bytes of a pattern
 *   /refuse          404 without reading the body
 *   /slowread?N      wants the body, but not later than N ms: 408
 *   /headers         200, the body is what open() was told of the request
 *   /busy?N          computes on its thread for N ms
 *   /head?N          200 "head", with N headers of 1000 characters
 */
#ifndef TESSERA_TESTS_HTTP_SITE_H
#define TESSERA_TESTS_HTTP_SITE_H

#include <stdatomic.h>

#include <tessera/http_server.h>

typedef struct site {
  tess_http_server *server;
  int port;
  _Atomic int opened, freed, aborted;
  _Atomic int last_abort; /* tess_code */
  _Atomic bool ready;
  _Atomic int logged;
} site;

/* Starts on a free port of 127.0.0.1; other options as given. Fails the test. */
void site_start(site *s, tess_http_server_options options);
/* Ends it, and checks that every exchange was freed. */
void site_stop(site *s);
/* Byte i of the pattern that /big sends. */
static inline uint8_t site_pattern(size_t i) {
  return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16));
}
void site_sleep_ms(long ms);

#endif
