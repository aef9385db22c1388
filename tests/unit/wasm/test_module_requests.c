/* SPDX-License-Identifier: Apache-2.0
 *
 * What the module as a whole says to requests that are wrong, to those of the other
 * services, and to configurations; over the same scripted host.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module_product.h"
#include "tests/unit/run_case.h"

/* ---- bad requests ---- */

/* Sends what the product's request has become; expects an error. */
static void expect_error(fake_host *host, product *p, int status, const char *code,
                         const char *words) {
  ck_assert_int_eq(fake_host_send_request(host, 9, MULTIPLY, &p->request, ""), 0);
  replied *reply = fake_host_wait(host, 9, LONG);
  ck_assert_ptr_nonnull(reply);
  reply->body[reply->size] = '\0';
  const char *text = (const char *)reply->body;
  ck_assert_msg(
      reply->status == status && strstr(text, code) != NULL && strstr(text, words) != NULL,
      "HTTP %d: %s; wanted %d %s %s", reply->status, text, status, code, words);
  fake_host_forget(host, 9);
  product_free(p);
}

#define GOOD product_new(4, 5, 6, F32, false, false, 1, 0)

START_TEST(bad_requests_get_the_right_code) {
  fake_host *host =
      fake_host_new(1, "proxy", "max_message_bytes=100000\nmax_inflight_bytes=150000\n");
  product *p = GOOD;
  p->request.a = NULL;
  expect_error(host, p, 400, "invalid_argument", "needs the matrices");
  p = GOOD;
  p->b.rows = 7;
  expect_error(host, p, 400, "invalid_argument", "b is 7 x 5");
  p = GOOD;
  p->a.data.len--;
  expect_error(host, p, 400, "invalid_argument", "bytes of data instead of");
  p = GOOD;
  p->a.data.len = 0;
  expect_error(host, p, 400, "invalid_argument", "0 bytes of data");
  p = GOOD;
  p->a.dtype = F64;
  expect_error(host, p, 400, "invalid_argument", "a is 4 x 6 float64");
  p = GOOD;
  p->a.dtype = (Tessera__Matmul__V1__DType)0;
  expect_error(host, p, 400, "invalid_argument", "no known dtype");
  p = GOOD;
  p->a.dtype = (Tessera__Matmul__V1__DType)99;
  expect_error(host, p, 400, "invalid_argument", "no known dtype");
  p = GOOD;
  p->a.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_INT8;
  expect_error(host, p, 501, "unimplemented", "no kernel");
  p = GOOD;
  p->a.rows = p->a.cols = 0xffffffffu;
  expect_error(host, p, 400, "invalid_argument", "overflow");
  p = GOOD;
  p->a.rows = 0x40000000u;
  p->a.cols = 0x40000000u;
  expect_error(host, p, 400, "invalid_argument", "bytes of data instead of");
  p = GOOD;
  double one[] = {1};
  p->a.values = one;
  p->a.n_values = 1;
  expect_error(host, p, 400, "invalid_argument", "both data and values");
  p = GOOD;
  p->a.data.len = 0;
  p->a.values = one;
  p->a.n_values = 1;
  expect_error(host, p, 400, "invalid_argument", "1 values instead of 24");
  p = GOOD;
  p->scaling.beta = 1;
  p->request.scaling = &p->scaling;
  expect_error(host, p, 400, "invalid_argument", "no matrix c");
  p = GOOD;
  p->scaling.beta = 1;
  p->request.scaling = &p->scaling;
  p->request.c = &p->b;
  expect_error(host, p, 400, "invalid_argument", "c is 6 x 5");
  p = GOOD;
  p->request.transpose_a = 1;
  expect_error(host, p, 400, "invalid_argument", "");
  p = GOOD;
  Tessera__Matmul__V1__Tile tile = TESSERA__MATMUL__V1__TILE__INIT;
  p->request.tile = &tile;
  expect_error(host, p, 400, "invalid_argument", "tile is 0 x 0");
  p = GOOD;
  uint8_t sha[32] = {1};
  Tessera__Matmul__V1__BlockRef block = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  block.sha256.data = sha;
  block.sha256.len = 32;
  p->b.block = &block;
  p->b.data.len = 0;
  expect_error(host, p, 404, "not_found", "MissingBlocks");
  p = product_new(200, 200, 1, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "larger than a message");
  p = product_new(140, 140, 30, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "needs");
  p = product_new(200, 1, 200, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "");
  /* And the next good one is answered. */
  p = GOOD;
  result_free(run(host, p));
  product_free(p);
  fake_host_free(host);
}
END_TEST

