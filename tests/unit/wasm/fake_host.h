/* SPDX-License-Identifier: Apache-2.0
 *
 * A scripted host of the native module, for tests: it keeps what the module
 * posts and replies, and plays the workers in every way they can behave. The
 * messages go through protobuf-c, the runtime that the module does not use.
 *
 * Threads: one; one host at a time (the log and the clock are its own).
 */
#ifndef TESSERA_TESTS_FAKE_HOST_H
#define TESSERA_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "fake_blocks.h"
#include "wasm/module.h"

typedef Tessera__Matmul__V1__MatmulRequest pb_request;
typedef Tessera__Matmul__V1__TileResult pb_result;
typedef Tessera__Matmul__V1__Matrix pb_matrix;

typedef enum worker_how {
  WORKER_GOOD,
  WORKER_UNREACHABLE,
  WORKER_TIMES_OUT,
  WORKER_HTTP_500,
  WORKER_HTTP_404_HTML,
  WORKER_ERROR_JSON,
  WORKER_GARBAGE,
  WORKER_EMPTY,
  WORKER_TRUNCATED,
  WORKER_WRONG_TYPE, /* content type */
  WORKER_WRONG_SHAPE,
  WORKER_WRONG_SIZE,
  WORKER_WRONG_TILE,
  WORKER_NO_TILE,
  WORKER_WRONG_DTYPE,
  WORKER_WRONG_PRODUCT,
  WORKER_BOTH_FORMS, /* data and values */
  WORKER_BAD_HEADERS,
  WORKER_NEVER,
  WORKER_REFUSED, /* http_post itself says no */
  WORKER_STALLS,  /* alive, but tiles are never answered */
  WORKER_HOW_COUNT
} worker_how;

typedef enum posted_what { POSTED_MULTIPLY, POSTED_LIST, POSTED_PUT, POSTED_DESCRIBE } posted_what;

typedef struct posted {
  posted_what what;
  int32_t handle; /* 0: free */
  unsigned worker;
  uint8_t *body;
  size_t size;
  double at_ms; /* when the worker answers */
  double timeout_at_ms;
  worker_how how;
  int taken; /* a put that was taken in and is not answered yet: the status; body is the answer */
} posted;

typedef struct replied {
  int32_t id; /* 0: free */
  int status;
  char headers[2048];
  uint8_t *body;
  size_t size;
  unsigned writes;
  bool complete;
} replied;

#define FAKE_WORKERS 8
#define FAKE_POSTS 64
#define FAKE_REPLIES 64

typedef struct fake_host {
  tess_module *module;
  double now_ms;
  double tick_ms; /* every look at the clock costs this */
  double worker_delay_ms;
  double told_gflops;   /* what workers say of themselves; 0: nothing */
  uint64_t told_limit;  /* and of the messages they take, which they keep; 0: nothing */
  double put_answer_ms; /* so long after a block was taken in its put is answered */
  worker_how how[FAKE_WORKERS];
  unsigned worker_count;
  unsigned answered[FAKE_WORKERS];    /* posts that each worker answered */
  unsigned asked[FAKE_WORKERS];       /* Describe; answered at once */
  unsigned unreachable[FAKE_WORKERS]; /* so many of these are refused first */
  unsigned in_flight[FAKE_WORKERS];
  unsigned most_in_flight;
  posted posts[FAKE_POSTS];
  unsigned post_count; /* ever, without Describe */
  size_t posted_bytes; /* bodies, ever */
  unsigned cancelled;
  int32_t next_handle;
  replied replies[FAKE_REPLIES];
  char log[8192]; /* all lines */
  size_t log_size;
  unsigned unaligned; /* operands that did not start at a multiple of 64 */
  fake_blocks blocks[FAKE_WORKERS];
  bool slow_client; /* http_reply* answers 1 until fake_host_writable */
  bool keeps;       /* http_reply answers TESS_MODULE_KEPT */
} fake_host;

/* A module with `workers` workers at http://worker0:1 and so on; extra: more
 * lines of configuration, tile_timeout_ms=2000 where they do not name it. NULL is
 * checked. */
fake_host *fake_host_new(unsigned workers, const char *mode, const char *extra);
void fake_host_free(fake_host *host);

/* POSTs a body, copied, as a Connect unary request. */
int32_t fake_host_send(fake_host *host, int32_t id, const char *path, const void *body,
                       size_t size);
/* The same with all headers given, each line ended by CRLF. */
int32_t fake_host_send_with(fake_host *host, int32_t id, const char *path, const char *headers,
                            const void *body, size_t size);
int32_t fake_host_send_request(fake_host *host, int32_t id, const char *path,
                               const pb_request *request, const char *more_headers);
/* Loops and lets workers answer until the reply of `id` is complete or until_ms
 * of the fake clock is over. NULL: it is not. */
replied *fake_host_wait(fake_host *host, int32_t id, double until_ms);
/* One turn: loop(), then whatever is due. */
void fake_host_turn(fake_host *host);
replied *fake_host_reply(fake_host *host, int32_t id);
/* Frees what is known about a reply. */
void fake_host_forget(fake_host *host, int32_t id);

/* The message in a unary reply; fails the test where there is none. Free with
 * tessera__matmul__v1__tile_result__free_unpacked. */
pb_result *fake_host_result(const replied *reply);

/* What the module's allocator holds now, in all hosts. */
extern size_t fake_live_blocks;
extern size_t fake_live_bytes;

/* C := alpha op(A) op(B) + beta C in double, for what a worker is sent. */
void fake_multiply(const pb_request *request, uint8_t *c);

#endif
