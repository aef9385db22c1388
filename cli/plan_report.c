/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_report.h"

#include <math.h>
#include <string.h>

#include "cli/progress.h"
#include "matmul/gemm.h"

/* More tiles than this are told by worker alone, unless all are asked for. */
#define FEW_TILES 16u

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

/* URLs were checked: no character in them needs more than this. */
static void put_text(const char *text, FILE *to) {
  fputc('"', to);
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', to);
    if ((unsigned char)*text >= ' ') fputc(*text, to);
  }
  fputc('"', to);
}

/* A number, or null where it is not known. */
static void put_known(const char *name, double number, FILE *to) {
  if (number >= 0.0 && isfinite(number))
    fprintf(to, ",\"%s\":%.6g", name, number);
  else
    fprintf(to, ",\"%s\":null", name);
}

static void put_worker(const cli_plan_report *r, uint32_t i, FILE *to) {
  const cli_plan_worker *w = &r->workers[i];
  const tess_forecast_share *s = &r->shares[i];
  fprintf(to, "%s{\"url\":", i > 0 ? "," : "");
  put_text(w->url, to);
  fprintf(to, ",\"tiles\":%u,\"flops\":%llu,\"bytesOut\":%llu,\"bytesIn\":%llu,\"peakBytes\":%llu",
          s->tiles, (unsigned long long)s->flops, (unsigned long long)s->bytes_out,
          (unsigned long long)s->bytes_in, (unsigned long long)s->peak_bytes);
  put_known("gflops", w->gflops > 0.0 ? w->gflops : -1.0, to);
  put_known("outMegabytesPerSecond", w->out_bytes_per_ms > 0 ? w->out_bytes_per_ms / 1e3 : -1, to);
  put_known("inMegabytesPerSecond", w->in_bytes_per_ms > 0 ? w->in_bytes_per_ms / 1e3 : -1, to);
  fprintf(to, ",\"linkAssumed\":%s", w->link_assumed ? "true" : "false");
  put_known("ms", s->end_ms, to);
  fputc('}', to);
}

void cli_plan_print_json(const cli_plan_report *r, FILE *to) {
  const tess_plan_params *p = r->params;
  fprintf(to, "{\"m\":%u,\"n\":%u,\"k\":%u,\"dtype\":\"%s\",\"tileCount\":%zu,\"tiles\":[", p->m,
          p->n, p->k, tess_dtype_name(p->dtype), r->plan->tile_count);
  for (size_t i = 0; i < r->plan->tile_count; i++) {
    const tess_plan_tile *t = &r->plan->tiles[i];
    fprintf(to,
            "%s{\"row\":%u,\"col\":%u,\"rows\":%u,\"cols\":%u,\"k\":%u,\"depth\":%u,\"worker\":",
            i > 0 ? "," : "", t->tile.row, t->tile.col, t->tile.rows, t->tile.cols, t->k, t->depth);
    put_text(owner_name(r, t), to);
    fputc('}', to);
  }
  fprintf(to, "],\"workers\":[");
  for (uint32_t i = 0; r->shares != NULL && i < p->worker_count; i++)
    put_worker(r, i, to);
  fprintf(to, "]");
  if (r->shares != NULL) {
    fprintf(to,
            ",\"bytesOut\":%llu,\"bytesOutUnkept\":%llu,\"bytesIn\":%llu,\"bytesOutBound\":%llu,"
            "\"matricesBytes\":%llu,\"peakBytes\":%llu",
            (unsigned long long)r->forecast->bytes_out, (unsigned long long)r->plan->bytes_out,
            (unsigned long long)r->forecast->bytes_in, (unsigned long long)r->bound_bytes,
            (unsigned long long)r->forecast->operand_bytes,
            (unsigned long long)r->forecast->coordinator_peak);
    put_known("ms", r->forecast->ms, to);
  }
  fprintf(to, "}\n");
}
