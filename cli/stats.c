/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stats.h"

#include <stdlib.h>
#include <string.h>

#include <tessera/json.h>

#include "tessera/matmul/v1/matmul.schema.h"

/* What is worth a word: checks where there were any, and what went wrong. */
static void tell(cli_answer *answer, const Tessera__Matmul__V1__ProductStats *stats) {
  const struct {
    uint32_t count;
    const char *one, *many;
  } parts[] = {{stats->checked, "checked", "checked"},
               {stats->rejected, "wrong", "wrong"},
               {stats->retries, "retry", "retries"},
               {stats->backups, "backup", "backups"}};
  size_t used = 0;
  answer->told[0] = '\0';
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    const bool wrong_of_checked = i == 1 && stats->checked > 0;
    if (parts[i].count == 0 && !wrong_of_checked) continue;
    used += (size_t)snprintf(answer->told + used, sizeof answer->told - used, "%s%u %s",
                             used == 0 ? "; " : ", ", parts[i].count,
                             parts[i].count == 1 ? parts[i].one : parts[i].many);
  }
}

void cli_stats_keep(cli_answer *answer, const Tessera__Matmul__V1__ProductStats *stats) {
  tell(answer, stats);
  const size_t size = tessera__matmul__v1__product_stats__get_packed_size(stats);
  uint8_t *bytes = tess_arena_alloc(&answer->arena, size > 0 ? size : 1);
  if (bytes == NULL) return;
  tessera__matmul__v1__product_stats__pack(stats, bytes);
  answer->stats = (tess_slice){bytes, size};
}

typedef struct converted {
  Tessera__Matmul__V1__ProductStats stats;
  Tessera__Matmul__V1__WorkerStats *workers;
  Tessera__Matmul__V1__WorkerStats **list;
  char **notes;
} converted;

/* The generated structs have no const; nobody writes through it. */
static char *text(const char *constant) {
  union {
    const char *in;
    char *out;
  } pointer = {constant};
  return pointer.out;
}

static void convert_worker(Tessera__Matmul__V1__WorkerStats *to, const tess_job_executor *from) {
  tessera__matmul__v1__worker_stats__init(to);
  to->worker = text(from->name);
  to->tiles = from->stats.tiles;
  to->failures = from->stats.failures;
  to->compute_ms = from->compute_ms;
  to->bytes_sent = from->stats.bytes_sent;
  to->bytes_received = from->stats.bytes_received;
  to->backups = from->stats.backups;
  to->checked = from->checked;
  to->rejected = from->rejected;
  to->cache_hits = from->cache_hits;
  to->cache_bytes = from->cache_bytes;
  to->gflops = from->gflops;
  if (from->stats.busy_ms > from->compute_ms) to->wait_ms = from->stats.busy_ms - from->compute_ms;
}

static void convert(converted *c, const tess_job_report *report) {
  Tessera__Matmul__V1__ProductStats *to = &c->stats;
  tessera__matmul__v1__product_stats__init(to);
  to->mode = (Tessera__Matmul__V1__Mode)report->mode;
  to->tiles = report->tiles;
  to->local_tiles = report->local_tiles;
  to->proxied_tiles = report->proxied_tiles;
  to->retries = report->retries;
  to->elapsed_ms = report->elapsed_ms;
  to->backups = report->backups;
  to->checked = report->checked;
  to->rejected = report->rejected;
  to->bytes_sent = report->bytes_sent;
  to->bytes_received = report->bytes_received;
  to->cache_bytes = report->cache_bytes;
  to->peak_bytes = report->peak_bytes;
  if (report->elapsed_ms > 0.0) to->gflops = (double)report->flops / report->elapsed_ms * 1e-6;
  for (uint32_t i = 0; i < report->executor_count; i++) {
    convert_worker(&c->workers[i], &report->executors[i]);
    c->list[i] = &c->workers[i];
  }
  for (uint32_t i = 0; i < report->note_count; i++)
    c->notes[i] = text(report->notes[i]);
  to->workers = c->list;
  to->n_workers = report->executor_count;
  to->notes = c->notes;
  to->n_notes = report->note_count;
}

static void keep_report(cli_answer *answer, const tess_job_report *report) {
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  const size_t workers = report->executor_count + 1u, notes = report->note_count + 1u;
  converted c = {.workers = tess_arena_alloc(&arena, workers * sizeof *c.workers),
                 .list = tess_arena_alloc(&arena, workers * sizeof *c.list),
                 .notes = tess_arena_alloc(&arena, notes * sizeof *c.notes)};
  if (c.workers != NULL && c.list != NULL && c.notes != NULL) {
    convert(&c, report);
    cli_stats_keep(answer, &c.stats);
  }
  tess_arena_cleanup(&arena);
}

