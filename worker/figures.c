/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void worker_figures_init(worker_figures *figures, tess_server *server, worker_gate *gate,
                         tess_pool *pool, worker_blocks *blocks) {
  memset(figures, 0, sizeof *figures);
  figures->server = server;
  figures->gate = gate;
  figures->pool = pool;
  figures->blocks = blocks;
}

tess_code worker_figures_add_service(worker_figures *figures, const tess_service *service) {
  for (size_t i = 0; i < service->method_count; i++) {
    if (figures->method_count == WORKER_FIGURES_MAX_METHODS) return TESS_RESOURCE_EXHAUSTED;
    figures->methods[figures->method_count++].method = &service->methods[i];
  }
  return TESS_OK;
}

static void count_call(void *ctx, tess_call *call, const tess_status *status) {
  worker_figures *figures = ctx;
  const tess_method *method = tess_call_method(call);
  if (status->code < 0 || status->code >= WORKER_FIGURES_CODES) return;
  for (size_t i = 0; i < figures->method_count; i++) {
    if (figures->methods[i].method != method) continue;
    atomic_fetch_add_explicit(&figures->methods[i].calls[status->code], 1, memory_order_relaxed);
    return;
  }
}

tess_code worker_figures_attach(worker_figures *figures) {
  const tess_server_interceptor counter = {.after = count_call, .ctx = figures};
  return tess_server_add_interceptor(figures->server, &counter);
}

void worker_figures_product(worker_figures *figures, uint64_t flops, double compute_ms) {
  atomic_fetch_add_explicit(&figures->products, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&figures->flops, flops, memory_order_relaxed);
  atomic_fetch_add_explicit(&figures->compute_usec, (uint_fast64_t)(compute_ms * 1e3),
                            memory_order_relaxed);
}

void worker_figures_abandoned(worker_figures *figures) {
  atomic_fetch_add_explicit(&figures->abandoned, 1, memory_order_relaxed);
}

/* ---- Prometheus text ---- */

typedef struct metrics_page {
  void (*print)(void *out, const char *text);
  void *out;
} metrics_page;

static void metric_head(const metrics_page *page, const char *name, const char *type,
                        const char *help) {
  char text[256];
  snprintf(text, sizeof text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
  page->print(page->out, text);
}

static void metric(const metrics_page *page, const char *name, const char *type, const char *help,
                   double value) {
  char text[128];
  metric_head(page, name, type, help);
  snprintf(text, sizeof text, "%s %.17g\n", name, value);
  page->print(page->out, text);
}

static void print_calls(const metrics_page *page, worker_figures *figures) {
  metric_head(page, "tessera_worker_calls_total", "counter", "Finished calls by method and code.");
  for (size_t i = 0; i < figures->method_count; i++) {
    for (int code = 0; code < WORKER_FIGURES_CODES; code++) {
      uint64_t calls = atomic_load_explicit(&figures->methods[i].calls[code], memory_order_relaxed);
      if (calls == 0 && code != TESS_OK) continue;
      char text[320];
      snprintf(text, sizeof text,
               "tessera_worker_calls_total{method=\"%s\",code=\"%s\"} %" PRIu64 "\n",
               figures->methods[i].method->path + 1, tess_code_name((tess_code)code), calls);
      page->print(page->out, text);
    }
  }
}

static void print_blocks(const metrics_page *page, const worker_figures *figures) {
  const tess_block_counts blocks = worker_blocks_get_counts(figures->blocks);
  metric(page, "tessera_worker_blocks", "gauge", "Blocks held by name.", (double)blocks.blocks);
  metric(page, "tessera_worker_block_used_bytes", "gauge", "Blocks held by name.",
         (double)blocks.used_bytes);
  metric(page, "tessera_worker_block_capacity_bytes", "gauge", "Budget of blocks.",
         (double)blocks.capacity_bytes);
  metric(page, "tessera_worker_block_hits_total", "counter", "Operands that were named and held.",
         (double)blocks.hits);
  metric(page, "tessera_worker_block_misses_total", "counter",
         "Operands that were named and not held.", (double)blocks.misses);
  metric(page, "tessera_worker_block_hit_bytes_total", "counter",
         "Size of the blocks that were named and held.", (double)blocks.hit_bytes);
  metric(page, "tessera_worker_block_kept_total", "counter", "Blocks that were received and kept.",
         (double)blocks.kept);
  metric(page, "tessera_worker_block_evictions_total", "counter",
         "Blocks dropped to make room for others.", (double)blocks.evictions);
  metric(page, "tessera_worker_block_refused_total", "counter",
         "Blocks for which no room could be made.", (double)blocks.refused);
}

void worker_figures_print(void *ctx, void (*print)(void *out, const char *text), void *out) {
  worker_figures *figures = ctx;
  const metrics_page page = {print, out};
  tess_server_counts server;
  worker_gate_counts gate;
  tess_pool_counts pool;
  tess_server_get_counts(figures->server, &server);
  worker_gate_get_counts(figures->gate, &gate);
  tess_pool_get_counts(figures->pool, &pool);

  print_calls(&page, figures);
  metric(&page, "tessera_worker_calls_inflight", "gauge", "Calls in progress.",
         (double)server.calls_inflight);
  metric(&page, "tessera_worker_received_bytes_total", "counter", "Request bodies.",
         (double)server.bytes_received);
  metric(&page, "tessera_worker_sent_bytes_total", "counter", "Response bodies.",
         (double)server.bytes_sent);
  metric(&page, "tessera_worker_products_total", "counter", "Products computed.",
         (double)atomic_load(&figures->products));
  metric(&page, "tessera_worker_products_abandoned_total", "counter",
         "Products given up: the client went away or its deadline passed.",
         (double)atomic_load(&figures->abandoned));
  metric(&page, "tessera_worker_flops_total", "counter",
         "Floating-point operations of finished products, 2 m n k each.",
         (double)atomic_load(&figures->flops));
  metric(&page, "tessera_worker_compute_seconds_total", "counter",
         "Time in the kernel of finished products.",
         (double)atomic_load(&figures->compute_usec) / 1e6);
  metric(&page, "tessera_worker_computing", "gauge", "Products being computed.", gate.running);
  metric(&page, "tessera_worker_waiting", "gauge", "Products waiting for their turn.",
         gate.waiting);
  metric(&page, "tessera_worker_queue_refused_total", "counter",
         "Products refused because too many waited.", (double)gate.refused);
  metric(&page, "tessera_worker_buffer_used_bytes", "gauge", "Operands and results held.",
         (double)pool.used_bytes);
  metric(&page, "tessera_worker_buffer_peak_bytes", "gauge", "Most that were ever held.",
         (double)pool.peak_bytes);
  metric(&page, "tessera_worker_buffer_warm_bytes", "gauge", "Buffers kept for reuse.",
         (double)pool.warm_bytes);
  metric(&page, "tessera_worker_buffer_reused_total", "counter", "Large buffers that were warm.",
         (double)pool.reused);
  metric(&page, "tessera_worker_buffer_fresh_total", "counter", "Large buffers that were mapped.",
         (double)pool.fresh);
  metric(&page, "tessera_worker_buffer_refused_total", "counter",
         "Large buffers refused: over the limit.", (double)pool.refused);
  print_blocks(&page, figures);
}
