/* SPDX-License-Identifier: Apache-2.0
 *
 * Timeouts as headers carry them, and deadlines on a clock.
 * Source: https://connectrpc.com/docs/protocol ("Timeout": at most 10 digits of
 * ms); gRPC's PROTOCOL-HTTP2.md (grpc-timeout: at most 8 digits and a unit).
 */
#ifndef TESSERA_RPC_DEADLINE_H
#define TESSERA_RPC_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool tess__connect_timeout_parse(const char *text, size_t size, int64_t *timeout_ms);
/* Rounded up to whole ms. */
bool tess__grpc_timeout_parse(const char *text, size_t size, int64_t *timeout_ms);

/* The header's text for timeout_ms >= 0, capped to what the header can say.
 * `text` has room for TESS__DECIMAL_BYTES + 1. Returns the length. */
size_t tess__connect_timeout_format(char *text, int64_t timeout_ms);
size_t tess__grpc_timeout_format(char *text, int64_t timeout_ms);

/* now_ms + timeout_ms without overflow; timeout_ms < 0: TESS_NEVER_MS. */
int64_t tess__deadline_after(int64_t now_ms, int64_t timeout_ms);

#endif
