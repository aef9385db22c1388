/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera top URL: what a server or a worker does, drawn again and again. It looks
 * (Describe and /metrics), draws, and waits; a peer that goes away is waited for.
 */
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/http_get.h"
#include "cli/interrupt.h"
#include "cli/printable.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "cli/top_json.h"
#include "cli/top_look.h"
#include "cli/wire.h"
#include "program/clock.h"

#define MAX_REPLY_BYTES ((size_t)8 << 20)
#define MAX_METRICS_BYTES ((size_t)8 << 20)
#define LOOK_TIMEOUT_MS 3000
/* Rates are those between the last look and an older one: at most so many looks and
 * about so long ago. A large tile counts when it ends, so one look says little. */
#define LOOKS 6u
#define WINDOW_MS 5500.0
/* Where it is no terminal. */
#define PLAIN_WIDTH 132u

static const char help_text[] =
    "Usage: tessera top URL [OPTION]...\n"
    "Shows what a tessera-server or a tessera-worker does, and goes on showing it: products\n"
    "under way, and each worker's state, tiles, speed, bytes and failures. q quits. Where\n"
    "standard output is no terminal, it prints text after each look.\n"
    "\n"
    "  --interval MS        time between two looks, from 100 (1000)\n"
    "  --once               one look, as text; ends with 1 where there is no answer\n"
    "  --count N            N looks, then end\n"
    "  --json               a line of JSON for each look, with the figures of the screen; null is\n"
    "                       what is not known, as rates are at the first look\n";

enum { OPTION_INTERVAL = 256, OPTION_ONCE, OPTION_COUNT, OPTION_JSON };

static const struct option long_options[] = {
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"json", no_argument, NULL, OPTION_JSON},
    PROGRAM_TLS_CLIENT_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct top {
  const char *url;
  uint64_t interval_ms;
  uint64_t count; /* of looks; 0: no end */
  bool once;
  bool json;
  program_tls tls;
  bool on_terminal;
  bool utf8;
  cli_remote remote;
  cli_top_look looks[LOOKS]; /* a ring */
  uint32_t look_count;       /* ever */
  char problem[256];         /* why the last look failed; "" */
  cli_top_frame frame;
  char bytes[CLI_TOP_MAX_LINES * sizeof(cli_top_line)];
} top;

/* ---- the command line ---- */

static int parse(top *t, int argc, char **argv) {
  static const program_number_option interval = {"interval", PROGRAM_MS, 100, 3600000};
  static const program_number_option count = {"count", PROGRAM_COUNT, 1, 1000000000};
  int code = -1;
  t->interval_ms = 1000;
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (option) {
      case 'h':
        printf("%s%s  -h, --help\n", help_text, PROGRAM_TLS_CLIENT_HELP);
        return CLI_DONE;
      case OPTION_ONCE:
        t->once = true;
        break;
      case OPTION_JSON:
        t->json = true;
        break;
      case OPTION_COUNT:
        code = cli_take_number(&count, optarg, &t->count);
        if (code >= 0) return code;
        break;
      case OPTION_INTERVAL:
        code = cli_take_number(&interval, optarg, &t->interval_ms);
        if (code >= 0) return code;
        break;
      case ':':
        return cli_wrong_usage("%s needs a value; see tessera top --help", argv[optind - 1]);
      default:
        if (!program_tls_take(&t->tls, option, optarg))
          return cli_wrong_usage("unknown option '%s'; see tessera top --help", argv[optind - 1]);
    }
  }
  if (argc - optind != 1) return cli_wrong_usage("top takes one URL: tessera top URL");
  t->url = argv[optind];
  const int wrong_url = cli_check_url("", t->url);
  if (wrong_url >= 0) return wrong_url;
  if (t->once && t->count != 0) return cli_wrong_usage("--once is one look: not with --count");
  if (t->once) t->count = 1;
  const char *wrong = program_tls_check(&t->tls);
  return wrong != NULL ? cli_wrong_usage("%s", wrong) : -1;
}

