/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of the client, as the blocking calls use them.
 */
#ifndef TESSERA_RPC_CLIENT_STREAM_H
#define TESSERA_RPC_CLIENT_STREAM_H

#include <tessera/client.h>

/* As tess_client_stream_start, but messages come undecoded, through on_raw in
 * place of events->on_message: borrowed bytes, and what they are compressed with
 * (NULL: nothing). The call lives until tess__client_stream_unref as well as
 * on_end; what is sent after on_end is refused with TESS_CANCELED. */
typedef bool (*tess__raw_message)(void *ctx, tess_slice data, const tess_compressor *compressor);
tess_code tess__client_stream_start_raw(tess_client *client, const tess_method *method,
                                        const tess_call_options *options,
                                        const tess_client_stream_events *events,
                                        tess__raw_message on_raw, void *ctx,
                                        tess_client_call **call, tess_status *status);
/* tess_client_stream_send that says why not: *status (may be NULL), but for
 * TESS_WOULD_BLOCK. */
tess_code tess__client_stream_send(tess_client_call *call, const void *message,
                                   tess_status *status);
void tess__client_stream_unref(tess_client_call *call);

#endif
