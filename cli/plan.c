/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera plan M N K: what `tessera multiply --worker` would do, without doing it.
 * The plan is made by the function that the controller uses (plan_choice.h), from
 * what the workers say of themselves; time and memory are a forecast.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/transport_curl.h>

#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/link.h"
#include "cli/plan_report.h"
#include "cli/probe.h"
#include "cli/product.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "matmul/plan_choice.h"
#include "program/worker_set.h"
#include "wasm/executor.h"
#include "program/clock.h"

#define MAX_SIDE 2147483647u
/* All measuring together; links that are left then are assumed. */
#define MEASURE_MS 10000.0
/* Where nothing was measured: 1 Gbit/s. */
#define ASSUMED_BYTES_PER_MS 125000.0
/* A worker tells its speed in float32. */
#define FLOAT64_SPEED 0.5

static const char help_text[] =
    "Usage: tessera plan M N K (--worker URL ... | --workers-file FILE) [OPTION]...\n"
    "Tells how an M x K matrix times a K x N matrix would be spread over workers: tiles and\n"
    "who gets them, bytes on the way, memory and time. Nothing is multiplied but what it takes\n"
    "to measure the links (a few MB for each worker).\n"
    "\n"
    "  --worker URL         a tessera-worker; repeat it for more\n"
    "  --workers-file FILE  one URL a line; # begins a comment\n"
    "  --dtype TYPE         float32 or float64 (float32)\n"
    "  --add                as for C = A * B + C0: a part of C0 travels with each tile\n"
    "  --watched            the finer tiles of a product with a progress bar\n"
    "  --link MB/S          do not measure: every link carries so many megabytes a second\n"
    "  --tiles              list every tile, however many\n"
    "  --json               one JSON object, with every tile\n"
    "  -h, --help\n";

enum {
  OPTION_WORKER = 256,
  OPTION_WORKERS_FILE,
  OPTION_DTYPE,
  OPTION_ADD,
  OPTION_WATCHED,
  OPTION_LINK,
  OPTION_TILES,
  OPTION_JSON
};

static const struct option long_options[] = {
    {"worker", required_argument, NULL, OPTION_WORKER},
    {"workers-file", required_argument, NULL, OPTION_WORKERS_FILE},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"add", no_argument, NULL, OPTION_ADD},
    {"watched", no_argument, NULL, OPTION_WATCHED},
    {"link", required_argument, NULL, OPTION_LINK},
    {"tiles", no_argument, NULL, OPTION_TILES},
    {"json", no_argument, NULL, OPTION_JSON},
    PROGRAM_TLS_CLIENT_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* One run; zero means empty. */
typedef struct planning {
  const char *given[CLI_MAX_WORKERS]; /* --worker */
  uint32_t given_count;
  const char *file;        /* --workers-file; NULL: none */
  program_worker_set *set; /* of both */
  const char *const *urls; /* its list */
  uint32_t url_count;
  uint32_t m, n, k;
  tess_dtype dtype;
  bool add, watched, all_tiles, json;
  double link_bytes_per_ms; /* 0: measure */
  program_tls tls;
  cli_probe_result probes[CLI_MAX_WORKERS];
  /* Of those that answered: */
  uint32_t count;
  uint32_t index[CLI_MAX_WORKERS]; /* into urls */
  cli_plan_worker workers[CLI_MAX_WORKERS];
  tess_forecast_worker lines[CLI_MAX_WORKERS];
  tess_forecast_share shares[CLI_MAX_WORKERS];
} planning;

/* ---- the command line ---- */

static int add_worker(planning *p, const char *url) {
  if (p->given_count == CLI_MAX_WORKERS)
    return cli_wrong_usage("at most %d workers", CLI_MAX_WORKERS);
  if (!program_worker_url_is_plain(url))
    return cli_wrong_usage("--worker %s: not a URL like http://HOST:PORT", url);
  p->given[p->given_count++] = url;
  return -1;
}

static void on_tell(void *ctx, const char *line) {
  (void)ctx;
  cli_note(false, "note: %s", line);
}

/* The list as it is now. */
static int read_list(planning *p) {
  char why[512];
  const program_worker_set_options options = {
      .urls = p->given, .url_count = p->given_count, .file = p->file, .tell = on_tell};
  p->set = program_worker_set_new(&options, why, sizeof why);
  if (p->set == NULL) return cli_failed("--workers-file %s", why);
  program_worker_set_look(p->set, (int64_t)program_now_ms(), 0);
  p->urls = p->set->urls;
  p->url_count = (uint32_t)p->set->count;
  return -1;
}

