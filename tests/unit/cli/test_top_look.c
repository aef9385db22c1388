/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "cli/top_look.h"
#include "tests/unit/run_case.h"

static const char metrics[] =
    "# HELP tessera_products_total Products by how they ended.\n"
    "tessera_products_total{result=\"ok\"} 12\n"
    "tessera_products_total{result=\"failed\"} 1\n"
    "tessera_tile_retries_total 5\n"
    "tessera_worker_compute_seconds_total 6.25\n"
    "tessera_odd NaN\n"
    "tessera_last 9";

START_TEST(series) {
  ck_assert_double_eq(cli_top_metric(metrics, "tessera_products_total{result=\"ok\"}"), 12);
  ck_assert_double_eq(cli_top_metric(metrics, "tessera_tile_retries_total"), 5);
  ck_assert_double_eq(cli_top_metric(metrics, "tessera_worker_compute_seconds_total"), 6.25);
  ck_assert_double_eq(cli_top_metric(metrics, "tessera_last"), 9);
  ck_assert_double_lt(cli_top_metric(metrics, "tessera_products_total"), 0);
  ck_assert_double_lt(cli_top_metric(metrics, "tessera_tile_retries"), 0);
  ck_assert_double_lt(cli_top_metric(metrics, "tessera_odd"), 0);
  ck_assert_double_lt(cli_top_metric("", "tessera_odd"), 0);
  ck_assert_double_lt(cli_top_metric(NULL, "tessera_odd"), 0);
}
END_TEST

START_TEST(a_server) {
  static cli_top_look look;
  Tessera__Matmul__V1__DescribeResponse reply;
  Tessera__Matmul__V1__WorkerInfo worker;
  Tessera__Matmul__V1__ProductInfo product;
  Tessera__Matmul__V1__WorkerInfo *workers[] = {&worker};
  Tessera__Matmul__V1__ProductInfo *products[] = {&product};
  char name[] = "tessera-server", version[] = "0.1.0", engine[] = "jsc", plain[] = "http://a:1";
  char id[] = "rocket\033[2J\xc3\xa9"; /* the control character must not reach the terminal */
  tessera__matmul__v1__describe_response__init(&reply);
  tessera__matmul__v1__worker_info__init(&worker);
  tessera__matmul__v1__product_info__init(&product);
  reply.name = name;
  reply.version = version;
  reply.engine = engine;
  reply.mode = TESSERA__MATMUL__V1__MODE__MODE_PROXY;
  worker.url = plain;
  worker.available = 1;
  worker.tiles = 3;
  worker.bytes_sent = 77;
  product.product_id = id;
  product.tiles = 4;
  product.tiles_done = 5; /* nonsense is cut */
  reply.workers = workers;
  reply.products = products;
  reply.n_workers = reply.n_products = 1;
  cli_top_look_fill(&look, 123, &reply, metrics);
  ck_assert(look.is_controller);
  ck_assert_str_eq(look.what, "tessera-server 0.1.0 (jsc)");
  ck_assert_str_eq(look.mode, "proxy");
  ck_assert_uint_eq(look.worker_count, 1);
  ck_assert_str_eq(look.workers[0].name, "a:1");
  ck_assert(look.workers[0].available);
  ck_assert_uint_eq(look.workers[0].tiles, 3);
  ck_assert_uint_eq(look.workers[0].bytes_sent, 77);
  ck_assert_str_eq(look.products[0].name, "rocket?[2J\xc3\xa9");
  ck_assert_uint_eq(look.products[0].tiles_done, 4);
  ck_assert_double_eq(look.totals.products_ok, 12);
  ck_assert_double_lt(look.totals.checked, 0);
  ck_assert_double_eq(look.at_ms, 123);
}
END_TEST

int main(void) {
  return RUN_TESTS("top_look", 60, series, a_server);
}
