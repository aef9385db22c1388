/* SPDX-License-Identifier: Apache-2.0
 *
 * A plain GET whose peer answers without an end.
 */
#include "cli/http_get.h"

#include <string.h>

#include "tests/unit/cli/still_transport.h"
#include "tests/unit/run_case.h"

enum { PIECE = 1000, MANY = 1000 };

/* Answers with pieces until it is cancelled, or up to MANY; and ends there and then. */
typedef struct endless {
  tess_transport transport;
  unsigned pieces; /* to answer with */
  unsigned given;
  bool cancelled;
} endless;

static tess_code start(tess_transport *transport, tess_http_outgoing *outgoing,
                       tess_status *status) {
  endless *e = (endless *)transport;
  static uint8_t bytes[PIECE];
  tess_metadata none;
  (void)status;
  tess_metadata_init(&none, NULL, 0);
  outgoing->ops->on_head(outgoing, 200, &none, -1);
  while (e->given < e->pieces && !e->cancelled) {
    tess_chunk chunk = {.data = bytes, .size = sizeof bytes};
    e->given++;
    outgoing->ops->on_body(outgoing, &chunk);
  }
  if (!e->cancelled) outgoing->ops->on_end(outgoing, TESS_OK, NULL);
  return TESS_OK;
}

static void cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  ((endless *)transport)->cancelled = true;
  outgoing->ops->on_end(outgoing, TESS_CANCELED, NULL);
}

static const tess_transport_ops ops = {.start = start,
                                       .resume = still_resume,
                                       .cancel = cancel,
                                       .now_ms = still_now_ms,
                                       .wait = still_wait};

START_TEST(an_endless_answer) {
  static const unsigned pieces[] = {3, 4, MANY};
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    endless peer = {.transport = {&ops}, .pieces = pieces[i]};
    cli_remote remote = {.url = "http://h:1", .meter = {.inside = &peer.transport}};
    cli_http_get get = {.path = "/descriptors.binpb", .max_bytes = 3 * PIECE};
    tess_status status = TESS_STATUS_INIT;
    tess_code code = cli_http_get_run(&get, &remote, &status);
    ck_assert_uint_eq(peer.given, pieces[i] < 4 ? pieces[i] : 4);
    ck_assert_int_eq(peer.cancelled, pieces[i] > 3);
    ck_assert_int_eq(code, pieces[i] > 3 ? TESS_RESOURCE_EXHAUSTED : TESS_OK);
    if (code == TESS_OK)
      ck_assert_uint_eq(get.size, 3 * PIECE);
    else
      ck_assert_ptr_nonnull(strstr(status.message, "the answer is larger than 3000 bytes"));
    cli_http_get_cleanup(&get);
    tess_status_cleanup(&status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("http get", 60, an_endless_answer);
}
