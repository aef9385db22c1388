/* SPDX-License-Identifier: Apache-2.0
 *
 * The module's border under arbitrary events: configurations, requests and
 * responses of any bytes, in any order, with handles and ids that may be wrong.
 * The input is a list of commands; the host checks what the module must never
 * do: reply twice, reply to nobody, cancel what is not in flight, hand out
 * pieces that cannot be read.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/module.h"

#define MAX_COMMANDS 200
#define MAX_IDS 16
#define MAX_HANDLES 64

typedef struct input {
  const uint8_t *data;
  size_t size;
} input;

typedef struct host {
  double now_ms;
  bool open[MAX_IDS + 1];    /* requests that are not answered completely */
  bool replied[MAX_IDS + 1]; /* the head went out */
  bool kept[MAX_IDS + 1];
  bool gone[MAX_IDS + 1]; /* the client went away; a kept reply is not sent yet */
  bool in_flight[MAX_HANDLES + 1];
  int32_t handles;
  uint8_t answer; /* what http_reply answers, from the input */
  uint32_t sum;   /* of all bytes that were handed out: they must be readable */
} host;

/* A crash of its own for each place. */
#define check(good)                \
  do {                             \
    if (!(good)) __builtin_trap(); \
  } while (0)

static uint8_t take_byte(input *in) {
  if (in->size == 0) return 0;
  in->size--;
  return *in->data++;
}

/* A length, then so many bytes. */
static input take_bytes(input *in) {
  size_t size = take_byte(in);
  size |= (size_t)take_byte(in) << 8;
  if (size > in->size) size = in->size;
  input part = {in->data, size};
  in->data += size;
  in->size -= size;
  return part;
}

static void read_all(host *h, const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; i++)
    h->sum += bytes[i];
}

static void read_pieces(host *h, const tess_slice *pieces, size_t count) {
  for (size_t i = 0; i < count; i++)
    read_all(h, pieces[i].data, pieces[i].size);
}

static int32_t on_post(void *ctx, const char *url, size_t url_size, const char *headers,
                       size_t headers_size, const tess_slice *pieces, size_t piece_count,
                       double timeout_ms) {
  host *h = ctx;
  (void)timeout_ms;
  read_all(h, url, url_size);
  read_all(h, headers, headers_size);
  read_pieces(h, pieces, piece_count);
  if (h->handles == MAX_HANDLES) return -1;
  h->in_flight[++h->handles] = true;
  return h->handles;
}

static void on_cancel_post(void *ctx, int32_t handle) {
  host *h = ctx;
  check(handle > 0 && handle <= h->handles && h->in_flight[handle]);
  h->in_flight[handle] = false;
}

static int32_t after_reply(host *h, int32_t id, size_t piece_count, int32_t flags) {
  if ((flags & TESS_ABI_REPLY_MORE) == 0) h->open[id] = false;
  switch (h->answer % 4) {
    case 1:
      return 1;
    case 2:
      if (piece_count == 0) return 0; /* nothing to keep */
      h->kept[id] = true;
      return TESS_MODULE_KEPT;
    case 3:
      h->open[id] = false;
      return -1;
    default:
      return 0;
  }
}

static int32_t on_reply(void *ctx, int32_t id, int32_t status, const char *headers,
                        size_t headers_size, const tess_slice *pieces, size_t piece_count,
                        int32_t flags) {
  host *h = ctx;
  check(id > 0 && id <= MAX_IDS && h->open[id] && !h->replied[id] && !h->kept[id]);
  check(status >= 200 && status <= 599);
  h->replied[id] = true;
  read_all(h, headers, headers_size);
  read_pieces(h, pieces, piece_count);
  return after_reply(h, id, piece_count, flags);
}

static int32_t on_reply_more(void *ctx, int32_t id, const tess_slice *pieces, size_t piece_count,
                             int32_t flags) {
  host *h = ctx;
  check(id > 0 && id <= MAX_IDS && h->open[id] && h->replied[id] && !h->kept[id]);
  read_pieces(h, pieces, piece_count);
  return after_reply(h, id, piece_count, flags);
}

static double on_now(void *ctx) {
  return ((host *)ctx)->now_ms;
}

static void on_log(void *ctx, int32_t level, const char *text, size_t size) {
  (void)level;
  read_all(ctx, text, size);
}

static void on_random(void *ctx, void *data, size_t size) {
  (void)ctx;
  memset(data, 1, size);
}

/* ---- commands ---- */

static tess_chunk chunk_of(input bytes) {
  tess_chunk chunk = {.size = bytes.size};
  if (bytes.size == 0) return chunk;
  chunk.data = malloc(bytes.size);
  memcpy(chunk.data, bytes.data, bytes.size);
  chunk.release = free;
  chunk.owner = chunk.data;
  return chunk;
}