static int take_option(planning *p, int option, char *value) {
  static const program_number_option link = {"link", PROGRAM_MEGABYTES_A_SECOND, 1, 1000000};
  uint64_t number = 0;
  int code = -1;
  switch (option) {
    case OPTION_WORKER:
      return add_worker(p, value);
    case OPTION_WORKERS_FILE:
      if (p->file != NULL) return cli_wrong_usage("--workers-file is given twice");
      p->file = value;
      return -1;
    case OPTION_DTYPE:
      return cli_take_dtype(value, &p->dtype);
    case OPTION_ADD:
      p->add = true;
      return -1;
    case OPTION_WATCHED:
      p->watched = true;
      return -1;
    case OPTION_LINK:
      code = cli_take_number(&link, value, &number);
      if (code < 0) p->link_bytes_per_ms = (double)number * 1e3;
      return code;
    case OPTION_TILES:
      p->all_tiles = true;
      return -1;
    case OPTION_JSON:
      p->json = true;
      return -1;
    default:
      if (program_tls_take(&p->tls, option, value)) return -1;
      return cli_wrong_usage("unknown option; see tessera plan --help");
  }
}

static int take_side(const char *name, const char *text, uint32_t *side) {
  uint64_t number = 0;
  if (!program_number(text, false, 1, MAX_SIDE, &number))
    return cli_wrong_usage("%s is a whole number from 1 to %u, not '%s'", name, MAX_SIDE, text);
  *side = (uint32_t)number;
  return -1;
}

static int check_sizes(const planning *p) {
  const uint32_t sides[3][2] = {{p->m, p->k}, {p->k, p->n}, {p->m, p->n}};
  for (size_t i = 0; i < 3; i++) {
    size_t bytes = 0;
    if (!tess_matrix_byte_count(sides[i][0], sides[i][1], p->dtype, &bytes) ||
        bytes > PTRDIFF_MAX / 8)
      return cli_wrong_usage("%u x %u x %u: a matrix of %u x %u does not fit any machine", p->m,
                             p->n, p->k, sides[i][0], sides[i][1]);
  }
  return -1;
}

static int parse(planning *p, int argc, char **argv) {
  p->dtype = TESS_DTYPE_FLOAT32;
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    if (option == 'h') {
      printf("%s\n%s", help_text, PROGRAM_TLS_CLIENT_HELP);
      return CLI_DONE;
    }
    if (option == ':')
      return cli_wrong_usage("%s needs a value; see tessera plan --help", argv[optind - 1]);
    if (option == '?')
      return cli_wrong_usage("unknown option '%s'; see tessera plan --help", argv[optind - 1]);
    int code = take_option(p, option, optarg);
    if (code >= 0) return code;
  }
  if (argc - optind != 3)
    return cli_wrong_usage("plan takes three numbers: tessera plan M N K --worker URL");
  int code = take_side("M", argv[optind], &p->m);
  if (code < 0) code = take_side("N", argv[optind + 1], &p->n);
  if (code < 0) code = take_side("K", argv[optind + 2], &p->k);
  if (code < 0) code = check_sizes(p);
  if (code >= 0) return code;
  const char *wrong = program_tls_check(&p->tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  if (p->given_count == 0 && p->file == NULL)
    return cli_wrong_usage("say who would compute: --worker URL or --workers-file FILE");
  return read_list(p);
}

/* ---- what is known of the workers ---- */

static tess_code ask(planning *p, tess_status *status) {
  const tess_tls_options tls = program_tls_client(&p->tls);
  const tess_transport_curl_options transport_options = {.tls = &tls};
  tess_transport *transport = tess_transport_curl_new(&transport_options, status);
  if (transport == NULL) return status->code;
  tess_code code =
      cli_probe(transport, p->urls, p->url_count, CLI_PROBE_TIMEOUT_MS, p->probes, status);
  transport->ops->free(transport);
  if (code != TESS_OK) return code;
  for (uint32_t i = 0; i < p->url_count; i++) {
    const cli_probe_result *probe = &p->probes[i];
    if (!probe->answered) {
      cli_note(cli_interrupted(), "note: %s does not answer and is left out: %s%s", p->urls[i],
               probe->problem, cli_tls_advice(probe->problem));
      continue;
    }
    p->index[p->count] = i;
    p->workers[p->count] = (cli_plan_worker){.url = p->urls[i], .gflops = probe->gflops};
    if (p->dtype == TESS_DTYPE_FLOAT64) p->workers[p->count].gflops *= FLOAT64_SPEED;
    p->count++;
  }
  if (cli_interrupted()) return tess_status_set(status, TESS_CANCELED, "interrupted");
  if (p->count == 0)
    return tess_status_set(status, TESS_UNAVAILABLE, "no worker answers; do workers run there?");
  return TESS_OK;
}

