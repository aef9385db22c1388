/* SPDX-License-Identifier: Apache-2.0
 *
 * What one worker holds, as far as the controller knows, and how it gets what it
 * lacks: a block is first asked for (ListBlocks: another product, another
 * controller or one before this may have brought it), then put (PutBlock), once,
 * however many tiles wait for it. A worker that says so is sent tiles right behind the
 * block, before it said that it has it. Knowledge that is out of date costs one round
 * trip: the worker says what is missing, and tess_proxy_blocks_forget hears it.
 *
 * Bounds: TESS_PROXY_MAX_HELD names, the least recently used forgotten first;
 * one call for each block that tiles under way need.
 *
 * Ownership: a put borrows its panel until it ended; whoever frees a panel cancels
 * first. Threads: one; ended calls come in through the proxy's queue.
 */
#ifndef TESSERA_WASM_PROXY_BLOCKS_H
#define TESSERA_WASM_PROXY_BLOCKS_H

#include <tessera/client.h>
#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/panel.h"

#define TESS_PROXY_MAX_HELD 1024u

/* The end of a call, on its way from the transport's thread. First in its owner. */
typedef struct tess_proxy_end tess_proxy_end;

/* What the proxy does for its calls. */
typedef struct tess_proxy_calls {
  const tess_allocator *allocator;
  tess_client *client;
  uint64_t max_message_bytes;
  const char *limit_header; /* as in the proxy's options */
  /* The client's done and on_sent, for any tess_proxy_end. */
  void (*on_done)(void *ctx, const tess_status *status);
  void (*on_sent)(void *ctx);
  /* Gives up a call and waits until it borrows nothing any more. */
  void (*cancel)(tess_proxy_end *end, tess_client_call *call);
  void *proxy;
} tess_proxy_calls;

/* What an answer may carry beside elements: names, figures of a coordinator's workers; and
 * what a worker says of itself, which may be a coordinator of a thousand. */
#define TESS_PROXY_FIELD_BYTES ((uint64_t)64 << 10)
#define TESS_PROXY_DESCRIBE_BYTES ((uint64_t)512 << 10)
/* What the lists of an answer may take when it is decoded (two bytes can become an object of
 * hundreds), beside as much as its bytes, twice: elements may be converted. */
#define TESS_PROXY_LISTS_BYTES ((uint64_t)512 << 10)

/* How much of an answer is read. In place until the call ends. */
typedef struct tess_proxy_limit {
  tess_reason text;
  tess_metadata_entry entry;
  tess_metadata headers;
} tess_proxy_limit;
/* No more than so many bytes: more would be a wrong answer. */
void tess_proxy_limit_answer(const tess_proxy_calls *calls, tess_proxy_limit *limit, uint64_t bytes,
                             tess_call_options *options);

typedef struct tess_proxy_flight tess_proxy_flight;

typedef struct tess_proxy_blocks {
  const tess_proxy_calls *calls;
  struct tess_proxy_entry *entries; /* owned */
  uint32_t entry_count, entry_capacity;
  uint64_t clock;             /* of uses */
  tess_proxy_flight *flights; /* owned; under way */
  double unsupported_ms;      /* when it turned out to have no BlockService; 0: it has */
  bool awaits_puts;           /* tiles may name what is still being put */
  double now_ms;              /* set by whoever steps */
} tess_proxy_blocks;

typedef enum tess_proxy_answer {
  TESS_PROXY_HELD,   /* the name is enough */
  TESS_PROXY_COMING, /* so it is, if the request says that the block is on its way */
  TESS_PROXY_WAIT,   /* until something ends */
  TESS_PROXY_RAW,    /* it cannot be kept there: send elements */
  TESS_PROXY_FAILED  /* the call could not be started: the reason says why */
} tess_proxy_answer;

/* Can the block be named to the worker now? Begins what it takes. `asker` is told of
 * its put by tess_proxy_blocks_ended. early: it may be named while it is on its way; the
 * asker's tile then travels beside the block, others' follow it. */
tess_proxy_answer tess_proxy_blocks_want(tess_proxy_blocks *blocks, tess_panel *panel, void *asker,
                                         bool early, int64_t timeout_ms, tess_code *code,
                                         tess_reason *reason);
/* The asker's tile was computed from a block that it named as coming. Was that put for this
 * asker, and the put is not answered yet? Its bytes then, which tess_proxy_blocks_ended will
 * not tell any more; else 0. */
uint64_t tess_proxy_blocks_arrived(tess_proxy_blocks *blocks, const uint8_t *name,
                                   const void *asker);
/* Was all of a block sent since this was asked last? Who waits for it may follow. */
bool tess_proxy_blocks_sent(tess_proxy_blocks *blocks);
/* Does it keep blocks, as far as is known? */
bool tess_proxy_blocks_usable(const tess_proxy_blocks *blocks);
/* Does the worker hold it, as far as is known? */
bool tess_proxy_blocks_holds(const tess_proxy_blocks *blocks, const uint8_t *name);
/* The worker does not hold it. */
void tess_proxy_blocks_forget(tess_proxy_blocks *blocks, const uint8_t *name);
/* The worker cannot keep it for the time being. */
void tess_proxy_blocks_refuse(tess_proxy_blocks *blocks, const uint8_t *name);
/* Cancels the put of a panel that is not needed any more. */
void tess_proxy_blocks_cancel(tess_proxy_blocks *blocks, const tess_panel *panel);

/* How a flight ended. */
typedef struct tess_proxy_news {
  uint8_t name[TESS_SHA256_BYTES];
  void *asker;         /* of a put that ended well; compare only */
  uint64_t bytes_sent; /* of that */
  tess_code code;      /* TESS_OK: go on; else those who wait for this name fail */
  tess_reason reason;
} tess_proxy_news;
/* Takes the end of a flight, which is freed. False: it was cancelled, nothing is new. */
bool tess_proxy_blocks_ended(tess_proxy_blocks *blocks, tess_proxy_end *end, tess_proxy_news *news);

void tess_proxy_blocks_cleanup(tess_proxy_blocks *blocks);

/* ---- ends of calls ---- */

typedef enum tess_proxy_end_kind {
  TESS_PROXY_END_REQUEST, /* of a tile */
  TESS_PROXY_END_FLIGHT,  /* of a call about a block */
  TESS_PROXY_END_PULSE    /* of a question whether it is there */
} tess_proxy_end_kind;

struct tess_proxy_end {
  tess_proxy_end *next;
  void *proxy;
  tess_proxy_end_kind kind;
  tess_status status; /* how the call ended */
  _Atomic bool sent;  /* on_sent came */
  _Atomic bool ended; /* done came; set under the proxy's lock */
};

#endif