/* ---- looking ---- */

/* NULL: it has none. Borrowed from *get. */
static const char *get_metrics(top *t, cli_http_get *get) {
  tess_status status = TESS_STATUS_INIT;
  bool good = cli_http_get_run(get, &t->remote, &status) == TESS_OK && get->http_status == 200 &&
              get->size > 0 && get->body[get->size - 1] == '\n';
  tess_status_cleanup(&status);
  if (!good) return NULL;
  get->body[get->size - 1] = '\0'; /* in the place of the last newline */
  return (const char *)get->body;
}

static void look(top *t) {
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  tess_status status = TESS_STATUS_INIT;
  Tessera__Matmul__V1__DescribeRequest request = TESSERA__MATMUL__V1__DESCRIBE_REQUEST__INIT;
  Tessera__Matmul__V1__DescribeResponse reply;
  const tess_call_options options = {.timeout_ms = LOOK_TIMEOUT_MS, .arena = &arena};
  tess_code code =
      cli_remote_call(&t->remote, cli_method_describe(), &options, &request, &reply, &status);
  if (code == TESS_OK) {
    cli_http_get get = {
        .path = "/metrics", .timeout_ms = LOOK_TIMEOUT_MS, .max_bytes = MAX_METRICS_BYTES};
    cli_top_look_fill(&t->looks[t->look_count % LOOKS], program_now_ms(), &reply,
                      get_metrics(t, &get));
    t->look_count++;
    cli_http_get_cleanup(&get);
    t->problem[0] = '\0';
  } else {
    /* The URL stands in the first line already. */
    const char *text = cli_status_text(&status);
    const size_t url = strlen(t->url);
    if (!t->once && strncmp(text, t->url, url) == 0 && strncmp(text + url, ": ", 2) == 0)
      text += url + 2;
    cli_printable_copy(t->problem, sizeof t->problem, text); /* the peer may have said it */
  }
  tess_status_cleanup(&status);
  tess_arena_cleanup(&arena);
}

static const cli_top_look *look_back(const top *t, uint32_t looks) {
  if (looks >= t->look_count || looks >= LOOKS) return NULL;
  return &t->looks[(t->look_count - 1 - looks) % LOOKS];
}

/* The oldest that is young enough, but the one before the last in any case. */
static const cli_top_look *reference(const top *t) {
  const cli_top_look *now = look_back(t, 0), *oldest = look_back(t, 1);
  for (uint32_t i = 2; i < LOOKS; i++) {
    const cli_top_look *older = look_back(t, i);
    if (older == NULL || now->at_ms - older->at_ms > WINDOW_MS) break;
    oldest = older;
  }
  /* Counters that fell belong to a peer that was started anew. */
  if (oldest != NULL && oldest->totals.products_ok > now->totals.products_ok) return NULL;
  return oldest;
}

/* ---- drawing ---- */

typedef struct text {
  char *bytes;
  size_t size, room;
} text;

static void add(text *to, const char *part) {
  size_t size = strlen(part);
  if (size > to->room - to->size) return;
  memcpy(to->bytes + to->size, part, size);
  to->size += size;
}

static void make_frame(top *t, uint32_t width, uint32_t height) {
  const cli_top_screen screen = {.width = width,
                                 .height = height,
                                 .utf8 = t->utf8,
                                 .url = t->url,
                                 .problem = t->problem[0] != '\0' ? t->problem : NULL,
                                 .interval_ms = (double)t->interval_ms};
  const cli_top_look *now = look_back(t, 0);
  cli_top_draw(&t->frame, now, now != NULL ? reference(t) : NULL, &screen);
}

