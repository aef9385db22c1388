/* SPDX-License-Identifier: Apache-2.0
 *
 * The module's figures as Prometheus text
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). No floating
 * point and no printf: numbers are counts and bytes.
 */
#include <string.h>

#include "wasm/instance.h"
#include "wasm/transport_host.h"

typedef struct out {
  char *text;
  size_t size;
  size_t used; /* what it would take, which may be more than size */
} out;

static void put_n(out *o, const char *text, size_t size) {
  if (o->used < o->size) {
    size_t room = o->size - o->used;
    memcpy(o->text + o->used, text, size < room ? size : room);
  }
  o->used += size;
}

static void put(out *o, const char *text) {
  put_n(o, text, strlen(text));
}

static void put_number(out *o, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  put_n(o, digits + at, sizeof digits - at);
}

static void put_head(out *o, const char *name, const char *type, const char *help) {
  put(o, "# HELP ");
  put(o, name);
  put(o, " ");
  put(o, help);
  put(o, "\n# TYPE ");
  put(o, name);
  put(o, " ");
  put(o, type);
  put(o, "\n");
}

static void put_line(out *o, const char *name, const char *label, const char *value,
                     uint64_t number) {
  put(o, name);
  if (label != NULL) {
    put(o, "{");
    put(o, label);
    put(o, "=\"");
    put(o, value); /* modes, codes and checked URLs: nothing to escape but these */
    put(o, "\"}");
  }
  put(o, " ");
  put_number(o, number);
  put(o, "\n");
}

/* A label that a client chose: what Prometheus wants escaped is. */
static void put_escaped(out *o, const char *text) {
  for (; *text != '\0'; text++) {
    if (*text == '\n') {
      put(o, "\\n");
      continue;
    }
    if (*text == '"' || *text == '\\') put(o, "\\");
    put_n(o, text, 1);
  }
}

static void put_plain(out *o, const char *name, const char *type, const char *help,
                      uint64_t number) {
  put_head(o, name, type, help);
  put_line(o, name, NULL, NULL, number);
}

static void put_workers(out *o, const tess_controller *controller) {
  static const struct {
    const char *name, *type, *help;
  } heads[] = {
      {"tessera_worker_available", "gauge", "Takes tiles at present."},
      {"tessera_worker_in_flight", "gauge", "Tiles it holds now."},
      {"tessera_worker_tiles_total", "counter", "Tiles it computed."},
      {"tessera_worker_failures_total", "counter", "Attempts that failed."},
      {"tessera_worker_quarantined", "gauge", "Gave a wrong tile, and gets none for a while."},
      {"tessera_worker_rejected_total", "counter", "Tiles of it that were wrong."},
      {"tessera_worker_backups_total", "counter", "Second copies of tiles late elsewhere."},
      {"tessera_worker_sent_bytes_total", "counter", "Operands sent to it."},
      {"tessera_worker_received_bytes_total", "counter", "Results it returned."},
      {"tessera_worker_compute_milliseconds_total", "counter", "In its kernel, as it tells."},
      {"tessera_worker_wait_milliseconds_total", "counter",
       "From sending to answer, without that."},
      {"tessera_worker_cached_bytes_total", "counter",
       "Operands that it held already, and were not sent."},
      {"tessera_worker_mflops", "gauge", "Estimated speed in Mflop/s; 0: unknown."},
  };
  uint32_t count = tess_controller_worker_count(controller);
  for (size_t h = 0; h < sizeof heads / sizeof heads[0] && count > 0; h++) {
    put_head(o, heads[h].name, heads[h].type, heads[h].help);
    for (uint32_t i = 0; i < count; i++) {
      tess_controller_worker w = tess_controller_worker_at(controller, i);
      uint64_t numbers[] = {w.available,
                            w.in_flight,
                            w.tiles,
                            w.failures,
                            w.quarantined,
                            w.rejected,
                            w.backups,
                            w.bytes_sent,
                            w.bytes_received,
                            (uint64_t)w.compute_ms,
                            (uint64_t)w.wait_ms,
                            w.cache_bytes,
                            (uint64_t)(w.gflops * 1000)};
      put_line(o, heads[h].name, "worker", w.name, numbers[h]);
    }
  }
}

