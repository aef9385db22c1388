/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the transport over libcurl work with: a site and a transport, with the
 * defaults of both. One of each at a time.
 */
#ifndef TESSERA_TESTS_HTTP_TRANSPORT_RIG_H
#define TESSERA_TESTS_HTTP_TRANSPORT_RIG_H

#include <check.h>

#include <tessera/transport_curl.h>

#include "tests/integration/http/site.h"

static site s;
static tess_transport *t;

static void setup(void) {
  site_start(&s, (tess_http_server_options){.idle_timeout_ms = 0});
  t = tess_transport_curl_new(NULL, NULL);
  ck_assert_ptr_nonnull(t);
}

static void teardown(void) {
  t->ops->free(t);
  site_stop(&s);
}

#endif