/* False: it stays unknown. */
static bool measure_link(const planning *p, uint32_t i, cli_plan_worker *worker,
                         tess_forecast_worker *line) {
  tess_status status = TESS_STATUS_INIT;
  cli_remote remote;
  cli_link link;
  const uint64_t limit = p->probes[p->index[i]].max_message_bytes;
  bool good = cli_remote_open(&remote, worker->url, &p->tls, SIZE_MAX / 2, &status) == TESS_OK &&
              cli_link_measure(&remote, limit, &link, &status) == TESS_OK;
  if (good) {
    worker->out_bytes_per_ms = link.out_bytes_per_ms;
    worker->in_bytes_per_ms = link.in_bytes_per_ms;
    line->latency_ms = link.latency_ms;
  } else if (!cli_interrupted()) {
    cli_note(false, "note: the link to %s could not be measured: %s", worker->url,
             cli_status_text(&status));
  }
  cli_remote_close(&remote);
  tess_status_cleanup(&status);
  return good;
}

static void find_links(planning *p) {
  double out = 0.0, in = 0.0;
  uint32_t measured = 0;
  const double began_ms = program_now_ms();
  for (uint32_t i = 0; i < p->count && p->link_bytes_per_ms == 0.0; i++) {
    if (cli_interrupted() || program_now_ms() - began_ms > MEASURE_MS) break;
    if (!measure_link(p, i, &p->workers[i], &p->lines[i])) continue;
    out += p->workers[i].out_bytes_per_ms;
    in += p->workers[i].in_bytes_per_ms;
    measured++;
  }
  for (uint32_t i = 0; i < p->count; i++) {
    cli_plan_worker *worker = &p->workers[i];
    if (!(worker->out_bytes_per_ms > 0.0)) {
      const double given = p->link_bytes_per_ms > 0.0 ? p->link_bytes_per_ms : ASSUMED_BYTES_PER_MS;
      worker->out_bytes_per_ms = measured > 0 ? out / measured : given;
      worker->in_bytes_per_ms = measured > 0 ? in / measured : given;
      worker->link_assumed = true;
    }
    p->lines[i].out_ms_per_byte = 1.0 / worker->out_bytes_per_ms;
    p->lines[i].in_ms_per_byte = 1.0 / worker->in_bytes_per_ms;
    p->lines[i].ms_per_flop = tess_speed_told(worker->gflops).ms_per_flop;
  }
  const char *const why = p->link_bytes_per_ms > 0.0 ? NULL
                          : measured > 0             ? "taken as the mean of the others"
                                                     : "assumed to carry 125 MB/s";
  if (measured < p->count && why != NULL && !cli_interrupted())
    cli_note(false, "note: %u of %u links are %s", p->count - measured, p->count, why);
}

/* ---- the plan ---- */

static uint64_t message_limit(const planning *p, uint32_t url) {
  const uint64_t told = p->probes[url].max_message_bytes;
  return told != 0 ? told : TESS_PROXY_MESSAGE_BYTES;
}

/* Of those that answered, and behind them of those that may join. */
static void message_limits(const planning *p, uint64_t *limits) {
  uint32_t count = 0;
  for (; count < p->count; count++)
    limits[count] = message_limit(p, p->index[count]);
  for (uint32_t i = 0; i < p->url_count; i++)
    if (!p->probes[i].answered) limits[count++] = message_limit(p, i);
}

