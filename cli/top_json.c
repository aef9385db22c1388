/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_json.h"

#include <math.h>
#include <string.h>

#include "cli/top_look.h"
#include "cli/top_rates.h"
#include "rpc/json_output.h"

/* 1024 workers take a third of a megabyte. */
#define MAX_LINE_BYTES ((size_t)4 << 20)
/* Above it a double has no units. */
#define MAX_WHOLE 9007199254740992.0

/* ---- values ---- */

static void put_name(tess__output *o, const char *name) {
  const uint8_t last = o->size > 0 ? o->data[o->size - 1] : '{';
  if (last != '{' && last != '[') tess__output_text(o, ",");
  tess__output_json_string(o, name, strlen(name));
  tess__output_text(o, ":");
}

static void put_text(tess__output *o, const char *name, const char *text) {
  char printable[1024];
  cli_top_copy_text(printable, sizeof printable, text);
  put_name(o, name);
  tess__output_json_string(o, printable, strlen(printable));
}

static void put_whole(tess__output *o, const char *name, uint64_t number) {
  put_name(o, name);
  tess__output_u64(o, number);
}

/* null where it is < 0, and so not known. */
static void put_number(tess__output *o, const char *name, double number) {
  put_name(o, name);
  if (!(number >= 0.0) || !isfinite(number))
    tess__output_text(o, "null");
  else if (number <= MAX_WHOLE && number == floor(number))
    tess__output_u64(o, (uint64_t)number);
  else
    tess__output_double(o, number);
}

static void begin(tess__output *o, const char *name, const char *bracket) {
  put_name(o, name);
  tess__output_text(o, bracket);
}

/* The next object of a list. */
static void begin_item(tess__output *o) {
  if (o->size > 0 && o->data[o->size - 1] == '}') tess__output_text(o, ",");
  tess__output_text(o, "{");
}

/* ---- a controller ---- */

static void put_products(tess__output *o, const cli_top_look *now) {
  begin(o, "running", "[");
  for (uint32_t i = 0; i < now->product_count; i++) {
    const cli_top_product *p = &now->products[i];
    begin_item(o);
    put_text(o, "id", p->name);
    put_whole(o, "m", p->m);
    put_whole(o, "n", p->n);
    put_whole(o, "k", p->k);
    put_whole(o, "tilesDone", p->tiles_done);
    put_whole(o, "tiles", p->tiles);
    put_number(o, "elapsedMs", p->elapsed_ms);
    tess__output_text(o, "}");
  }
  tess__output_text(o, "]");
}

static void put_workers(tess__output *o, const cli_top_look *now, const cli_top_look *before) {
  begin(o, "workers", "[");
  for (uint32_t i = 0; i < now->worker_count; i++) {
    const cli_top_worker *w = &now->workers[i];
    const cli_top_rates rates = cli_top_rates_of(now, before, i);
    char url[sizeof w->name + 8];
    snprintf(url, sizeof url, "%s%s", strstr(w->name, "://") != NULL ? "" : "http://", w->name);
    begin_item(o);
    put_text(o, "url", url);
    put_text(o, "state", cli_top_state(w));
    put_whole(o, "tiles", w->tiles);
    put_whole(o, "inFlight", w->in_flight);
    put_number(o, "gflops", rates.gflops);
    put_number(o, "megabytesPerSecond", rates.megabytes_a_second);
    put_whole(o, "bytesSent", w->bytes_sent);
    put_whole(o, "bytesReceived", w->bytes_received);
    put_whole(o, "bytesCached", w->cache_bytes);
    put_number(o, "waitMs", w->wait_ms);
    put_whole(o, "failures", w->failures);
    put_whole(o, "backups", w->backups);
    put_whole(o, "wrong", w->rejected);
    tess__output_text(o, "}");
  }
  tess__output_text(o, "]");
}

static void put_controller(tess__output *o, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  const cli_top_rates rates = cli_top_rates_sum(now, before);
  put_text(o, "mode", now->mode);
  begin(o, "products", "{");
  put_whole(o, "running", now->product_count);
  put_number(o, "done", t->products_ok);
  put_number(o, "failed", t->products_failed);
  put_number(o, "cancelled", t->products_cancelled);
  put_number(o, "refused", t->products_refused);
  tess__output_text(o, "}");
  begin(o, "tiles", "{");
  put_number(o, "onWorkers", t->worker_tiles);
  put_number(o, "here", t->local_tiles);
  put_number(o, "retries", t->retries);
  put_number(o, "backups", t->backups);
  put_number(o, "checked", t->checked);
  put_number(o, "wrong", t->rejected);
  tess__output_text(o, "}");
  put_number(o, "gflops", rates.gflops);
  put_number(o, "megabytesPerSecond", rates.megabytes_a_second);
  put_number(o, "memoryBytes", t->held_bytes);
  put_number(o, "memoryLimitBytes", now->memory > 0 ? (double)now->memory : -1.0);
  put_products(o, now);
  put_workers(o, now, before);
}

/* ---- a worker ---- */

static void put_worker(tess__output *o, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  const cli_top_own_rates rates = cli_top_rates_own(now, before);
  begin(o, "products", "{");
  put_number(o, "computing", t->computing);
  put_number(o, "waiting", t->waiting);
  put_number(o, "done", t->products_ok);
  put_number(o, "abandoned", t->abandoned);
  put_number(o, "refused", t->queue_refused);
  tess__output_text(o, "}");
  put_number(o, "gflops", rates.gflops);
  put_number(o, "gflopsAtStart", now->gflops > 0.0 ? now->gflops : -1.0);
  put_number(o, "busy", rates.busy);
  put_number(o, "bytesIn", t->bytes_in);
  put_number(o, "bytesOut", t->bytes_out);
  put_number(o, "megabytesInPerSecond", rates.megabytes_in_a_second);
  put_number(o, "megabytesOutPerSecond", rates.megabytes_out_a_second);
  begin(o, "blocks", "{");
  put_number(o, "bytes", t->block_bytes);
  put_number(o, "capacityBytes", t->block_capacity);
  put_number(o, "foundBytes", t->block_hit_bytes);
  tess__output_text(o, "}");
}

/* ---- the line ---- */

bool cli_top_json_print(const cli_top_json *line, FILE *to) {
  tess__output o;
  tess__output_init(&o, NULL, MAX_LINE_BYTES);
  tess__output_text(&o, "{");
  put_number(&o, "timeMs", floor(line->time_ms));
  put_text(&o, "url", line->url);
  put_name(&o, "answers");
  tess__output_text(&o, line->problem == NULL ? "true" : "false");
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
    begin(&o, "notes", "[");
    for (uint32_t i = 0; i < now->note_count; i++) {
      if (i > 0) tess__output_text(&o, ",");
      tess__output_json_string(&o, now->notes[i], strlen(now->notes[i]));
    }
    tess__output_text(&o, "]");
  }
  tess__output_text(&o, "}\n");
  bool good = !o.failed && fwrite(o.data, 1, o.size, to) == o.size && fflush(to) == 0;
  tess__output_cleanup(&o);
  return good;
}
