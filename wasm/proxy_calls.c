/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends of calls: they come on the transport's thread and wait for step().
 */
#include <stdatomic.h>
#include <string.h>

#include "wasm/proxy.h"

static void lock(tess__proxy *self) {
  if (self->sync.lock != NULL) self->sync.lock(self->sync.ctx);
}

static void unlock(tess__proxy *self) {
  if (self->sync.unlock != NULL) self->sync.unlock(self->sync.ctx);
}

void tess__proxy_on_call_done(void *ctx, const tess_status *status) {
  tess_proxy_end *end = ctx;
  tess__proxy *self = end->proxy;
  tess_executor_sync sync = self->sync;
  tess_status_copy(&end->status, status);
  lock(self);
  atomic_store(&end->ended, true);
  end->next = self->ended;
  self->ended = end;
  /* After the unlock the owner and self may be gone. */
  unlock(self);
  if (sync.wake != NULL) sync.wake(sync.ctx);
}

void tess__proxy_on_call_sent(void *ctx) {
  tess_proxy_end *end = ctx;
  const tess__proxy *self = end->proxy;
  atomic_store(&end->sent, true);
  if (self->sync.wake != NULL) self->sync.wake(self->sync.ctx);
}

void tess_proxy_limit_answer(const tess_proxy_calls *calls, tess_proxy_limit *limit, uint64_t bytes,
                             tess_call_options *options) {
  const uint64_t most = bytes < calls->max_message_bytes ? bytes : calls->max_message_bytes;
  const uint64_t decoded = 2 * most + TESS_PROXY_LISTS_BYTES;
  if (most < SIZE_MAX / 4 && options->arena != NULL) options->arena->max_bytes = (size_t)decoded;
  if (bytes >= calls->max_message_bytes || bytes >= SIZE_MAX) return; /* as the client's */
  options->max_response_bytes = (size_t)bytes;
  if (calls->limit_header == NULL) return;
  tess_reason_set(&limit->text, TESS_OK, "%U", bytes);
  limit->entry =
      (tess_metadata_entry){calls->limit_header, limit->text.text, strlen(limit->text.text)};
  limit->headers = (tess_metadata){.entries = &limit->entry, .count = 1};
  options->headers = &limit->headers;
}

/* Without the lock: transports ask this under locks of their own. */
static bool has_ended(void *ctx) {
  return atomic_load(&((tess_proxy_end *)ctx)->ended);
}

void tess__proxy_end_call(tess_proxy_end *end, tess_client_call *call) {
  tess__proxy *self = end->proxy;
  /* The call lives until tess__proxy_on_call_done returns, which the lock holds up. */
  lock(self);
  if (!has_ended(end)) tess_client_call_cancel(call);
  unlock(self);
  /* A transport without wait() (one thread) has ended the call by now. */
  if (!has_ended(end) && self->transport->ops->wait != NULL)
    self->transport->ops->wait(self->transport, has_ended, end, TESS_NEVER_MS);
}

tess_proxy_end *tess__proxy_take_ended(tess__proxy *self) {
  lock(self);
  tess_proxy_end *newest_first = self->ended;
  self->ended = NULL;
  unlock(self);
  tess_proxy_end *in_order = NULL;
  while (newest_first != NULL) {
    tess_proxy_end *next = newest_first->next;
    newest_first->next = in_order;
    in_order = newest_first;
    newest_first = next;
  }
  return in_order;
}
