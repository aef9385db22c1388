/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_report.h"

#include <string.h>

#include "cli/json_out.h"
#include "cli/progress.h"
#include "matmul/gemm.h"

/* More tiles than this are told by worker alone, unless all are asked for. */
#define FEW_TILES 16u
/* 65,536 tiles with the longest URLs take less. */
#define MAX_JSON_BYTES ((size_t)32 << 20)

static const char *owner_name(const cli_plan_report *r, const tess_plan_tile *tile) {
  return r->shares != NULL ? r->workers[tile->owner].url : "here";
}

static double flops(const cli_plan_report *r) {
  return 2.0 * r->params->m * r->params->n * r->params->k;
}

static bool is_split(const cli_plan_report *r) {
  for (size_t i = 0; i < r->plan->tile_count; i++)
    if (r->plan->tiles[i].depth != r->params->k) return true;
  return false;
}

static uint32_t used_workers(const cli_plan_report *r) {
  uint32_t used = 0;
  for (uint32_t i = 0; r->shares != NULL && i < r->params->worker_count; i++)
    used += r->shares[i].tiles > 0;
  return used;
}

/* ---- for people ---- */

/* "1.2 s", "340 ms". text: at least 16 bytes. */
static void format_ms(char *text, double ms) {
  if (ms < 0.0) {
    snprintf(text, 16, "?");
  } else if (ms < 10.0) {
    snprintf(text, 16, "%.1f ms", ms);
  } else if (ms < 1000.0) {
    snprintf(text, 16, "%.0f ms", ms);
  } else if (ms < 100e3) {
    snprintf(text, 16, "%.1f s", ms / 1e3);
  } else {
    snprintf(text, 16, ms < 1e10 ? "%.0f s" : "%.1e s", ms / 1e3);
  }
}

/* Like "1.2", "340"; "?" where it is not known. */
static void format_rate(char *text, size_t size, double rate) {
  if (!(rate > 0.0))
    snprintf(text, size, "?");
  else
    snprintf(text, size, rate < 9.95 ? "%.1f" : "%.0f", rate);
}

static void print_tiles(const cli_plan_report *r, FILE *to) {
  const tess_plan *plan = r->plan;
  uint32_t rows = 0, cols = 0;
  for (size_t i = 0; i < plan->tile_count; i++) {
    if (plan->tiles[i].tile.rows > rows) rows = plan->tiles[i].tile.rows;
    if (plan->tiles[i].tile.cols > cols) cols = plan->tiles[i].tile.cols;
  }
  fprintf(to, "%-11s%zu, of at most %u rows and %u columns%s\n", "tiles", plan->tile_count, rows,
          cols, is_split(r) ? "; parts of the inner dimension are added up" : "");
  if (plan->tile_count > FEW_TILES && !r->all_tiles) return;
  fprintf(to, "  %10s %10s %10s %10s", "row", "column", "rows", "columns");
  if (is_split(r)) fprintf(to, " %10s %10s", "k", "depth");
  fprintf(to, "  worker\n");
  for (size_t i = 0; i < plan->tile_count; i++) {
    const tess_plan_tile *tile = &plan->tiles[i];
    fprintf(to, "  %10u %10u %10u %10u", tile->tile.row, tile->tile.col, tile->tile.rows,
            tile->tile.cols);
    if (is_split(r)) fprintf(to, " %10u %10u", tile->k, tile->depth);
    fprintf(to, "  %s\n", owner_name(r, tile));
  }
}

