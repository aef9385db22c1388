/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include <stdio.h>
#include <string.h>

#include <tessera/transport_curl.h>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report.h"

/* Time between two looks at Ctrl-C, and two drawings. */
#define LOOK_MS 100

tess_code cli_remote_open(cli_remote *remote, const char *url, size_t max_response_bytes,
                          tess_status *status) {
  memset(remote, 0, sizeof *remote);
  remote->url = url;
  tess_transport *transport = tess_transport_curl_new(NULL, status);
  if (transport == NULL) return status->code;
  cli_meter_init(&remote->meter, transport);
  const tess_client_options options = {.transport = &remote->meter.transport,
                                       .base_url = url,
                                       .max_response_bytes = max_response_bytes};
  remote->client = tess_client_new(&options, status);
  return remote->client != NULL ? TESS_OK : cli_remote_explain(url, status);
}

void cli_remote_close(cli_remote *remote) {
  tess_client_free(remote->client);
  if (remote->meter.inside != NULL) remote->meter.transport.ops->free(&remote->meter.transport);
  memset(remote, 0, sizeof *remote);
}

/* ---- one call ---- */

typedef struct pending {
  atomic_bool done;
  tess_status *status;
} pending;

static void on_done(void *ctx, const tess_status *status) {
  pending *call = ctx;
  if (status->code != TESS_OK) {
    tess_status_copy(call->status, status);
    call->status->code = status->code; /* also where the copy ran out of memory */
  }
  atomic_store(&call->done, true);
}

static bool is_done(void *ctx) {
  return atomic_load(&((pending *)ctx)->done);
}

static void show_progress(cli_meter *meter) {
  uint64_t sent = atomic_load(&meter->sent);
  uint64_t to_send = atomic_load(&meter->to_send);
  uint64_t received = atomic_load(&meter->received);
  uint64_t to_receive = atomic_load(&meter->to_receive);
  cli_progress_state state = {.phase = "waiting", .share = -1.0};
  if (received > 0) {
    state.phase = "receiving";
    state.bytes_done = received;
    state.bytes = to_receive;
    if (to_receive > 0) state.share = (double)received / (double)to_receive;
  } else if (sent < to_send) {
    state.phase = "sending";
    state.bytes_done = sent;
    state.bytes = to_send;
    state.share = (double)sent / (double)to_send;
  } else if (to_send > 0) {
    state.phase = "computing";
  }
  cli_progress_show(&state);
}

tess_code cli_remote_explain(const char *url, tess_status *status) {
  const char *advice = "";
  if (status->code == TESS_UNAVAILABLE) advice = "; does a server run there?";
  if (status->code == TESS_UNIMPLEMENTED) advice = "; tessera describe tells what it can do";
  if (status->code == TESS_DEADLINE_EXCEEDED) advice = "; --timeout gives it longer";
  const char *name = tess_code_name(status->code);
  char text[1024];
  snprintf(text, sizeof text, "%s: %s%s%s%s", url, name != NULL ? name : "unknown",
           status->message != NULL ? ": " : "", status->message != NULL ? status->message : "",
           advice);
  return tess_status_set(status, status->code, "%s", text);
}

tess_code cli_remote_call(cli_remote *remote, const tess_method *method,
                          const tess_call_options *options, const void *request, void *response,
                          tess_status *status) {
  pending call = {.status = status};
  atomic_init(&call.done, false);
  tess_client_call *handle = NULL;
  tess_transport *transport = &remote->meter.transport;
  tess_code code = tess_client_unary_start(remote->client, method, options, request, response,
                                           on_done, &call, &handle, status);
  if (code != TESS_OK) return cli_remote_explain(remote->url, status);
  bool cancelled = false;
  while (!transport->ops->wait(transport, is_done, &call,
                               transport->ops->now_ms(transport) + LOOK_MS)) {
    if (cli_interrupted() && !cancelled) {
      cancelled = true;
      tess_client_call_cancel(handle);
    }
    show_progress(&remote->meter);
  }
  return status->code == TESS_OK ? TESS_OK : cli_remote_explain(remote->url, status);
}