static void put_blocks(out *o, const tess_block_store *store) {
  const tess_block_counts c = tess_block_store_counts(store);
  put_plain(o, "tessera_blocks", "gauge", "Operand blocks held by name.", c.blocks);
  put_plain(o, "tessera_block_bytes", "gauge", "Their memory.", c.used_bytes);
  put_plain(o, "tessera_block_capacity_bytes", "gauge", "Most that they may take.",
            c.capacity_bytes);
  put_plain(o, "tessera_block_hits_total", "counter", "Names in products that were held.", c.hits);
  put_plain(o, "tessera_block_misses_total", "counter", "Names that were not.", c.misses);
  put_plain(o, "tessera_block_evictions_total", "counter", "Dropped to make room.", c.evictions);
  put_plain(o, "tessera_block_refused_total", "counter", "For which no room could be made.",
            c.refused);
}

/* Products under way, as many as Describe lists. A client may give two of them one name,
 * so each has its turn, too. */
static void put_products(out *o, const tess_controller *controller) {
  static const struct {
    const char *name, *help;
  } heads[] = {
      {"tessera_product_tiles", "Tiles of a product under way."},
      {"tessera_product_tiles_done", "Of these, complete."},
      {"tessera_product_milliseconds", "Since it began."},
  };
  tess_controller_product p;
  if (!tess_controller_product_at(controller, 0, &p)) return;
  for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
    put_head(o, heads[h].name, "gauge", heads[h].help);
    for (uint32_t i = 0; i < TESS_MAX_DESCRIBED_PRODUCTS; i++) {
      if (!tess_controller_product_at(controller, i, &p)) break;
      const uint64_t numbers[] = {p.tiles, p.tiles_done, (uint64_t)p.elapsed_ms};
      put(o, heads[h].name);
      put(o, "{product=\"");
      put_escaped(o, p.product_id);
      put(o, "\",turn=\"");
      put_number(o, i);
      put(o, "\"} ");
      put_number(o, numbers[h]);
      put(o, "\n");
    }
  }
}

size_t tess_module_stats(const tess_module *module, char *text, size_t size) {
  out o = {text, size, 0};
  tess_controller_counts c = tess_controller_counts_get(module->controller);
  put_plain(&o, "tessera_products_in_flight", "gauge", "Products under way.", c.jobs);
  put_head(&o, "tessera_products_total", "counter", "Products by how they ended.");
  put_line(&o, "tessera_products_total", "result", "ok", c.finished);
  put_line(&o, "tessera_products_total", "result", "failed", c.failed);
  put_line(&o, "tessera_products_total", "result", "cancelled", c.cancelled);
  put_line(&o, "tessera_products_total", "result", "refused", module->service.refused);
  put_head(&o, "tessera_tiles_total", "counter", "Tiles by where they were computed.");
  put_line(&o, "tessera_tiles_total", "where", "local", c.local_tiles);
  put_line(&o, "tessera_tiles_total", "where", "worker", c.proxied_tiles);
  put_plain(&o, "tessera_tile_retries_total", "counter", "Attempts beyond a tile's first.",
            c.retries);
  put_plain(&o, "tessera_tile_backups_total", "counter", "Second copies of tiles that were late.",
            c.backups);
  put_plain(&o, "tessera_tiles_checked_total", "counter", "Tiles that Freivalds' check saw.",
            c.checked);
  put_plain(&o, "tessera_tiles_rejected_total", "counter", "Of these, wrong: computed anew.",
            c.rejected);
  put_plain(&o, "tessera_wrong_answers_total", "counter",
            "Answers of workers that were not what was asked for.", c.wrong_answers);
  put_plain(&o, "tessera_flops_total", "counter", "Work of finished products.", c.flops);
  put_plain(&o, "tessera_inflight_bytes", "gauge", "Memory of admitted products.",
            module->service.inflight_bytes);
  put_plain(&o, "tessera_inflight_bytes_peak", "gauge", "Most that it ever was.",
            module->service.peak_inflight_bytes);
  put_plain(&o, "tessera_requests_open", "gauge", "Requests that are not answered yet.",
            module->request_count);
  put_plain(&o, "tessera_posts_in_flight", "gauge", "Requests to workers.",
            tess_transport_host_pending(module->transport));
  put_plain(&o, "tessera_stray_responses_total", "counter", "Responses that nobody waited for.",
            module->stray_responses);
  put_head(&o, "tessera_mode", "gauge", "The controller's mode: 1 for the current one.");
  for (tess_mode mode = TESS_MODE_SERIAL; mode <= TESS_MODE_ADAPTIVE; mode++)
    put_line(&o, "tessera_mode", "mode", tess_mode_name(mode),
             tess_controller_mode(module->controller) == mode);
  put_blocks(&o, module->blocks);
  put_products(&o, module->controller);
  put_workers(&o, module->controller);
  return o.used < size ? o.used : size;
}