static void print_workers(const cli_plan_report *r, FILE *to) {
  int width = 6;
  for (uint32_t i = 0; i < r->params->worker_count; i++) {
    const int size = (int)strlen(r->workers[i].url);
    if (size > width) width = size;
  }
  fprintf(to, "%-*s  share tiles GFLOP/s out MB/s  in MB/s     sent returned   memory      time\n",
          width, "worker");
  for (uint32_t i = 0; i < r->params->worker_count; i++) {
    const cli_plan_worker *w = &r->workers[i];
    const tess_forecast_share *s = &r->shares[i];
    char speed[16], out[16], in[16], sent[16], back[16], memory[16], time[16];
    format_rate(speed, sizeof speed, w->gflops);
    format_rate(out, sizeof out, w->out_bytes_per_ms / 1e3);
    format_rate(in, sizeof in, w->in_bytes_per_ms / 1e3);
    cli_format_bytes(sent, s->bytes_out);
    cli_format_bytes(back, s->bytes_in);
    cli_format_bytes(memory, s->peak_bytes);
    format_ms(time, s->end_ms);
    fprintf(to, "%-*s %4.0f %% %5u %7s %8s %8s %8s %8s %8s %9s\n", width, w->url,
            flops(r) > 0 ? 100.0 * (double)s->flops / flops(r) : 0.0, s->tiles, speed, out, in,
            sent, back, memory, time);
  }
}

static void print_bytes(const cli_plan_report *r, FILE *to) {
  char out[16], bound[16], in[16], cold[16];
  cli_format_bytes(out, r->forecast->bytes_out);
  cli_format_bytes(bound, r->bound_bytes);
  cli_format_bytes(in, r->forecast->bytes_in);
  fprintf(to, "%-11s%s, %.2f times the least for these shares and whole k (%s)\n", "bytes out", out,
          r->bound_bytes > 0 ? (double)r->forecast->bytes_out / (double)r->bound_bytes : 0.0,
          bound);
  if (r->keeps_panels && r->plan->bytes_out_kept < r->plan->bytes_out) {
    cli_format_bytes(cold, r->plan->bytes_out);
    fprintf(to, "%-11sworkers keep what several of their tiles need; else it were %s\n", "", cold);
  }
  fprintf(to, "%-11s%s\n", "bytes in", in);
}

static void print_memory(const cli_plan_report *r, FILE *to) {
  char peak[16], operands[16], answers[16], worker[16];
  uint64_t most = 0;
  for (uint32_t i = 0; i < r->params->worker_count; i++)
    if (r->shares[i].peak_bytes > most) most = r->shares[i].peak_bytes;
  cli_format_bytes(peak, r->forecast->coordinator_peak);
  cli_format_bytes(operands, r->forecast->operand_bytes);
  cli_format_bytes(answers, r->forecast->coordinator_peak - r->forecast->operand_bytes);
  cli_format_bytes(worker, most);
  fprintf(to, "%-11shere at most %s (matrices %s, answers on their way %s); a worker at most %s\n",
          "memory", peak, operands, answers, worker);
}

static void print_time(const cli_plan_report *r, FILE *to) {
  const double ms = r->forecast->ms;
  char text[16];
  if (ms < 0.0) {
    fprintf(to, "%-11sunknown: a worker does not tell its speed\n", "time");
    return;
  }
  bool assumed = false;
  for (uint32_t i = 0; i < r->params->worker_count; i++)
    assumed = assumed || r->workers[i].link_assumed;
  format_ms(text, ms);
  fprintf(to, "%-11sabout %s, %.1f GFLOP/s; %s\n", "time", text,
          ms > 0.0 ? flops(r) / ms / 1e6 : 0.0,
          assumed ? "links are assumed, not measured" : "by the links as measured just now");
}

void cli_plan_print(const cli_plan_report *r, FILE *to) {
  const uint32_t used = used_workers(r);
  const tess_plan_params *p = r->params;
  fprintf(to, "%u x %u x %u %s, %.4g Gflop: ", p->m, p->n, p->k, tess_dtype_name(p->dtype),
          flops(r) / 1e9);
  if (r->shares == NULL) {
    fprintf(to, "computed here\n");
    print_tiles(r, to);
    return;
  }
  fprintf(to, "%zu %s on %u %s\n", r->plan->tile_count, r->plan->tile_count == 1 ? "tile" : "tiles",
          used, used == 1 ? "worker" : "workers");
  print_tiles(r, to);
  print_workers(r, to);
  print_bytes(r, to);
  print_memory(r, to);
  print_time(r, to);
}

