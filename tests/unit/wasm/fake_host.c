/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_host.h.
 */
#include "fake_host.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *join(const tess_slice *pieces, size_t count, size_t *size) {
  *size = 0;
  for (size_t i = 0; i < count; i++)
    *size += pieces[i].size;
  uint8_t *body = malloc(*size + 1);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (pieces[i].size > 0) memcpy(body + at, pieces[i].data, pieces[i].size);
    at += pieces[i].size;
  }
  return body;
}

/* ---- an allocator that counts ---- */

size_t fake_live_blocks;
size_t fake_live_bytes;

/* The size stands before the block. */
#define HEAD 16

static void *counting_alloc(void *ctx, size_t size) {
  (void)ctx;
  uint8_t *block = malloc(size + HEAD);
  if (block == NULL) return NULL;
  memcpy(block, &size, sizeof size);
  fake_live_blocks++;
  fake_live_bytes += size;
  return block + HEAD;
}

static void counting_free(void *ctx, void *pointer) {
  (void)ctx;
  if (pointer == NULL) return;
  uint8_t *block = (uint8_t *)pointer - HEAD;
  size_t size;
  memcpy(&size, block, sizeof size);
  fake_live_blocks--;
  fake_live_bytes -= size;
  free(block);
}

static void *counting_realloc(void *ctx, void *pointer, size_t size) {
  void *moved = counting_alloc(ctx, size);
  if (moved == NULL || pointer == NULL) return moved;
  size_t before;
  memcpy(&before, (uint8_t *)pointer - HEAD, sizeof before);
  memcpy(moved, pointer, before < size ? before : size);
  counting_free(ctx, pointer);
  return moved;
}

static const tess_allocator counting = {counting_alloc, counting_realloc, counting_free, NULL};

/* ---- imports ---- */

static int32_t http_post(void *ctx, const char *url, size_t url_size, const char *headers,
                         size_t headers_size, const tess_slice *pieces, size_t piece_count,
                         double timeout_ms) {
  fake_host *host = ctx;
  char text[256];
  unsigned worker = 0;
  snprintf(text, sizeof text, "%.*s", (int)url_size, url);
  if (strstr(text, "http://elsewhere:1/") != NULL) return -1; /* nobody is there */
  ck_assert_int_eq(sscanf(text, "http://worker%u:1/", &worker), 1);
  posted_what what = POSTED_MULTIPLY;
  if (strstr(text, ":1/tessera.matmul.v1.BlockService/ListBlocks") != NULL) what = POSTED_LIST;
  if (strstr(text, ":1/tessera.matmul.v1.BlockService/PutBlock") != NULL) what = POSTED_PUT;
  if (strstr(text, ":1/tessera.matmul.v1.MatmulService/Describe") != NULL) what = POSTED_DESCRIBE;
  if (what == POSTED_MULTIPLY)
    ck_assert_ptr_nonnull(strstr(text, ":1/tessera.matmul.v1.MatmulService/Multiply"));
  ck_assert_uint_lt(worker, host->worker_count);
  char *head = malloc(headers_size + 1);
  memcpy(head, headers, headers_size);
  head[headers_size] = '\0';
  ck_assert_ptr_nonnull(strstr(head, "content-type: application/proto\r\n"));
  ck_assert_ptr_nonnull(strstr(head, "connect-timeout-ms: "));
  free(head);
  ck_assert(timeout_ms > 0);
  if (what != POSTED_DESCRIBE) host->post_count++;
  if (host->how[worker] == WORKER_REFUSED) return -1;
  for (unsigned i = 0; i < FAKE_POSTS; i++) {
    posted *p = &host->posts[i];
    if (p->handle != 0) continue;
    *p = (posted){
        .what = what, .handle = ++host->next_handle, .worker = worker, .how = host->how[worker]};
    p->body = join(pieces, piece_count, &p->size);
    host->posted_bytes += p->size;
    p->at_ms = host->now_ms + host->worker_delay_ms;
    p->timeout_at_ms = host->now_ms + timeout_ms;
    if (what == POSTED_DESCRIBE) {
      p->at_ms = host->now_ms + 1;
      host->asked[worker]++;
      if (host->unreachable[worker] > 0) {
        host->unreachable[worker]--;
        p->how = WORKER_UNREACHABLE;
      }
    }
    if (what == POSTED_MULTIPLY && ++host->in_flight[worker] > host->most_in_flight)
      host->most_in_flight = host->in_flight[worker];
    return p->handle;
  }
  ck_abort_msg("too many posts in flight");
  return -1;
}

