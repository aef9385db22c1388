/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this response an error, before any of it is handed on? Keeps the head and the
 * first bytes of a response until that is known: a unary Connect error is told by its
 * HTTP status, a stream's and gRPC-Web's by its first frame. Pure.
 *
 * Threads: one at a time.
 */
#ifndef TESSERA_RPC_RESPONSE_PEEK_H
#define TESSERA_RPC_RESPONSE_PEEK_H

#include "rpc/retry.h"
#include "rpc/text.h"

#include <tessera/metadata.h>

enum { TESS__PEEK_MAX_BYTES = 64 << 10 }; /* longer errors are handed on as they come */

typedef struct tess__peek {
  bool has_head, decided; /* decided: hand it on, whatever it is */
  bool framed;            /* the first frame tells */
  int status;
  int64_t content_length;
  tess_metadata headers; /* a copy */
  tess__text body;       /* what came so far */
} tess__peek;

void tess__peek_init(tess__peek *peek);
void tess__peek_cleanup(tess__peek *peek);
/* True: decided. The head is kept for whoever hands it on. */
bool tess__peek_head(tess__peek *peek, int status, const tess_metadata *headers,
                     int64_t content_length);
bool tess__peek_body(tess__peek *peek, const void *data, size_t size);
/* The response is complete: its code, TESS_OK where it is no error as far as that was
 * looked at, what it says about trying again, and in *status (set up by the caller) the
 * message of an error that has one. */
tess_code tess__peek_end(const tess__peek *peek, tess__pushback *pushback, tess_status *status);

#endif