static void request(host *h, tess_module *module, input *in) {
  static const char *const paths[] = {"/tessera.matmul.v1.MatmulService/Multiply",
                                      "/tessera.matmul.v1.MatmulService/MultiplyTiles",
                                      "/tessera.matmul.v1.MatmulService/Describe",
                                      "/tessera.matmul.v1.ControllerService/SetMode",
                                      "/tessera.matmul.v1.ControllerService/GetMode",
                                      "/grpc.health.v1.Health/Check"};
  static const char *const block_paths[] = {"/tessera.matmul.v1.BlockService/PutBlock",
                                            "/tessera.matmul.v1.BlockService/ListBlocks",
                                            "/tessera.matmul.v1.BlockService/DropBlock"};
  static const char *const heads[] = {
      "content-type: application/proto\r\n", "content-type: application/connect+proto\r\n",
      "content-type: application/grpc-web+proto\r\n",
      "content-type: application/proto\r\nconnect-timeout-ms: 5\r\n"};
  uint8_t kind = take_byte(in);
  int32_t id = 1 + kind % MAX_IDS;
  uint8_t choice = take_byte(in);
  const char *path = choice < 64 ? paths[choice % 6] : block_paths[choice / 64 - 1];
  size_t path_size = strlen(path);
  const char *head = heads[choice / 8 % 4];
  size_t head_size = strlen(head);
  input own = {0};
  if (kind & 0x40) {
    own = take_bytes(in);
    head = (const char *)own.data;
    head_size = own.size;
  }
  if (kind & 0x80) {
    own = take_bytes(in);
    path = (const char *)own.data;
    path_size = own.size;
  }
  tess_chunk body = chunk_of(take_bytes(in));
  const char *method = kind & 0x20 ? "GET" : "POST";
  bool was_open = h->open[id] || h->kept[id];
  if (!was_open) {
    h->open[id] = true;
    h->replied[id] = false;
  }
  int32_t result = tess_module_on_request(module, id, method, strlen(method), path, path_size, head,
                                          head_size, &body);
  if (result < 0 && !was_open) h->open[id] = false;
  if (was_open) check(result < 0 || h->gone[id]);
}

static void response(host *h, tess_module *module, input *in) {
  static const char proto[] = "content-type: application/proto\r\n";
  uint8_t kind = take_byte(in);
  int32_t handle = (int32_t)take_byte(in) - 2;
  uint8_t status = take_byte(in);
  int32_t statuses[] = {200, 200, 500, 404, 0, -1, 429, 99, 1000, -7};
  const char *head = proto;
  size_t head_size = strlen(proto);
  input own = {0};
  if (kind & 1) {
    own = take_bytes(in);
    head = (const char *)own.data;
    head_size = own.size;
  }
  tess_chunk body = chunk_of(take_bytes(in));
  if (handle > 0 && handle <= h->handles) h->in_flight[handle] = false;
  tess_module_on_response(module, handle, statuses[status % 10], head, head_size, &body);
}

static void cancel(host *h, tess_module *module, int32_t id) {
  h->open[id] = false;
  h->gone[id] = h->kept[id];
  tess_module_on_cancel(module, id);
}

static void sent(host *h, tess_module *module, int32_t id) {
  h->kept[id] = h->gone[id] = false;
  tess_module_on_sent(module, id);
}

static void command(host *h, tess_module *module, input *in) {
  uint8_t what = take_byte(in);
  switch (what % 8) {
    case 0:
      request(h, module, in);
      break;
    case 1:
      response(h, module, in);
      break;
    case 2:
      tess_module_loop(module);
      break;
    case 3:
      h->now_ms += take_byte(in) * (what & 8 ? 100.0 : 0.5);
      break;
    case 4:
      cancel(h, module, 1 + take_byte(in) % MAX_IDS);
      break;
    case 5:
      tess_module_on_writable(module, 1 + take_byte(in) % MAX_IDS);
      break;
    case 6:
      sent(h, module, 1 + take_byte(in) % MAX_IDS);
      break;
    default:
      h->answer = take_byte(in);
      break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char good[] =
      "mode=proxy\nworker=http://a:1\nworker=http://b:1\nmax_message_bytes=65536\n"
      "max_inflight_bytes=1000000\ncache_bytes=3000\ntile_timeout_ms=1000\n";
  input in = {data, size};
  host h = {.now_ms = 1};
  const tess_module_host table = {on_post, on_cancel_post, on_reply,  on_reply_more,
                                  on_now,  on_log,         on_random, &h};
  input config = {(const uint8_t *)good, sizeof good - 1};
  if (take_byte(&in) & 1) config = take_bytes(&in);
  tess_status status = TESS_STATUS_INIT;
  tess_module *module =
      tess_module_new(&table, (const char *)config.data, config.size, NULL, &status);
  check(module != NULL || status.code != TESS_OK);
  tess_status_cleanup(&status);
  if (module == NULL) return 0;
  for (int i = 0; i < MAX_COMMANDS && in.size > 0; i++)
    command(&h, module, &in);
  /* It comes to rest once nothing more happens. */
  h.answer = 0;
  for (int32_t id = 1; id <= MAX_IDS; id++) {
    if (h.kept[id]) sent(&h, module, id);
    tess_module_on_writable(module, id);
  }
  for (int i = 0; i < 2000; i++) {
    double wake = tess_module_loop(module);
    if (wake < 0) break;
    h.now_ms += wake > 0 ? wake : 0.1;
  }
  char stats[4096];
  read_all(&h, stats, tess_module_stats(module, stats, sizeof stats));
  tess_module_free(module);
  for (int32_t handle = 1; handle <= h.handles; handle++)
    check(!h.in_flight[handle]);
  return 0;
}