static void post_over(fake_host *host, posted *p) {
  if (p->what == POSTED_MULTIPLY) host->in_flight[p->worker]--;
  free(p->body);
  *p = (posted){0};
}

static void http_cancel(void *ctx, int32_t handle) {
  fake_host *host = ctx;
  for (unsigned i = 0; i < FAKE_POSTS; i++) {
    if (host->posts[i].handle != handle) continue;
    post_over(host, &host->posts[i]);
    host->cancelled++;
    return;
  }
  ck_abort_msg("a handle is cancelled that is not in flight");
}

static int32_t add_to_reply(fake_host *host, replied *reply, const tess_slice *pieces, size_t count,
                            int32_t flags) {
  size_t size = 0;
  uint8_t *more = join(pieces, count, &size);
  reply->body = realloc(reply->body, reply->size + size + 1);
  memcpy(reply->body + reply->size, more, size);
  free(more);
  reply->size += size;
  reply->writes++;
  reply->complete = (flags & TESS_ABI_REPLY_MORE) == 0;
  if (host->keeps) return TESS_MODULE_KEPT;
  return host->slow_client ? 1 : 0;
}

static int32_t http_reply(void *ctx, int32_t request, int32_t status, const char *headers,
                          size_t headers_size, const tess_slice *pieces, size_t piece_count,
                          int32_t flags) {
  fake_host *host = ctx;
  ck_assert_msg(fake_host_reply(host, request) == NULL, "a second reply to %d", request);
  for (unsigned i = 0; i < FAKE_REPLIES; i++) {
    replied *reply = &host->replies[i];
    if (reply->id != 0) continue;
    reply->id = request;
    reply->status = status;
    snprintf(reply->headers, sizeof reply->headers, "%.*s", (int)headers_size, headers);
    return add_to_reply(host, reply, pieces, piece_count, flags);
  }
  return -1;
}

static int32_t http_reply_more(void *ctx, int32_t request, const tess_slice *pieces,
                               size_t piece_count, int32_t flags) {
  fake_host *host = ctx;
  replied *reply = fake_host_reply(host, request);
  ck_assert_ptr_nonnull(reply);
  ck_assert(!reply->complete);
  return add_to_reply(host, reply, pieces, piece_count, flags);
}

static double now_ms(void *ctx) {
  fake_host *host = ctx;
  host->now_ms += host->tick_ms;
  return host->now_ms;
}

static void keep_log(void *ctx, int32_t level, const char *text, size_t size) {
  fake_host *host = ctx;
  (void)level;
  for (size_t i = 0; i < size; i++)
    ck_assert_msg(text[i] >= ' ' || text[i] < 0, "a control byte");
  int room = (int)(sizeof host->log - host->log_size);
  if ((int)size + 2 > room) return;
  host->log_size +=
      (size_t)snprintf(host->log + host->log_size, (size_t)room, "%.*s\n", (int)size, text);
}

static void random_bytes(void *ctx, void *data, size_t size) {
  (void)ctx;
  memset(data, 7, size);
}

/* ---- arithmetic of the workers ---- */

static double element(const pb_matrix *m, uint32_t row, uint32_t col) {
  size_t at = (size_t)row * m->cols + col;
  if (m->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64) {
    double value;
    memcpy(&value, m->data.data + at * sizeof value, sizeof value);
    return value;
  }
  float value;
  memcpy(&value, m->data.data + at * sizeof value, sizeof value);
  return value;
}

