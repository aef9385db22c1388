/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <tessera/transport_curl.h>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report.h"

/* Time between two looks at Ctrl-C, and two drawings. */
#define LOOK_MS 100

tess_code cli_remote_open(cli_remote *remote, const char *url, const program_tls *tls,
                          size_t max_response_bytes, tess_status *status) {
  memset(remote, 0, sizeof *remote);
  remote->url = url;
  const tess_tls_options tls_options =
      tls != NULL ? program_tls_client(tls) : (tess_tls_options){0};
  const tess_transport_curl_options transport_options = {.tls = tls != NULL ? &tls_options : NULL};
  tess_transport *transport = tess_transport_curl_new(&transport_options, status);
  if (transport == NULL) return status->code;
  cli_meter_init(&remote->meter, transport);
  const tess_client_options options = {.transport = &remote->meter.transport,
                                       .base_url = url,
                                       .max_response_bytes = max_response_bytes};
  remote->client = tess_client_new(&options, status);
  return remote->client != NULL ? TESS_OK : cli_remote_explain(remote, status);
}

void cli_remote_close(cli_remote *remote) {
  tess_client_free(remote->client);
  if (remote->meter.inside != NULL) remote->meter.transport.ops->free(&remote->meter.transport);
  memset(remote, 0, sizeof *remote);
}

/* ---- calls ---- */

typedef struct pending {
  cli_remote *remote;
  const cli_remote_receiver *receiver; /* NULL: unary */
  tess_client_call *handle;
  atomic_bool refused; /* by the receiver */
  atomic_bool done;
  /* done is set under it: while the main thread holds it and done is not set, the call
   * lives. Recursive, because a call may end within what is asked of it here. */
  pthread_mutex_t lock;
  tess_status *status;
} pending;

static void init_lock(pending *call) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&call->lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

static void on_done(void *ctx, const tess_status *status) {
  pending *call = ctx;
  if (status->code != TESS_OK && !atomic_load(&call->refused)) {
    tess_status_copy(call->status, status);
    call->status->code = status->code; /* also where the copy ran out of memory */
  }
  pthread_mutex_lock(&call->lock);
  atomic_store(&call->done, true);
  pthread_mutex_unlock(&call->lock);
}

static void cancel(pending *call) {
  pthread_mutex_lock(&call->lock);
  if (!atomic_load(&call->done)) tess_client_call_cancel(call->handle);
  pthread_mutex_unlock(&call->lock);
}

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  (void)trailers;
  on_done(ctx, status);
}

/* After a wrong message the rest is dropped, until the main thread cancels. */
static bool on_message(void *ctx, const void *message) {
  pending *call = ctx;
  if (!atomic_load(&call->refused) && !call->receiver->on_message(call->receiver->ctx, message))
    atomic_store(&call->refused, true);
  return true;
}

static bool is_done(void *ctx) {
  return atomic_load(&((pending *)ctx)->done);
}

static void show_progress(pending *call) {
  cli_meter *meter = &call->remote->meter;
  uint64_t sent = atomic_load(&meter->sent);
  uint64_t to_send = atomic_load(&meter->to_send);
  uint64_t received = atomic_load(&meter->received);
  uint64_t to_receive = atomic_load(&meter->to_receive);
  cli_progress_state state = {.phase = "waiting", .share = -1.0};
  if (call->receiver != NULL && call->receiver->progress(call->receiver->ctx, &state)) {
    /* told */
  } else if (call->receiver == NULL && received > 0) {
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

const char *cli_tls_advice(const char *problem) {
  if (problem != NULL && strstr(problem, "wrong version number") != NULL)
    return "; it does not speak TLS: http://?";
  if (problem != NULL && strstr(problem, "certificate problem") != NULL)
    return "; --tls-ca names who signs its certificate";
  return "";
}

tess_code cli_remote_explain(const cli_remote *remote, tess_status *status) {
  const char *advice = "";
  if (status->code == TESS_UNAVAILABLE)
    advice =
        atomic_load(&remote->meter.answered) ? "; try again later" : "; does a server run there?";
  const char *const tls = cli_tls_advice(status->message);
  if (tls[0] != '\0') advice = tls;
  if (status->code == TESS_UNIMPLEMENTED) advice = "; tessera describe tells what it can do";
  if (status->code == TESS_DEADLINE_EXCEEDED && remote->timeout_is_flag)
    advice = "; --timeout gives it longer";
  const char *name = tess_code_name(status->code);
  char text[1024];
  snprintf(text, sizeof text, "%s: %s%s%s%s", remote->url, name != NULL ? name : "unknown",
           status->message != NULL ? ": " : "", status->message != NULL ? status->message : "",
           advice);
  return tess_status_set(status, status->code, "%s", text);
}

/* Until the call has ended. The lock goes with it. */
static void wait_for(pending *call) {
  tess_transport *transport = &call->remote->meter.transport;
  bool cancelled = false;
  while (!transport->ops->wait(transport, is_done, call,
                               transport->ops->now_ms(transport) + LOOK_MS)) {
    if (!cancelled && (cli_interrupted() || atomic_load(&call->refused))) {
      cancelled = true;
      cancel(call);
    }
    show_progress(call);
  }
  pthread_mutex_lock(&call->lock); /* on_done has left it */
  pthread_mutex_unlock(&call->lock);
  pthread_mutex_destroy(&call->lock);
}

tess_code cli_remote_call(cli_remote *remote, const tess_method *method,
                          const tess_call_options *options, const void *request, void *response,
                          tess_status *status) {
  pending call = {.remote = remote, .status = status};
  init_lock(&call);
  tess_code code = tess_client_unary_start(remote->client, method, options, request, response,
                                           on_done, &call, &call.handle, status);
  if (code != TESS_OK) {
    pthread_mutex_destroy(&call.lock);
    return cli_remote_explain(remote, status);
  }
  wait_for(&call);
  return status->code == TESS_OK ? TESS_OK : cli_remote_explain(remote, status);
}

/* The one request of a stream. A peer that refuses at once may have ended the call
 * before: its status tells why, and nothing is sent. */
static tess_code send_request(pending *call, const void *request) {
  tess_code code = TESS_OK;
  pthread_mutex_lock(&call->lock);
  if (!is_done(call)) code = tess_client_stream_send(call->handle, request);
  if (code == TESS_OK && !is_done(call)) code = tess_client_stream_close_send(call->handle);
  pthread_mutex_unlock(&call->lock);
  return code;
}

tess_code cli_remote_stream(cli_remote *remote, const tess_method *method,
                            const tess_call_options *options, const void *request,
                            const cli_remote_receiver *receiver, tess_status *status) {
  static const tess_client_stream_events events = {.on_message = on_message, .on_end = on_end};
  pending call = {.remote = remote, .receiver = receiver, .status = status};
  init_lock(&call);
  tess_code code = tess_client_stream_start(remote->client, method, options, &events, &call,
                                            &call.handle, status);
  if (code != TESS_OK) {
    pthread_mutex_destroy(&call.lock);
    return cli_remote_explain(remote, status);
  }
  code = send_request(&call, request);
  if (code != TESS_OK) cancel(&call);
  wait_for(&call);
  /* Why it could not be sent says more than that it was cancelled then. */
  if (code != TESS_OK && !cli_interrupted() && !atomic_load(&call.refused) &&
      (status->code == TESS_OK || status->code == TESS_CANCELED))
    tess_status_set(status, code, "the request could not be sent");
  return status->code == TESS_OK ? TESS_OK : cli_remote_explain(remote, status);
}