/* Whoever cannot be sent the tiles gets none; the others are its owners, in order. */
static void leave_out(planning *p, const tess_plan *plan) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const uint64_t limit = message_limit(p, p->index[i]);
    if (!tess_plan_fits_limit(plan, limit)) {
      tess_reason why;
      tess_plan_tell_left_out(plan, limit, &why);
      cli_note(false, "note: %s %s", p->workers[i].url, why.text);
      continue;
    }
    p->index[kept] = p->index[i];
    p->workers[kept] = p->workers[i];
    p->lines[kept++] = p->lines[i];
  }
  p->count = kept;
}

/* Does what each is sent for its tiles fit into what it keeps? */
static bool all_is_kept(const planning *p) {
  for (uint32_t i = 0; i < p->count; i++)
    if (p->shares[i].bytes_out > p->probes[p->index[i]].block_bytes) return false;
  return true;
}

/* What the controller of `tessera multiply --worker` would choose. */
static tess_code make_plan(const planning *p, tess_plan *plan, tess_plan_params *params,
                           double *weights, bool *local_only, tess_reason *reason) {
  static tess_speed speeds[CLI_MAX_WORKERS];
  static const tess_speed *list[CLI_MAX_WORKERS];
  static uint64_t limits[CLI_MAX_WORKERS];
  message_limits(p, limits);
  bool far = true;
  for (uint32_t i = 0; i < p->count; i++) {
    far = far && tess_executor_is_far(p->urls[p->index[i]]);
    speeds[i] = tess_speed_told(p->probes[p->index[i]].gflops);
    list[i] = &speeds[i];
  }
  const tess_plan_choice choice = {.m = p->m,
                                   .n = p->n,
                                   .k = p->k,
                                   .dtype = p->dtype,
                                   .sends_c = p->add,
                                   .many_tiles = p->watched,
                                   .far = far,
                                   .limits = limits,
                                   .limit_count = p->url_count,
                                   .min_tile_flops = TESS_PLAN_MIN_TILE_FLOPS,
                                   .worker_count = p->count,
                                   .speeds = list,
                                   .weights = weights};
  return tess_plan_make_chosen(plan, &choice, params, local_only, NULL, reason);
}

static tess_code tell_plan(planning *p, tess_status *status) {
  static double weights[CLI_MAX_WORKERS];
  tess_plan plan;
  tess_plan_params params;
  tess_reason reason;
  bool local_only = false;
  tess_reason_clear(&reason);
  tess_code code = make_plan(p, &plan, &params, weights, &local_only, &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s", reason.text);
  tess_forecast forecast = {0};
  cli_plan_report report = {.plan = &plan,
                            .params = &params,
                            .forecast = &forecast,
                            .workers = p->workers,
                            .all_tiles = p->all_tiles};
  if (local_only) {
    cli_note(false, "note: all would be computed here: %s", reason.text);
  } else {
    leave_out(p, &plan);
    tess_forecast_params forecast_params = {.plan = &plan,
                                            .plan_params = &params,
                                            .workers = p->lines,
                                            .in_flight = CLI_TILES_IN_FLIGHT,
                                            .keeps_panels = true};
    tess_forecast_make(&forecast, p->shares, &forecast_params);
    report.keeps_panels = all_is_kept(p);
    if (!report.keeps_panels) {
      forecast_params.keeps_panels = false;
      tess_forecast_make(&forecast, p->shares, &forecast_params);
    }
    report.shares = p->shares;
    report.bound_bytes = tess_plan_bytes_out_bound(&params);
    if (p->dtype == TESS_DTYPE_FLOAT64)
      cli_note(false, "note: workers tell their speed in float32; half of it is taken here");
  }
  if (p->json)
    code = cli_plan_print_json(&report, stdout, status);
  else
    cli_plan_print(&report, stdout);
  tess_plan_cleanup(&plan);
  return code;
}

int cli_plan(int argc, char **argv) {
  static planning p; /* too much for a stack */
  int exit_code = parse(&p, argc, argv);
  if (exit_code < 0) {
    cli_interrupt_install();
    tess_status status = TESS_STATUS_INIT;
    tess_code code = ask(&p, &status);
    if (code == TESS_OK) find_links(&p);
    if (code == TESS_OK && cli_interrupted())
      code = tess_status_set(&status, TESS_CANCELED, "interrupted");
    if (code == TESS_OK) code = tell_plan(&p, &status);
    exit_code = code == TESS_OK ? CLI_DONE : cli_failed("%s", cli_status_text(&status));
    tess_status_cleanup(&status);
  }
  program_worker_set_free(p.set);
  return exit_code;
}