/* op(m) as doubles, row-major. */
static double *widen(const pb_matrix *m, bool transpose) {
  uint32_t rows = transpose ? m->cols : m->rows;
  uint32_t cols = transpose ? m->rows : m->cols;
  double *wide = malloc(((size_t)rows * cols + 1) * sizeof *wide);
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t j = 0; j < cols; j++)
      wide[(size_t)i * cols + j] = transpose ? element(m, j, i) : element(m, i, j);
  return wide;
}

/* Nearly all of the arithmetic, over memory of its own: a sanitizer that watches each access
 * takes half a minute for it. */
__attribute__((no_sanitize("address", "undefined"))) static void add_scaled(double *row, double x,
                                                                            const double *from,
                                                                            uint32_t n) {
  for (uint32_t j = 0; j < n; j++)
    row[j] += x * from[j];
}

void fake_multiply(const pb_request *r, uint8_t *c) {
  uint32_t m = r->transpose_a ? r->a->cols : r->a->rows;
  uint32_t k = r->transpose_a ? r->a->rows : r->a->cols;
  uint32_t n = r->transpose_b ? r->b->rows : r->b->cols;
  double alpha = r->scaling != NULL ? r->scaling->alpha : 1;
  double beta = r->scaling != NULL ? r->scaling->beta : 0;
  double *a = widen(r->a, r->transpose_a);
  double *b = widen(r->b, r->transpose_b);
  double *row = malloc((n + 1) * sizeof *row);
  for (uint32_t i = 0; i < m; i++) {
    for (uint32_t j = 0; j < n; j++)
      row[j] = 0;
    for (uint32_t p = 0; p < k; p++)
      add_scaled(row, a[(size_t)i * k + p], b + (size_t)p * n, n);
    for (uint32_t j = 0; j < n; j++) {
      double value = alpha * row[j] + (beta != 0 ? beta * element(r->c, i, j) : 0);
      float narrow = (float)value;
      size_t at = (size_t)i * n + j;
      if (r->a->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64)
        memcpy(c + at * sizeof value, &value, sizeof value);
      else
        memcpy(c + at * sizeof narrow, &narrow, sizeof narrow);
    }
  }
  free(a);
  free(b);
  free(row);
}

/* ---- what workers answer ---- */

static void answer_with(fake_host *host, int32_t handle, int status, const char *headers,
                        const void *data, size_t size) {
  tess_chunk body = {.size = size};
  if (size > 0) {
    body.data = malloc(size);
    memcpy(body.data, data, size);
    body.release = free;
    body.owner = body.data;
  }
  tess_module_on_response(host->module, handle, status, headers, strlen(headers), &body);
}

/* Where the payload starts in the posted body: at a multiple of 64? */
static bool is_aligned(const posted *p, const pb_matrix *m) {
  size_t size = m->data.len;
  for (size_t at = 0; at + size <= p->size; at += 64)
    if (memcmp(p->body + at, m->data.data, size) == 0) return true;
  return false;
}

