/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_json.h"

#include <math.h>
#include <string.h>

#include "cli/json_out.h"
#include "cli/printable.h"
#include "cli/top_rates.h"

/* 1024 workers take a third of a megabyte. */
#define MAX_LINE_BYTES ((size_t)4 << 20)

/* A peer's word, made printable. */
static void put_text(cli_json *o, const char *name, const char *text) {
  char printable[1024];
  cli_printable_copy(printable, sizeof printable, text);
  cli_json_text(o, name, printable);
}

/* ---- a controller ---- */

static void put_products(cli_json *o, const cli_top_look *now) {
  cli_json_begin_list(o, "running");
  for (uint32_t i = 0; i < now->product_count; i++) {
    const cli_top_product *p = &now->products[i];
    cli_json_begin(o, NULL);
    put_text(o, "id", p->name);
    cli_json_whole(o, "m", p->m);
    cli_json_whole(o, "n", p->n);
    cli_json_whole(o, "k", p->k);
    cli_json_whole(o, "tilesDone", p->tiles_done);
    cli_json_whole(o, "tiles", p->tiles);
    cli_json_known(o, "elapsedMs", p->elapsed_ms);
    cli_json_end(o);
  }
  cli_json_end_list(o);
}

static void put_workers(cli_json *o, const cli_top_look *now, const cli_top_look *before) {
  cli_json_begin_list(o, "workers");
  for (uint32_t i = 0; i < now->worker_count; i++) {
    const cli_top_worker *w = &now->workers[i];
    const cli_top_rates rates = cli_top_rates_of(now, before, i);
    char url[sizeof w->name + 8];
    snprintf(url, sizeof url, "%s%s", strstr(w->name, "://") != NULL ? "" : "http://", w->name);
    cli_json_begin(o, NULL);
    put_text(o, "url", url);
    put_text(o, "state", cli_top_state(w));
    cli_json_whole(o, "tiles", w->tiles);
    cli_json_whole(o, "inFlight", w->in_flight);
    cli_json_known(o, "gflops", rates.gflops);
    cli_json_known(o, "megabytesPerSecond", rates.megabytes_a_second);
    cli_json_whole(o, "bytesSent", w->bytes_sent);
    cli_json_whole(o, "bytesReceived", w->bytes_received);
    cli_json_whole(o, "bytesCached", w->cache_bytes);
    cli_json_known(o, "waitMs", w->wait_ms);
    cli_json_whole(o, "failures", w->failures);
    cli_json_whole(o, "backups", w->backups);
    cli_json_whole(o, "wrong", w->rejected);
    cli_json_end(o);
  }
  cli_json_end_list(o);
}

static void put_controller(cli_json *o, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  const cli_top_rates rates = cli_top_rates_sum(now, before);
  put_text(o, "mode", now->mode);
  cli_json_begin(o, "products");
  cli_json_whole(o, "running", now->product_count);
  cli_json_known(o, "done", t->products_ok);
  cli_json_known(o, "failed", t->products_failed);
  cli_json_known(o, "cancelled", t->products_cancelled);
  cli_json_known(o, "refused", t->products_refused);
  cli_json_end(o);
  cli_json_begin(o, "tiles");
  cli_json_known(o, "onWorkers", t->worker_tiles);
  cli_json_known(o, "here", t->local_tiles);
  cli_json_known(o, "retries", t->retries);
  cli_json_known(o, "backups", t->backups);
  cli_json_known(o, "checked", t->checked);
  cli_json_known(o, "wrong", t->rejected);
  cli_json_end(o);
  cli_json_known(o, "gflops", rates.gflops);
  cli_json_known(o, "megabytesPerSecond", rates.megabytes_a_second);
  cli_json_known(o, "memoryBytes", t->held_bytes);
  cli_json_known(o, "memoryLimitBytes", now->memory > 0 ? (double)now->memory : -1.0);
  put_products(o, now);
  put_workers(o, now, before);
}

/* ---- a worker ---- */

static void put_worker(cli_json *o, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  const cli_top_own_rates rates = cli_top_rates_own(now, before);
  cli_json_begin(o, "products");
  cli_json_known(o, "computing", t->computing);
  cli_json_known(o, "waiting", t->waiting);
  cli_json_known(o, "done", t->products_ok);
  cli_json_known(o, "abandoned", t->abandoned);
  cli_json_known(o, "refused", t->queue_refused);
  cli_json_end(o);
  cli_json_known(o, "gflops", rates.gflops);
  cli_json_known(o, "gflopsAtStart", now->gflops > 0.0 ? now->gflops : -1.0);
  cli_json_known(o, "busy", rates.busy);
  cli_json_known(o, "bytesIn", t->bytes_in);
  cli_json_known(o, "bytesOut", t->bytes_out);
  cli_json_known(o, "megabytesInPerSecond", rates.megabytes_in_a_second);
  cli_json_known(o, "megabytesOutPerSecond", rates.megabytes_out_a_second);
  cli_json_begin(o, "blocks");
  cli_json_known(o, "bytes", t->block_bytes);
  cli_json_known(o, "capacityBytes", t->block_capacity);
  cli_json_known(o, "foundBytes", t->block_hit_bytes);
  cli_json_end(o);
}

/* ---- the line ---- */

bool cli_top_json_print(const cli_top_json *line, FILE *to) {
  cli_json o;
  cli_json_init(&o, MAX_LINE_BYTES);
  cli_json_begin(&o, NULL);
  cli_json_known(&o, "timeMs", floor(line->time_ms));
  put_text(&o, "url", line->url);
  cli_json_bool(&o, "answers", line->problem == NULL);
  if (line->problem != NULL) {
    put_text(&o, "problem", line->problem);
  } else {
    const cli_top_look *now = line->now;
    put_text(&o, "what", now->what);
    put_text(&o, "kind", now->is_controller ? "server" : "worker");
    if (now->is_controller)
      put_controller(&o, now, line->before);
    else
      put_worker(&o, now, line->before);
    cli_json_begin_list(&o, "notes");
    for (uint32_t i = 0; i < now->note_count; i++)
      cli_json_text(&o, NULL, now->notes[i]);
    cli_json_end_list(&o);
  }
  cli_json_end(&o);
  const bool good = cli_json_write(&o, to, NULL) == TESS_OK;
  cli_json_cleanup(&o);
  return good;
}