/* ---- for programs ---- */

static void put_tiles(const cli_plan_report *r, cli_json *json) {
  cli_json_begin_list(json, "tiles");
  for (size_t i = 0; i < r->plan->tile_count; i++) {
    const tess_plan_tile *t = &r->plan->tiles[i];
    cli_json_begin(json, NULL);
    cli_json_whole(json, "row", t->tile.row);
    cli_json_whole(json, "col", t->tile.col);
    cli_json_whole(json, "rows", t->tile.rows);
    cli_json_whole(json, "cols", t->tile.cols);
    cli_json_whole(json, "k", t->k);
    cli_json_whole(json, "depth", t->depth);
    cli_json_text(json, "worker", owner_name(r, t));
    cli_json_end(json);
  }
  cli_json_end_list(json);
}

/* 0 is a rate that is not known. */
static void put_rate(cli_json *json, const char *name, double rate) {
  cli_json_known(json, name, rate > 0.0 ? rate : -1.0);
}

static void put_workers(const cli_plan_report *r, cli_json *json) {
  cli_json_begin_list(json, "workers");
  for (uint32_t i = 0; r->shares != NULL && i < r->params->worker_count; i++) {
    const cli_plan_worker *w = &r->workers[i];
    const tess_forecast_share *s = &r->shares[i];
    cli_json_begin(json, NULL);
    cli_json_text(json, "url", w->url);
    cli_json_whole(json, "tiles", s->tiles);
    cli_json_whole(json, "flops", s->flops);
    cli_json_whole(json, "bytesOut", s->bytes_out);
    cli_json_whole(json, "bytesIn", s->bytes_in);
    cli_json_whole(json, "peakBytes", s->peak_bytes);
    put_rate(json, "gflops", w->gflops);
    put_rate(json, "outMegabytesPerSecond", w->out_bytes_per_ms / 1e3);
    put_rate(json, "inMegabytesPerSecond", w->in_bytes_per_ms / 1e3);
    cli_json_bool(json, "linkAssumed", w->link_assumed);
    cli_json_known(json, "ms", s->end_ms);
    cli_json_end(json);
  }
  cli_json_end_list(json);
}

static void put_totals(const cli_plan_report *r, cli_json *json) {
  cli_json_whole(json, "bytesOut", r->forecast->bytes_out);
  cli_json_whole(json, "bytesOutUnkept", r->plan->bytes_out);
  cli_json_whole(json, "bytesIn", r->forecast->bytes_in);
  cli_json_whole(json, "bytesOutBound", r->bound_bytes);
  cli_json_whole(json, "matricesBytes", r->forecast->operand_bytes);
  cli_json_whole(json, "peakBytes", r->forecast->coordinator_peak);
  cli_json_known(json, "ms", r->forecast->ms);
}

tess_code cli_plan_print_json(const cli_plan_report *r, FILE *to, tess_status *status) {
  const tess_plan_params *p = r->params;
  cli_json json;
  cli_json_init(&json, MAX_JSON_BYTES);
  cli_json_begin(&json, NULL);
  cli_json_whole(&json, "m", p->m);
  cli_json_whole(&json, "n", p->n);
  cli_json_whole(&json, "k", p->k);
  cli_json_text(&json, "dtype", tess_dtype_name(p->dtype));
  cli_json_whole(&json, "tileCount", r->plan->tile_count);
  put_tiles(r, &json);
  put_workers(r, &json);
  if (r->shares != NULL) put_totals(r, &json);
  cli_json_end(&json);
  const tess_code code = cli_json_write(&json, to, status);
  cli_json_cleanup(&json);
  return code;
}