/* ---- a sum ---- */

static tess_job_executor *find_executor(cli_stats_sum *sum, const char *name) {
  for (uint32_t i = 0; i < sum->executor_count; i++)
    if (strcmp(sum->executors[i].name, name) == 0) return &sum->executors[i];
  char *copy = sum->executor_count <= CLI_MAX_WORKERS ? strdup(name) : NULL;
  if (copy == NULL) return NULL;
  tess_job_executor *executor = &sum->executors[sum->executor_count++];
  *executor = (tess_job_executor){.name = copy};
  return executor;
}

static void add_executor(cli_stats_sum *sum, const tess_job_executor *from) {
  tess_job_executor *to = find_executor(sum, from->name);
  if (to == NULL) return;
  to->stats.tiles += from->stats.tiles;
  to->stats.failures += from->stats.failures;
  to->stats.backups += from->stats.backups;
  to->stats.bytes_sent += from->stats.bytes_sent;
  to->stats.bytes_received += from->stats.bytes_received;
  to->stats.busy_ms += from->stats.busy_ms;
  to->compute_ms += from->compute_ms;
  to->checked += from->checked;
  to->rejected += from->rejected;
  to->cache_hits += from->cache_hits;
  to->cache_bytes += from->cache_bytes;
  if (from->gflops > 0.0) to->gflops = from->gflops; /* the last it reached */
}

static void add_note(cli_stats_sum *sum, const char *note) {
  for (uint32_t i = 0; i < sum->note_count; i++)
    if (strcmp(sum->notes[i], note) == 0) return;
  char *copy = sum->note_count < CLI_STATS_MAX_NOTES ? strdup(note) : NULL;
  if (copy != NULL) sum->notes[sum->note_count++] = copy;
}

void cli_stats_add(cli_stats_sum *sum, const tess_job_report *report) {
  tess_job_report *to = &sum->total;
  to->mode = report->mode;
  to->tiles += report->tiles;
  to->local_tiles += report->local_tiles;
  to->proxied_tiles += report->proxied_tiles;
  to->retries += report->retries;
  to->backups += report->backups;
  to->checked += report->checked;
  to->rejected += report->rejected;
  to->bytes_sent += report->bytes_sent;
  to->bytes_received += report->bytes_received;
  to->cache_bytes += report->cache_bytes;
  to->flops += report->flops;
  if (report->peak_bytes > to->peak_bytes) to->peak_bytes = report->peak_bytes;
  for (uint32_t i = 0; i < report->executor_count; i++)
    add_executor(sum, &report->executors[i]);
  for (uint32_t i = 0; i < report->note_count; i++)
    add_note(sum, report->notes[i]);
}

void cli_stats_sum_cleanup(cli_stats_sum *sum) {
  for (uint32_t i = 0; i < sum->executor_count; i++)
    free(text(sum->executors[i].name));
  for (uint32_t i = 0; i < sum->note_count; i++)
    free(sum->notes[i]);
  sum->executor_count = sum->note_count = 0;
}

void cli_stats_keep_sum(cli_answer *answer, const cli_stats_sum *sum, double elapsed_ms) {
  const char *notes[CLI_STATS_MAX_NOTES];
  for (uint32_t i = 0; i < sum->note_count; i++)
    notes[i] = sum->notes[i];
  tess_job_report report = sum->total;
  report.elapsed_ms = elapsed_ms;
  report.executors = sum->executors;
  report.executor_count = sum->executor_count;
  report.notes = notes;
  report.note_count = sum->note_count;
  keep_report(answer, &report);
}

/* ---- telling ---- */

tess_code cli_stats_write(const cli_answer *answer, FILE *to, tess_status *status) {
  if (answer->stats.data == NULL)
    return tess_status_set(status, TESS_NOT_FOUND, "the peer told no figures of the product");
  tess_segments json;
  tess_segments_init(&json, NULL, 0);
  tess_code code = tess_proto_to_json(&tess_schema_tessera_matmul_v1_ProductStats, answer->stats,
                                      NULL, &json, status);
  for (size_t i = 0; code == TESS_OK && i < json.count; i++)
    fwrite(json.items[i].data, 1, json.items[i].size, to);
  tess_segments_cleanup(&json);
  if (code != TESS_OK) return code;
  fputc('\n', to);
  if (fflush(to) == 0 && ferror(to) == 0) return TESS_OK;
  return tess_status_set(status, TESS_DATA_LOSS, "it could not be written");
}
