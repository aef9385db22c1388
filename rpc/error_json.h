/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect's JSON: the body of a unary error and the last message of a stream.
 * Source: https://connectrpc.com/docs/protocol ("Error-End-Stream",
 * "EndStreamResponse").
 */
#ifndef TESSERA_RPC_ERROR_JSON_H
#define TESSERA_RPC_ERROR_JSON_H

#include "rpc/text.h"

#include <tessera/metadata.h>

/* {"code":...,"message":...,"details":[...]} */
void tess__error_json_write(tess__text *out, const tess_status *status);
/* {"error":{...},"metadata":{...}}; without "error" for TESS_OK. */
void tess__end_stream_json_write(tess__text *out, const tess_status *status,
                                 const tess_metadata *trailers);

/* Fills *status from an error body. Where the code is missing or unknown, or
 * the body is no error at all, the code is `fallback`. False: it is no JSON
 * error; *status is then {fallback, no message}. */
bool tess__error_json_read(tess_slice body, tess_code fallback, tess_status *status);
/* Fills *status (TESS_OK without "error") and appends to *trailers. False: it is
 * no end-of-stream message; *status then says so with TESS_INTERNAL. */
bool tess__end_stream_json_read(tess_slice body, tess_status *status, tess_metadata *trailers);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void tess__json_write_string(tess__text *out, const char *text, size_t size);

#endif
