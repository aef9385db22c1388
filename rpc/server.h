/* SPDX-License-Identifier: Apache-2.0
 *
 * The server object, as the core's own files see it.
 *
 * Threads: `lock` guards what stands below it; the rest does not change once
 * serving has begun.
 */
#ifndef TESSERA_RPC_SERVER_H
#define TESSERA_RPC_SERVER_H

#include "rpc/compression.h"
#include "rpc/lock.h"
#include "rpc/router.h"

#include <tessera/server.h>

enum { TESS__MAX_CODECS = 8 };

/* A call and the first memory of its arena lie in one block of this size; a few
 * blocks are kept for reuse. */
enum { TESS__CALL_BLOCK_BYTES = 8192, TESS__MAX_IDLE_BLOCKS = 64 };

struct tess_server {
  const tess_allocator *allocator;
  tess_server_options options; /* defaults filled in */
  tess__router router;
  const tess_service **services;
  size_t service_count;
  tess_server_interceptor *interceptors;
  size_t interceptor_count;
  const tess_codec *codecs[TESS__MAX_CODECS];
  size_t codec_count;
  tess__compressors compressors;

  tess__lock lock;
  size_t refs; /* the owner and every call */
  tess_server_counts counts;
  size_t inflight_bytes;
  struct tess__idle_block *idle_blocks;
  size_t idle_block_count;
};

/* How a call that was admitted ended. */
typedef struct tess__call_end {
  tess_code code;
  uint64_t bytes_received;
  uint64_t bytes_sent;
} tess__call_end;

/* A block for a new call, which also refers to the server; NULL: no memory. */
void *tess__server_take_block(tess_server *server);
/* end: NULL where tess__server_begin_call had not admitted the call. */
void tess__server_give_block(tess_server *server, void *block, const tess__call_end *end);

/* Admission of one call and, later, of the bytes it holds: TESS_OK or
 * TESS_RESOURCE_EXHAUSTED. What was admitted is given back. */
tess_code tess__server_begin_call(tess_server *server);
tess_code tess__server_charge(tess_server *server, size_t bytes);
void tess__server_uncharge(tess_server *server, size_t bytes);

/* NULL: no codec has this name. */
const tess_codec *tess__server_codec(const tess_server *server, const char *name, size_t size);

#endif
