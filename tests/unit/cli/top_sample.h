/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESSERA_TESTS_CLI_TOP_SAMPLE_H
#define TESSERA_TESTS_CLI_TOP_SAMPLE_H

#include "cli/top_view.h"

/* A server with two workers, one of them in quarantine, and a product in its midst. */
static inline void top_sample(cli_top_look *now, cli_top_look *before) {
  *now = (cli_top_look){.at_ms = 6000,
                        .is_controller = true,
                        .what = "tessera-server 0.1.0 (jsc)",
                        .mode = "proxy",
                        .memory = 1600000000,
                        .product_count = 1,
                        .worker_count = 2};
  now->totals = (cli_top_totals){.products_ok = 12,
                                 .products_failed = 1,
                                 .products_cancelled = 2,
                                 .products_refused = 3,
                                 .local_tiles = 4,
                                 .worker_tiles = 50,
                                 .retries = 5,
                                 .backups = 6,
                                 .checked = 40,
                                 .rejected = 7,
                                 .held_bytes = 300000000};
  now->products[0] = (cli_top_product){.name = "product-13",
                                       .m = 4096,
                                       .n = 2048,
                                       .k = 1024,
                                       .tiles_done = 6,
                                       .tiles = 8,
                                       .elapsed_ms = 1500};
  now->workers[0] = (cli_top_worker){.name = "10.0.0.2:8081",
                                     .available = true,
                                     .tiles = 40,
                                     .in_flight = 2,
                                     .failures = 3,
                                     .backups = 1,
                                     .gflops = 80,
                                     .bytes_sent = 900000000,
                                     .bytes_received = 200000000,
                                     .cache_bytes = 50000000,
                                     .compute_ms = 10000,
                                     .wait_ms = 2500};
  now->workers[1] = (cli_top_worker){.name = "a-worker-with-a-long-name.example.org:8081",
                                     .quarantined = true,
                                     .tiles = 10,
                                     .failures = 8,
                                     .rejected = 7,
                                     .wait_ms = 730};
  *before = *now;
  before->at_ms = 1000; /* five seconds */
  before->workers[0].compute_ms = 7500;
  before->workers[0].bytes_sent = 800000000;
  before->workers[0].bytes_received = 198000000;
  before->worker_count = 1; /* the other came later */
}

#endif
