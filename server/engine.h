/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine seam: something that runs one instance of the module (wasm/abi.h).
 * module_host.c uses it and knows none of those behind it:
 *   engine_jsc.c     JavaScriptCore: JIT, SIMD. Cannot stop a loop.
 *   engine_wasm2c.c  the module compiled ahead of time to C. Can.
 *   engine_native.c  the module compiled natively (wasm/module.h): no sandbox.
 *
 * Threads: everything on the thread that created the engine, imports in the
 * middle of a call; interrupt() comes from another thread. Blocks of a stable
 * memory (below) may be filled and read by other threads.
 *
 * A call that returns TESS_ENGINE_TRAPPED ended the instance: only error(),
 * destroy() and the blocks of its memory are left.
 */
#ifndef TESSERA_SERVER_ENGINE_H
#define TESSERA_SERVER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "server/warm.h"
#include "wasm/abi.h"

/* Address of a block in the module's memory; 0: none. */
typedef uint64_t tess_guest;

typedef enum tess_engine_outcome {
  TESS_ENGINE_DONE,
  TESS_ENGINE_REFUSED, /* the module has no memory, or does not like it; it lives on */
  TESS_ENGINE_TRAPPED
} tess_engine_outcome;

/* Answer of http_reply and http_reply_more beside those of the ABI: taken, but
 * the pieces are still in use; on_sent() says when no longer. */
#define TESS_ENGINE_KEPT TESS_ABI_KEPT

/* The imports, with guest memory already checked and translated. Texts are
 * borrowed until return. Pieces too, unless `keep`: then those of http_post
 * stay valid and unchanged until on_response was called or http_cancel
 * returned, and those of replies until on_sent, where the answer was KEPT.
 * Imports must not call into the engine. */
typedef struct tess_engine_host {
  int32_t (*http_post)(void *ctx, tess_slice url, tess_slice headers, const tess_slice *pieces,
                       size_t piece_count, double timeout_ms, bool keep);
  void (*http_cancel)(void *ctx, int32_t handle);
  int32_t (*http_reply)(void *ctx, int32_t request, int32_t status, tess_slice headers,
                        const tess_slice *pieces, size_t piece_count, int32_t flags, bool keep);
  int32_t (*http_reply_more)(void *ctx, int32_t request, const tess_slice *pieces,
                             size_t piece_count, int32_t flags, bool keep);
  void (*log)(void *ctx, int32_t level, tess_slice text);
  void *ctx;
} tess_engine_host;

typedef struct tess_engine_params {
  /* jsc: the .wasm file, checked and capped by tess_wasm_file_check. Borrowed
   * during create. */
  tess_slice module;
  /* wasm2c: const tess_wasm2c_image *. Lives as long as the engine. */
  const void *image;
  uint64_t memory_limit; /* bytes of guest memory; 0: what the module declares */
  tess_warm *warm;       /* native: for what the module allocates. Outlives the engine */
  tess_engine_host host; /* copied */
} tess_engine_params;

/* A body on its way into the module. With guest != 0 it already lies there, in
 * a block from alloc(). Else the module gets a copy, or the chunk itself where
 * that is possible (native). Taken either way, whatever the outcome. */
typedef struct tess_engine_body {
  tess_chunk chunk;
  tess_guest guest;
} tess_engine_body;

typedef struct tess_engine tess_engine;

typedef struct tess_engine_ops {
  const char *name; /* "jsc" */
  /* NULL on error: internal (it does not instantiate), failed_precondition
   * (another version of the ABI), resource_exhausted. */
  tess_engine *(*create)(const tess_engine_params *params, tess_status *status);
  void (*destroy)(tess_engine *engine);

  /* Once, first. Refused: the module logged why. */
  tess_engine_outcome (*configure)(tess_engine *engine, tess_slice text);
  tess_engine_outcome (*on_request)(tess_engine *engine, int32_t id, tess_slice method,
                                    tess_slice path, tess_slice headers, tess_engine_body *body);
  tess_engine_outcome (*on_response)(tess_engine *engine, int32_t handle, int32_t status,
                                     tess_slice headers, tess_engine_body *body);
  tess_engine_outcome (*on_cancel)(tess_engine *engine, int32_t id);
  tess_engine_outcome (*on_writable)(tess_engine *engine, int32_t id);
  tess_engine_outcome (*on_sent)(tess_engine *engine, int32_t id);
  tess_engine_outcome (*loop)(tess_engine *engine, double *wake_in_ms);
  /* Writes at most `size` bytes; *length is what was written. */
  tess_engine_outcome (*stats)(tess_engine *engine, char *text, size_t size, size_t *length);

  /* A block that host threads may fill while the module runs, and where it
   * lies. REFUSED: no memory, or this engine has no such blocks. */
  tess_engine_outcome (*alloc)(tess_engine *engine, size_t size, tess_guest *guest, void **data);
  tess_engine_outcome (*free)(tess_engine *engine, tess_guest guest);
  /* alloc() works: memory keeps its address when it grows. */
  bool (*has_blocks)(tess_engine *engine);

  uint64_t (*memory_bytes)(tess_engine *engine);
  /* Why the last call trapped. For people; lives as long as the engine. */
  const char *(*error)(tess_engine *engine);
  /* Makes the call in progress, or else the next one, trap. Any thread. NULL:
   * this engine cannot. */
  void (*interrupt)(tess_engine *engine);
} tess_engine_ops;

struct tess_engine {
  const tess_engine_ops *ops;
};

extern const tess_engine_ops tess_engine_jsc;
extern const tess_engine_ops tess_engine_wasm2c;
extern const tess_engine_ops tess_engine_native;

#endif