static bool draw_on_terminal(top *t) {
  static const char *const styles[] = {[CLI_TOP_PLAIN] = "",
                                       [CLI_TOP_TITLE] = "\033[1m",
                                       [CLI_TOP_HEAD] = "\033[7m",
                                       [CLI_TOP_ALARM] = "\033[1;31m"};
  uint32_t width = 0, height = 0;
  cli_terminal_size(&width, &height);
  make_frame(t, width, height);
  text to = {.bytes = t->bytes, .room = sizeof t->bytes};
  add(&to, "\033[H"); /* from the top, over what is there: nothing is blank in between */
  for (uint32_t i = 0; i < t->frame.count; i++) {
    const cli_top_line *line = &t->frame.lines[i];
    add(&to, styles[line->style]);
    add(&to, line->text);
    add(&to, "\033[0m");
    /* At the right edge there is nothing left to clear but the last column itself. */
    if (line->columns < width) add(&to, "\033[K");
    if (i + 1 < t->frame.count) add(&to, "\r\n");
  }
  add(&to, "\033[J");
  return cli_terminal_write(to.bytes, to.size);
}

static bool print_text(top *t) {
  make_frame(t, PLAIN_WIDTH, 0);
  for (uint32_t i = 0; i < t->frame.count; i++) {
    int size = (int)strlen(t->frame.lines[i].text);
    while (size > 0 && t->frame.lines[i].text[size - 1] == ' ')
      size--;
    printf("%.*s\n", size, t->frame.lines[i].text);
  }
  if (!t->once) printf("\n");
  return fflush(stdout) == 0;
}

static bool print_json(const top *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const bool answers = t->problem[0] == '\0';
  const cli_top_json line = {.url = t->url,
                             .problem = answers ? NULL : t->problem,
                             .time_ms = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6,
                             .now = answers ? look_back(t, 0) : NULL,
                             .before = answers ? reference(t) : NULL};
  return cli_top_json_print(&line, stdout);
}

/* False: nobody reads any more. */
static bool tell(top *t) {
  if (t->json) return print_json(t);
  return t->on_terminal ? draw_on_terminal(t) : print_text(t);
}

/* ---- the loop ---- */

/* Until it is time for the next look; draws anew where the size changed. False: quit. */
static bool wait_until(top *t, double at_ms) {
  for (;;) {
    double left = at_ms - program_now_ms();
    if (cli_interrupted()) return false;
    if (left <= 0.0) return true;
    int key = cli_terminal_wait((int)left + 1);
    if (key == 'q' || key == 'Q') return false;
    if (key == -1 && t->on_terminal && !draw_on_terminal(t)) return false;
  }
}

static int run(top *t) {
  if (!t->once && !t->json) t->on_terminal = cli_terminal_open();
  double next_ms = program_now_ms();
  uint64_t looks = 0;
  do {
    look(t);
    if (cli_interrupted()) break;
    if (t->once && t->problem[0] != '\0') return cli_failed("%s", t->problem);
    if (!tell(t) || ++looks == t->count) break;
    /* A look that took longer than the time between two delays the next. */
    next_ms += (double)t->interval_ms;
    if (next_ms < program_now_ms()) next_ms = program_now_ms() + (double)t->interval_ms;
  } while (wait_until(t, next_ms));
  cli_terminal_restore();
  if (cli_interrupted()) cli_interrupt_die();
  return CLI_DONE;
}

int cli_top(int argc, char **argv) {
  static top t; /* megabytes of looks and lines */
  int exit_code = parse(&t, argc, argv);
  if (exit_code >= 0) return exit_code;
  setlocale(LC_CTYPE, "");
  t.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  cli_interrupt_install();
  tess_status status = TESS_STATUS_INIT;
  if (cli_remote_open(&t.remote, t.url, &t.tls, MAX_REPLY_BYTES, &status) == TESS_OK)
    exit_code = run(&t);
  else
    exit_code = cli_failed("%s", cli_status_text(&status));
  cli_remote_close(&t.remote);
  tess_status_cleanup(&status);
  return exit_code;
}