/* The right answer, bent in one way. */
static void answer_result(fake_host *host, int32_t handle, const posted *p, const char *headers) {
  pb_request *request = tessera__matmul__v1__matmul_request__unpack(NULL, p->size, p->body);
  ck_assert_ptr_nonnull(request);
  ck_assert_ptr_nonnull(request->tile);
  uint8_t *elements[2];
  char error[512];
  if (!fake_blocks_resolve(&host->blocks[p->worker], request, elements, error, sizeof error)) {
    answer_with(host, handle, 404, "content-type: application/json\r\n", error, strlen(error));
    fake_blocks_done(request, elements);
    tessera__matmul__v1__matmul_request__free_unpacked(request, NULL);
    return;
  }
  /* The payloads start where a worker can use them in place. */
  if ((elements[0] == NULL && !is_aligned(p, request->a)) ||
      (elements[1] == NULL && !is_aligned(p, request->b)))
    host->unaligned++;
  pb_result result;
  tessera__matmul__v1__tile_result__init(&result);
  Tessera__Matmul__V1__Tile tile = *request->tile;
  pb_matrix c = TESSERA__MATMUL__V1__MATRIX__INIT;
  size_t element_size = request->a->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64 ? 8 : 4;
  c.rows = tile.rows;
  c.cols = tile.cols;
  c.dtype = request->a->dtype;
  c.data.len = (size_t)tile.rows * tile.cols * element_size;
  c.data.data = calloc(1, c.data.len + 8);
  fake_multiply(request, c.data.data);
  double one = 1;
  char other[] = "another product";
  result.tile = &tile;
  result.c = &c;
  char worker[] = "fake";
  char kernel[] = "naive";
  result.worker = worker;
  result.kernel = kernel;
  result.compute_ms = 1;
  result.product_id = request->product_id;
  switch (p->how) {
    case WORKER_WRONG_SHAPE:
      c.rows = tile.cols + 1;
      c.cols = tile.rows;
      break;
    case WORKER_WRONG_SIZE:
      c.data.len -= 1;
      break;
    case WORKER_WRONG_TILE:
      tile.row += 1;
      break;
    case WORKER_NO_TILE:
      result.tile = NULL;
      break;
    case WORKER_WRONG_DTYPE:
      c.dtype = element_size == 4 ? TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64
                                  : TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32;
      break;
    case WORKER_WRONG_PRODUCT:
      result.product_id = other;
      break;
    case WORKER_BOTH_FORMS:
      c.n_values = 1;
      c.values = &one;
      break;
    default:
      break;
  }
  size_t size = tessera__matmul__v1__tile_result__get_packed_size(&result);
  uint8_t *packed = malloc(size + 1);
  tessera__matmul__v1__tile_result__pack(&result, packed);
  answer_with(host, handle, 200, headers, packed, p->how == WORKER_TRUNCATED ? size / 2 : size);
  free(packed);
  free(c.data.data);
  fake_blocks_done(request, elements);
  tessera__matmul__v1__matmul_request__free_unpacked(request, NULL);
}

static int take_blocks(fake_host *host, const posted *p, uint8_t **body, size_t *size) {
  fake_blocks *store = &host->blocks[p->worker];
  return p->what == POSTED_LIST ? fake_blocks_list(store, p->body, p->size, body, size)
                                : fake_blocks_put(store, p->body, p->size, body, size);
}

/* A put has come whole; its answer will follow. */
static void take_put(fake_host *host, posted *p) {
  uint8_t *body = NULL;
  size_t size = 0;
  p->taken = take_blocks(host, p, &body, &size);
  free(p->body);
  p->body = body;
  p->size = size;
  p->at_ms = host->now_ms + host->put_answer_ms;
}

/* About blocks workers do not lie: a name is verified, or it is not theirs. */
static void answer_blocks(fake_host *host, int32_t handle, const posted *p) {
  uint8_t *body = p->body;
  size_t size = p->size;
  const int status = p->taken != 0 ? p->taken : take_blocks(host, p, &body, &size);
  answer_with(
      host, handle, status,
      status == 200 ? "content-type: application/proto\r\n" : "content-type: application/json\r\n",
      body, size);
  if (p->taken == 0) free(body);
}

static void answer_describe(fake_host *host, int32_t handle) {
  Tessera__Matmul__V1__DescribeResponse reply;
  tessera__matmul__v1__describe_response__init(&reply);
  char name[] = "tessera-worker";
  reply.name = name;
  reply.gflops = host->told_gflops;
  reply.max_message_bytes = host->told_limit;
  uint8_t packed[64];
  ck_assert_uint_le(tessera__matmul__v1__describe_response__get_packed_size(&reply), sizeof packed);
  size_t size = tessera__matmul__v1__describe_response__pack(&reply, packed);
  answer_with(host, handle, 200, "content-type: application/proto\r\n", packed, size);
}

