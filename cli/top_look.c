/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_look.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/printable.h"
#include "cli/wire.h"

double cli_top_metric(const char *metrics, const char *series) {
  const size_t size = strlen(series);
  for (const char *line = metrics; line != NULL && *line != '\0';) {
    if (strncmp(line, series, size) == 0 && line[size] == ' ') {
      char *end = NULL;
      double value = strtod(line + size + 1, &end);
      return end != line + size + 1 && isfinite(value) ? value : -1.0;
    }
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return -1.0;
}

static void fill_totals(cli_top_totals *t, const char *m, bool controller) {
  *t = (cli_top_totals){
      .products_ok = cli_top_metric(m, controller ? "tessera_products_total{result=\"ok\"}"
                                                  : "tessera_worker_products_total"),
      .products_failed = cli_top_metric(m, "tessera_products_total{result=\"failed\"}"),
      .products_cancelled = cli_top_metric(m, "tessera_products_total{result=\"cancelled\"}"),
      .products_refused = cli_top_metric(m, "tessera_products_total{result=\"refused\"}"),
      .local_tiles = cli_top_metric(m, "tessera_tiles_total{where=\"local\"}"),
      .worker_tiles = cli_top_metric(m, "tessera_tiles_total{where=\"worker\"}"),
      .retries = cli_top_metric(m, "tessera_tile_retries_total"),
      .backups = cli_top_metric(m, "tessera_tile_backups_total"),
      .checked = cli_top_metric(m, "tessera_tiles_checked_total"),
      .rejected = cli_top_metric(m, "tessera_tiles_rejected_total"),
      .held_bytes = cli_top_metric(m, "tessera_inflight_bytes"),
      .computing = cli_top_metric(m, "tessera_worker_computing"),
      .waiting = cli_top_metric(m, "tessera_worker_waiting"),
      .abandoned = cli_top_metric(m, "tessera_worker_products_abandoned_total"),
      .queue_refused = cli_top_metric(m, "tessera_worker_queue_refused_total"),
      .flops = cli_top_metric(m, "tessera_worker_flops_total"),
      .compute_s = cli_top_metric(m, "tessera_worker_compute_seconds_total"),
      .bytes_in = cli_top_metric(m, "tessera_worker_received_bytes_total"),
      .bytes_out = cli_top_metric(m, "tessera_worker_sent_bytes_total"),
      .block_bytes = cli_top_metric(m, "tessera_worker_block_used_bytes"),
      .block_capacity = cli_top_metric(m, "tessera_worker_block_capacity_bytes"),
      .block_hit_bytes = cli_top_metric(m, "tessera_worker_block_hit_bytes_total"),
  };
}

static void fill_worker(cli_top_worker *to, const Tessera__Matmul__V1__WorkerInfo *from) {
  *to = (cli_top_worker){.available = from->available,
                         .quarantined = from->quarantined,
                         .tiles = from->tiles,
                         .in_flight = from->in_flight,
                         .failures = from->failures,
                         .backups = from->backups,
                         .rejected = from->rejected,
                         .gflops = from->gflops,
                         .bytes_sent = from->bytes_sent,
                         .bytes_received = from->bytes_received,
                         .cache_bytes = from->cache_bytes,
                         .compute_ms = from->compute_ms,
                         .wait_ms = from->wait_ms};
  /* Most of them are http, and there is little room. */
  const bool plain = strncmp(from->url, "http://", 7) == 0;
  cli_printable_copy(to->name, sizeof to->name, plain ? from->url + 7 : from->url);
}

static void fill_product(cli_top_product *to, const Tessera__Matmul__V1__ProductInfo *from) {
  *to = (cli_top_product){
      .m = from->m,
      .n = from->n,
      .k = from->k,
      .tiles = from->tiles,
      .tiles_done = from->tiles_done < from->tiles ? from->tiles_done : from->tiles,
      .elapsed_ms = from->elapsed_ms};
  cli_printable_copy(to->name, sizeof to->name, from->product_id);
}

void cli_top_look_fill(cli_top_look *look, double at_ms,
                       const Tessera__Matmul__V1__DescribeResponse *reply, const char *metrics) {
  char name[41], version[21], engine[21];
  look->at_ms = at_ms;
  look->is_controller = reply->mode != TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED;
  cli_printable_copy(name, sizeof name, reply->name);
  cli_printable_copy(version, sizeof version, reply->version);
  cli_printable_copy(engine, sizeof engine, reply->engine);
  snprintf(look->what, sizeof look->what, "%s %s%s%s%s", name, version,
           engine[0] != '\0' ? " (" : "", engine, engine[0] != '\0' ? ")" : "");
  snprintf(look->mode, sizeof look->mode, "%s",
           look->is_controller ? cli_mode_name(reply->mode) : "");
  look->gflops = reply->gflops;
  look->memory = reply->memory_limit_bytes;
  look->note_count = look->product_count = look->worker_count = 0;
  for (size_t i = 0; i < reply->n_notes && look->note_count < CLI_TOP_MAX_NOTES; i++)
    cli_printable_copy(look->notes[look->note_count++], sizeof look->notes[0], reply->notes[i]);
  for (size_t i = 0; i < reply->n_products && look->product_count < CLI_TOP_MAX_PRODUCTS; i++)
    fill_product(&look->products[look->product_count++], reply->products[i]);
  for (size_t i = 0; i < reply->n_workers && look->worker_count < CLI_TOP_MAX_WORKERS; i++)
    fill_worker(&look->workers[look->worker_count++], reply->workers[i]);
  fill_totals(&look->totals, metrics, look->is_controller);
}
