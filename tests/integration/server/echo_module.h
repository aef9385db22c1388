/* SPDX-License-Identifier: Apache-2.0
 *
 * The tests' own module: behaves well or badly, as the path of the request says.
 *
 *   /echo     the body comes back
 *   /trap     unreachable code
 *   /spin     never returns
 *   /deep     calls itself until the stack is used up
 *   /hog      allocates 1 MiB blocks until there is no more; says how many
 *   /keep     allocates as much as the body says and never frees it
 *   /relay    posts the body to the URL in the header x-url; its answer comes back
 *   /flood    posts to the URL in x-url until that is refused; says how often
 *   /stream   body "COUNT SIZE": that many chunks of that size, heeding back-pressure
 *   /rude     the same, without heeding it
 *   /hang     never answers
 *   /sleep    answers after as many ms as the body says
 *   /wild     replies with a piece outside memory (where there is an outside)
 *   /nonsense replies with headers that are none
 *   /twice    replies two times; the second must be refused
 *   /headers  the request's method, path and headers come back
 *   /half     begins a streaming reply, then traps in the next loop
 *
 * echo_wasm.c puts it behind the ABI, echo_native.c behind wasm/module.h; both
 * give it the functions below.
 */
#ifndef TESSERA_TESTS_ECHO_MODULE_H
#define TESSERA_TESTS_ECHO_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct echo_piece {
  const void *data;
  size_t size;
} echo_piece;

/* What it needs of its surroundings. */
typedef struct echo_host {
  void *(*alloc)(void *ctx, size_t size);
  void (*free)(void *ctx, void *ptr);
  int32_t (*post)(void *ctx, const char *url, size_t url_size, const echo_piece *pieces,
                  size_t count, double timeout_ms);
  int32_t (*reply)(void *ctx, int32_t id, int32_t status, const char *headers, size_t headers_size,
                   const echo_piece *pieces, size_t count, int32_t flags);
  int32_t (*reply_more)(void *ctx, int32_t id, const echo_piece *pieces, size_t count,
                        int32_t flags);
  void (*cancel)(void *ctx, int32_t handle);
  double (*now_ms)(void *ctx);
  void (*log)(void *ctx, int32_t level, const char *text, size_t size);
  void *ctx;
} echo_host;

/* A body, and how to let go of it. */
typedef struct echo_body {
  uint8_t *data;
  size_t size;
  void (*release)(void *owner);
  void *owner;
} echo_body;

typedef struct echo_module echo_module;

/* config: "fail" in it makes it refuse. NULL: refused or no memory. */
echo_module *echo_new(const echo_host *host, const char *config, size_t size);
/* Only where the whole process goes on without it (native). */
void echo_delete(echo_module *module);
/* Texts are borrowed, the body is taken. */
int32_t echo_on_request(echo_module *module, int32_t id, const char *method, size_t method_size,
                        const char *path, size_t path_size, const char *headers,
                        size_t headers_size, echo_body body);
void echo_on_response(echo_module *module, int32_t handle, int32_t status, echo_body body);
void echo_on_cancel(echo_module *module, int32_t id);
void echo_on_writable(echo_module *module, int32_t id);
void echo_on_sent(echo_module *module, int32_t id);
double echo_loop(echo_module *module);
size_t echo_stats(echo_module *module, char *text, size_t size);

#endif
