/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a transport that ends each request within start or cancel: its clock
 * stands still, and there is nothing to wait for.
 */
#ifndef TESSERA_TESTS_UNIT_CLI_STILL_TRANSPORT_H
#define TESSERA_TESTS_UNIT_CLI_STILL_TRANSPORT_H

#include <check.h>

#include <tessera/http.h>

static void still_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  (void)outgoing;
}

static int64_t still_now_ms(tess_transport *transport) {
  (void)transport;
  return 0;
}

static bool still_wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                       int64_t until_ms) {
  (void)transport;
  (void)until_ms;
  ck_assert_msg(done(ctx), "the call never ends");
  return true;
}

#endif