static void answer(fake_host *host, posted *p) {
  static const char proto[] = "content-type: application/proto\r\n";
  static const char json[] = "content-type: application/json\r\n";
  static const char busy[] = "{\"code\":\"resource_exhausted\",\"message\":\"busy\"}";
  static const char too_long[] = "{\"code\":\"resource_exhausted\",\"message\":\"too long\"}";
  posted copy = *p;
  p->body = NULL;
  post_over(host, p);
  int32_t handle = copy.handle;
  if (copy.what == POSTED_MULTIPLY) host->answered[copy.worker]++;
  if (copy.how == WORKER_GOOD && host->told_limit != 0 && copy.size > host->told_limit) {
    answer_with(host, handle, 429, json, too_long, sizeof too_long - 1);
    free(copy.body);
    return;
  }
  switch (copy.how) {
    case WORKER_UNREACHABLE:
      answer_with(host, handle, 0, "", "connection refused", 18);
      break;
    case WORKER_TIMES_OUT:
      answer_with(host, handle, -1, "", NULL, 0);
      break;
    case WORKER_HTTP_500:
      answer_with(host, handle, 500, "content-type: text/plain\r\n", "oops", 4);
      break;
    case WORKER_HTTP_404_HTML:
      answer_with(host, handle, 404, "content-type: text/html\r\n", "<html>", 6);
      break;
    case WORKER_ERROR_JSON:
      answer_with(host, handle, 429, json, busy, sizeof busy - 1);
      break;
    case WORKER_GARBAGE:
      answer_with(host, handle, 200, proto, "\xff\xff\xff\xff\x0f garbage", 13);
      break;
    case WORKER_EMPTY:
      answer_with(host, handle, 200, proto, NULL, 0);
      break;
    case WORKER_WRONG_TYPE:
      if (copy.what != POSTED_MULTIPLY) {
        answer_with(host, handle, 200, "content-type: text/plain\r\n", "?", 1);
        break;
      }
      answer_result(host, handle, &copy, "content-type: text/plain\r\n");
      break;
    case WORKER_BAD_HEADERS:
      if (copy.what != POSTED_MULTIPLY) {
        answer_with(host, handle, 200, "content-type\r\n", "?", 1);
        break;
      }
      answer_result(host, handle, &copy, "content-type\r\n");
      break;
    default:
      if (copy.what == POSTED_MULTIPLY)
        answer_result(host, handle, &copy, proto);
      else if (copy.what == POSTED_DESCRIBE)
        answer_describe(host, handle);
      else
        answer_blocks(host, handle, &copy);
      break;
  }
  free(copy.body);
}

/* ---- the host ---- */

fake_host *fake_host_new(unsigned workers, const char *mode, const char *extra) {
  static const tess_module_host table = {http_post, http_cancel, http_reply,   http_reply_more,
                                         now_ms,    keep_log,    random_bytes, NULL};
  fake_host *host = calloc(1, sizeof *host);
  host->now_ms = 1000.25;
  host->worker_delay_ms = 1;
  host->worker_count = workers;
  for (unsigned i = 0; i < workers; i++)
    host->blocks[i].room = FAKE_BLOCKS;
  char config[1024];
  int size =
      snprintf(config, sizeof config, "mode=%s\n%s%s", mode,
               strstr(extra, "tile_timeout_ms=") == NULL ? "tile_timeout_ms=2000\n" : "", extra);
  for (unsigned i = 0; i < workers; i++)
    size += snprintf(config + size, sizeof config - (size_t)size, "worker=http://worker%u:1\n", i);
  tess_module_host mine = table;
  mine.ctx = host;
  tess_status status = TESS_STATUS_INIT;
  host->module = tess_module_new(&mine, config, (size_t)size, &counting, &status);
  ck_assert_msg(host->module != NULL, "%s", status.message);
  return host;
}

