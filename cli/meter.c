/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter.h"

#include <string.h>

/* The body goes on in pieces of this size, so that the bar moves. */
#define PIECE_BYTES ((size_t)2 << 20)

static cli_meter *meter_of_outgoing(tess_http_outgoing *outgoing) {
  return (cli_meter *)(void *)((uint8_t *)outgoing - offsetof(cli_meter, outgoing));
}

static cli_meter *meter_of_transport(tess_transport *transport) {
  return (cli_meter *)(void *)((uint8_t *)transport - offsetof(cli_meter, transport));
}

/* ---- towards the client ---- */

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  cli_meter *meter = meter_of_outgoing(outgoing);
  if (meter->piece.size == 0) {
    tess_http_body_state state = meter->caller->ops->next_body(meter->caller, &meter->piece);
    if (state != TESS_BODY_DATA) {
      meter->piece.size = 0;
      return state;
    }
  }
  slice->data = meter->piece.data;
  slice->size = meter->piece.size < PIECE_BYTES ? meter->piece.size : PIECE_BYTES;
  meter->piece.data = (const uint8_t *)meter->piece.data + slice->size;
  meter->piece.size -= slice->size;
  atomic_fetch_add(&meter->sent, slice->size);
  return TESS_BODY_DATA;
}

static bool rewind_body(tess_http_outgoing *outgoing) {
  cli_meter *meter = meter_of_outgoing(outgoing);
  meter->piece.size = 0;
  atomic_store(&meter->sent, 0);
  return meter->caller->ops->rewind_body(meter->caller);
}

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  cli_meter *meter = meter_of_outgoing(outgoing);
  atomic_store(&meter->answered, true);
  atomic_store(&meter->to_receive, content_length > 0 ? (uint64_t)content_length : 0);
  meter->caller->ops->on_head(meter->caller, status, headers, content_length);
}

static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  cli_meter *meter = meter_of_outgoing(outgoing);
  atomic_fetch_add(&meter->received, chunk->size);
  return meter->caller->ops->on_body(meter->caller, chunk);
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  cli_meter *meter = meter_of_outgoing(outgoing);
  atomic_store(&meter->active, false);
  meter->caller->ops->on_end(meter->caller, code, detail);
}

static const tess_http_outgoing_ops outgoing_ops = {.next_body = next_body,
                                                    .rewind_body = rewind_body,
                                                    .on_head = on_head,
                                                    .on_body = on_body,
                                                    .on_end = on_end};

/* ---- towards the transport inside ---- */

static tess_code start(tess_transport *transport, tess_http_outgoing *outgoing,
                       tess_status *status) {
  cli_meter *meter = meter_of_transport(transport);
  if (atomic_exchange(&meter->active, true))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "one request at a time");
  meter->caller = outgoing;
  meter->outgoing = *outgoing;
  meter->outgoing.ops = &outgoing_ops;
  meter->outgoing.transport_data = NULL;
  meter->outgoing.body = NULL; /* ask for it piece by piece */
  meter->outgoing.body_count = 0;
  meter->piece = (tess_slice){NULL, 0};
  atomic_store(&meter->sent, 0);
  atomic_store(&meter->received, 0);
  atomic_store(&meter->to_receive, 0);
  atomic_store(&meter->answered, false);
  atomic_store(&meter->to_send,
               outgoing->content_length > 0 ? (uint64_t)outgoing->content_length : 0);
  tess_code code = meter->inside->ops->start(meter->inside, &meter->outgoing, status);
  if (code != TESS_OK) atomic_store(&meter->active, false);
  return code;
}

static void resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  cli_meter *meter = meter_of_transport(transport);
  (void)outgoing;
  if (atomic_load(&meter->active)) meter->inside->ops->resume(meter->inside, &meter->outgoing);
}

static void cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  cli_meter *meter = meter_of_transport(transport);
  (void)outgoing;
  if (atomic_load(&meter->active)) meter->inside->ops->cancel(meter->inside, &meter->outgoing);
}

static int64_t now_ms(tess_transport *transport) {
  cli_meter *meter = meter_of_transport(transport);
  return meter->inside->ops->now_ms(meter->inside);
}

static bool wait_until(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                       int64_t until_ms) {
  cli_meter *meter = meter_of_transport(transport);
  return meter->inside->ops->wait(meter->inside, done, ctx, until_ms);
}

static bool can_wait(tess_transport *transport) {
  const tess_transport_ops *ops = meter_of_transport(transport)->inside->ops;
  return ops->can_wait == NULL || ops->can_wait(meter_of_transport(transport)->inside);
}

static void free_inside(tess_transport *transport) {
  cli_meter *meter = meter_of_transport(transport);
  meter->inside->ops->free(meter->inside);
  meter->inside = NULL;
}

static const tess_transport_ops transport_ops = {.start = start,
                                                 .resume = resume,
                                                 .cancel = cancel,
                                                 .now_ms = now_ms,
                                                 .wait = wait_until,
                                                 .can_wait = can_wait,
                                                 .free = free_inside};

void cli_meter_init(cli_meter *meter, tess_transport *inside) {
  memset(meter, 0, sizeof *meter);
  meter->transport.ops = &transport_ops;
  meter->inside = inside;
}