static void expect_status(fake_host *host, int32_t id, int status) {
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, status);
  fake_host_forget(host, id);
}

START_TEST(bad_http_gets_the_right_status) {
  fake_host *host = fake_host_new(0, "serial", "");
  static const uint8_t truncated[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3};
  fake_host_send(host, 1, MULTIPLY, truncated, sizeof truncated);
  expect_status(host, 1, 400);
  fake_host_send(host, 2, "/tessera.matmul.v1.MatmulService/Nothing", NULL, 0);
  expect_status(host, 2, 404);
  fake_host_send(host, 3, "/", NULL, 0);
  expect_status(host, 3, 404);
  tess_chunk none = {0};
  static const char bad[] = "no colon\r\n";
  ck_assert_int_eq(tess_module_on_request(host->module, 4, "POST", 4, MULTIPLY, strlen(MULTIPLY),
                                          bad, strlen(bad), &none),
                   0);
  expect_status(host, 4, 400);
  static const char text[] = "content-type: text/plain\r\n";
  tess_module_on_request(host->module, 5, "POST", 4, MULTIPLY, strlen(MULTIPLY), text, strlen(text),
                         &none);
  expect_status(host, 5, 415);
  tess_module_on_request(host->module, 6, "PUT", 3, MULTIPLY, strlen(MULTIPLY), text, strlen(text),
                         &none);
  expect_status(host, 6, 405);
  tess_module_on_request(host->module, 7, "", 0, "", 0, "", 0, &none);
  expect_status(host, 7, 400);
  ck_assert_int_lt(tess_module_on_request(host->module, 0, "POST", 4, "/", 1, "", 0, &none), 0);
  ck_assert_int_lt(tess_module_on_request(host->module, -5, "POST", 4, "/", 1, "", 0, &none), 0);
  /* Strays change nothing. */
  tess_module_on_response(host->module, 77, 200, "", 0, &none);
  tess_module_on_cancel(host->module, 77);
  tess_module_on_writable(host->module, 77);
  tess_module_on_sent(host->module, 77);
  product *p = GOOD;
  result_free(run(host, p));
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- the other services ---- */

static uint8_t *call(fake_host *host, const char *path, const void *body, size_t size,
                     size_t *reply_size) {
  ck_assert_int_eq(fake_host_send(host, 50, path, body, size), 0);
  replied *reply = fake_host_wait(host, 50, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, 200);
  uint8_t *copy = malloc(reply->size + 1);
  memcpy(copy, reply->body, reply->size);
  *reply_size = reply->size;
  fake_host_forget(host, 50);
  return copy;
}

START_TEST(modes_are_read_and_set) {
  static const char get[] = "/tessera.matmul.v1.ControllerService/GetMode";
  static const char set[] = "/tessera.matmul.v1.ControllerService/SetMode";
  fake_host *host = fake_host_new(1, "proxy", "");
  size_t size = 0;
  uint8_t *reply = call(host, get, NULL, 0, &size);
  ck_assert_uint_eq(size, 4);
  ck_assert_mem_eq(reply, "\x08\x02\x10\x02", 4);
  free(reply);
  reply = call(host, set, "\x08\x01", 2, &size);
  ck_assert_uint_eq(size, 2);
  ck_assert_mem_eq(reply, "\x08\x02", 2);
  free(reply);
  reply = call(host, get, NULL, 0, &size);
  ck_assert_mem_eq(reply, "\x08\x01\x10\x01", 4);
  free(reply);
  fake_host_send(host, 2, set, "\x08\x09", 2);
  expect_status(host, 2, 400);
  fake_host_send(host, 3, set, NULL, 0);
  expect_status(host, 3, 400);
  fake_host_free(host);
}
END_TEST

START_TEST(products_under_way_have_figures) {
  static char stats[65536];
  fake_host *host = fake_host_new(1, "proxy", "");
  host->how[0] = WORKER_NEVER;
  product *p = product_new(8, 8, 8, F32, false, false, 1, 0);
  char name[] = "a \"name\" \\ of\ntwo lines"; /* as a client may write it */
  p->request.product_id = name;
  fake_host_send_request(host, 1, MULTIPLY, &p->request, "");
  for (int turn = 0; turn < 5; turn++)
    fake_host_turn(host);
  size_t size = tess_module_stats(host->module, stats, sizeof stats - 1);
  stats[size] = '\0';
  static const char label[] = "{product=\"a \\\"name\\\" \\\\ of\\ntwo lines\",turn=\"0\"} ";
  char line[128];
  snprintf(line, sizeof line, "\ntessera_product_tiles%s1\n", label);
  ck_assert_ptr_nonnull(strstr(stats, line));
  snprintf(line, sizeof line, "\ntessera_product_tiles_done%s0\n", label);
  ck_assert_ptr_nonnull(strstr(stats, line));
  tess_module_on_cancel(host->module, 1);
  size = tess_module_stats(host->module, stats, sizeof stats - 1);
  stats[size] = '\0';
  ck_assert_ptr_null(strstr(stats, "tessera_product_tiles"));
  char empty[] = "";
  p->request.product_id = empty;
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* SetWorkers with one URL of at most 127 bytes, or none. */
static void send_workers(fake_host *host, int32_t id, const char *headers, const char *url) {
  uint8_t body[130] = {0x0a, (uint8_t)strlen(url)};
  memcpy(body + 2, url, strlen(url));
  ck_assert_int_eq(fake_host_send_with(host, id, "/tessera.matmul.v1.ControllerService/SetWorkers",
                                       headers, body, url[0] != '\0' ? 2 + strlen(url) : 0),
                   0);
}

static void expect_workers(fake_host *host, int32_t id, const void *bytes, size_t size) {
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, 200);
  ck_assert_uint_eq(reply->size, size);
  ck_assert_mem_eq(reply->body, bytes, size);
  fake_host_forget(host, id);
}

START_TEST(workers_are_set) {
  static const char plain[] = "content-type: application/proto\r\n";
  static const char keyed[] = "content-type: application/proto\r\ntessera-control-key: s3cret\r\n";
  static const char guessed[] = "content-type: application/proto\r\ntessera-control-key: s3cre\r\n";
  fake_host *host = fake_host_new(2, "proxy", "control_key=s3cret\n");
  send_workers(host, 1, plain, "http://worker1:1/"); /* worker0 leaves */
  expect_workers(host, 1, "\x10\x01\x18\x01", 4);
  send_workers(host, 2, plain, "");
  expect_workers(host, 2, "\x10\x01", 2);
  send_workers(host, 3, plain, "http://worker0:1"); /* and comes back */
  expect_workers(host, 3, "\x08\x01\x18\x01", 4);
  send_workers(host, 4, plain, "http://elsewhere:1");
  expect_status(host, 4, 403);
  send_workers(host, 5, guessed, "http://elsewhere:1");
  expect_status(host, 5, 403);
  send_workers(host, 6, keyed, "ftp://elsewhere:1");
  expect_status(host, 6, 400);
  send_workers(host, 7, keyed, "http://elsewhere:1"); /* the host may */
  expect_workers(host, 7, "\x08\x01\x10\x01\x18\x01", 6);
  send_workers(host, 8, plain, "http://elsewhere:1"); /* its list counts from now on */
  expect_workers(host, 8, "\x18\x01", 2);
  send_workers(host, 9, plain, "http://worker0:1");
  expect_status(host, 9, 403);
  fake_host_free(host);
  /* Nobody has a key that is not configured. */
  host = fake_host_new(1, "proxy", "");
  send_workers(host, 1, "content-type: application/proto\r\ntessera-control-key: \r\n",
               "http://elsewhere:1");
  expect_status(host, 1, 403);
  fake_host_free(host);
}
END_TEST

START_TEST(it_describes_itself_and_its_health) {
  fake_host *host = fake_host_new(2, "proxy", "engine=jsc\nmax_message_bytes=4096\n");
  size_t size = 0;
  uint8_t *reply = call(host, "/tessera.matmul.v1.MatmulService/Describe", NULL, 0, &size);
  Tessera__Matmul__V1__DescribeResponse *d =
      tessera__matmul__v1__describe_response__unpack(NULL, size, reply);
  free(reply);
  ck_assert_ptr_nonnull(d);
  ck_assert_str_eq(d->name, "tessera-server");
  ck_assert_str_eq(d->engine, "jsc");
  ck_assert_uint_eq(d->max_message_bytes, 4096);
  ck_assert_uint_eq(d->mode, TESSERA__MATMUL__V1__MODE__MODE_PROXY);
  ck_assert_uint_eq(d->n_workers, 2);
  ck_assert_str_eq(d->workers[1]->url, "http://worker1:1");
  ck_assert(d->workers[1]->available);
  ck_assert_uint_gt(d->n_kernels, 0);
  ck_assert_uint_eq(d->kernels[0]->n_dtypes, 2);
  tessera__matmul__v1__describe_response__free_unpacked(d, NULL);
  reply = call(host, "/grpc.health.v1.Health/Check", NULL, 0, &size);
  ck_assert_uint_eq(size, 2);
  ck_assert_mem_eq(reply, "\x08\x01", 2);
  free(reply);
  fake_host_send(host, 1, "/grpc.health.v1.Health/Check", "\x0a\x04nope", 6);
  expect_status(host, 1, 404);
  fake_host_free(host);
}
END_TEST

START_TEST(configurations_are_strict) {
  static const char *const bad[] = {"mode=fast\n",
                                    "mode\n",
                                    "mode=serial\nmode=serial\n",
                                    "nonsense=1\n",
                                    "worker=\n",
                                    "worker=ftp://x\n",
                                    "worker=http://\n",
                                    "worker=http://a b\n",
                                    "worker=http://a\nworker=http://a/\n",
                                    "max_message_bytes=0\n",
                                    "max_message_bytes=-1\n",
                                    "max_message_bytes=5000000000\n",
                                    "max_message_bytes=1e6\n",
                                    "max_inflight_bytes=\n",
                                    "threshold_ms=0\n",
                                    "threshold_ms=abc\n",
                                    "tile_timeout_ms=99999999999999999999\n",
                                    "cache_bytes=\n",
                                    "cache_bytes=-1\n",
                                    "engine=\n",
                                    "engine=a b\n",
                                    "=1\n",
                                    "mode=serial \n"};
  static const tess_module_host none = {0};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    ck_assert_msg(tess_module_new(&none, bad[i], strlen(bad[i]), NULL, &status) == NULL, "%s",
                  bad[i]);
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(status.message);
    tess_status_cleanup(&status);
  }
  fake_host_free(fake_host_new(3, "adaptive",
                               "max_message_bytes=1024\n\nmax_inflight_bytes=99999999999\n"
                               "cache_bytes=0\n"
                               "threshold_ms=50\nengine=wasm2c\n"));
}
END_TEST

int main(void) {
  return RUN_TESTS("module_requests", 100, bad_requests_get_the_right_code,
                   bad_http_gets_the_right_status, modes_are_read_and_set,
                   products_under_way_have_figures, workers_are_set,
                   it_describes_itself_and_its_health, configurations_are_strict);
}