void fake_host_free(fake_host *host) {
  tess_module_free(host->module);
  ck_assert_uint_eq(fake_live_blocks, 0);
  for (unsigned i = 0; i < FAKE_POSTS; i++)
    ck_assert_int_eq(host->posts[i].handle, 0);
  for (unsigned i = 0; i < FAKE_REPLIES; i++)
    free(host->replies[i].body);
  for (unsigned i = 0; i < FAKE_WORKERS; i++)
    fake_blocks_clear(&host->blocks[i]);
  free(host);
}

int32_t fake_host_send_with(fake_host *host, int32_t id, const char *path, const char *headers,
                            const void *data, size_t size) {
  tess_chunk body = {.size = size};
  if (size > 0) {
    body.data = malloc(size);
    memcpy(body.data, data, size);
    body.release = free;
    body.owner = body.data;
  }
  return tess_module_on_request(host->module, id, "POST", 4, path, strlen(path), headers,
                                strlen(headers), &body);
}

int32_t fake_host_send(fake_host *host, int32_t id, const char *path, const void *data,
                       size_t size) {
  return fake_host_send_with(host, id, path, "content-type: application/proto\r\n", data, size);
}

int32_t fake_host_send_request(fake_host *host, int32_t id, const char *path,
                               const pb_request *request, const char *more_headers) {
  size_t size = tessera__matmul__v1__matmul_request__get_packed_size(request);
  uint8_t *packed = malloc(size + 1);
  tessera__matmul__v1__matmul_request__pack(request, packed);
  char headers[512];
  snprintf(headers, sizeof headers, "content-type: application/proto\r\n%s", more_headers);
  int32_t result = fake_host_send_with(host, id, path, headers, packed, size);
  free(packed);
  return result;
}

replied *fake_host_reply(fake_host *host, int32_t id) {
  for (unsigned i = 0; i < FAKE_REPLIES; i++)
    if (host->replies[i].id == id) return &host->replies[i];
  return NULL;
}

void fake_host_forget(fake_host *host, int32_t id) {
  replied *reply = fake_host_reply(host, id);
  if (reply == NULL) return;
  free(reply->body);
  *reply = (replied){0};
}

void fake_host_turn(fake_host *host) {
  double wake = tess_module_loop(host->module);
  bool answered = false;
  for (unsigned i = 0; i < FAKE_POSTS; i++) {
    posted *p = &host->posts[i];
    if (p->handle == 0) continue;
    if (host->now_ms >= p->timeout_at_ms) {
      p->how = WORKER_TIMES_OUT;
    } else if (p->how == WORKER_NEVER || host->now_ms < p->at_ms ||
               (p->how == WORKER_STALLS && p->what == POSTED_MULTIPLY)) {
      continue;
    } else if (p->what == POSTED_PUT && host->put_answer_ms > 0 && p->taken == 0) {
      take_put(host, p);
      continue;
    }
    answer(host, p);
    answered = true;
  }
  if (!answered && wake != 0) host->now_ms += wake > 0 && wake < 1 ? wake : 1;
  if (!answered && wake == 0) host->now_ms += 0.01;
}

replied *fake_host_wait(fake_host *host, int32_t id, double until_ms) {
  while (host->now_ms < until_ms) {
    replied *reply = fake_host_reply(host, id);
    if (reply != NULL && reply->complete) return reply;
    fake_host_turn(host);
  }
  return NULL;
}

pb_result *fake_host_result(const replied *reply) {
  ck_assert_ptr_nonnull(reply);
  ck_assert_msg(reply->status == 200, "HTTP %d: %.*s", reply->status, (int)reply->size,
                (const char *)reply->body);
  pb_result *result = tessera__matmul__v1__tile_result__unpack(NULL, reply->size, reply->body);
  ck_assert_ptr_nonnull(result);
  return result;
}
