/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/top_rates.h"

#define CELL_BYTES 32
#define COLUMN_BYTES 4u /* of UTF-8, at most */

typedef struct canvas {
  cli_top_frame *frame;
  const cli_top_screen *screen;
  uint32_t width;
  uint32_t most; /* lines */
} canvas;

const char *cli_top_state(const cli_top_worker *worker) {
  return worker->quarantined ? "quarantined" : worker->available ? "available" : "backing off";
}

/* ---- lines ---- */

/* A new line; where there is no room, one that nobody sees. */
static cli_top_line *new_line(canvas *c, cli_top_line_style style) {
  static cli_top_line outside;
  cli_top_line *line = c->frame->count < c->most ? &c->frame->lines[c->frame->count++] : &outside;
  line->text[0] = '\0';
  line->columns = 0;
  line->style = style;
  return line;
}

static uint32_t lines_left(const canvas *c) {
  return c->most - c->frame->count;
}

/* The character at text: its bytes, and its columns on this screen. Not as it is: a '?',
 * for what must not be printed and, on a screen without UTF-8, for all but ASCII. */
static size_t next_shown(const canvas *c, const char *text, bool *as_it_is, uint32_t *columns) {
  bool printable;
  const size_t bytes = cli_printable_next(text, &printable, columns);
  *as_it_is = printable && (bytes == 1 || c->screen->utf8);
  if (!*as_it_is) *columns = 1;
  return bytes;
}

static uint32_t columns_of(const canvas *c, const char *text) {
  uint32_t sum = 0;
  while (*text != '\0') {
    bool as_it_is;
    uint32_t columns;
    text += next_shown(c, text, &as_it_is, &columns);
    sum += columns;
  }
  return sum;
}

/* As much as fits into so many columns, and into the line. Marks that take no column are
 * left out where the columns to come could need their bytes. */
static void put_text(const canvas *c, cli_top_line *line, const char *text, uint32_t most) {
  const uint32_t left = c->width - line->columns;
  const uint32_t end = line->columns + (most < left ? most : left);
  size_t used = strlen(line->text);
  while (*text != '\0') {
    bool as_it_is;
    uint32_t columns;
    const size_t bytes = next_shown(c, text, &as_it_is, &columns);
    if (line->columns + columns > end) break;
    const size_t size = as_it_is ? bytes : 1;
    const size_t to_come = COLUMN_BYTES * (c->width - line->columns);
    if (columns > 0 || used + size + to_come < sizeof line->text) {
      memcpy(line->text + used, as_it_is ? text : "?", size);
      used += size;
    }
    line->columns += columns;
    text += bytes;
  }
  line->text[used] = '\0';
}

/* Cut at the width. */
static void put(const canvas *c, cli_top_line *line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put(const canvas *c, cli_top_line *line, const char *format, ...) {
  char text[sizeof line->text]; /* what is cut is beyond the width, or a heap of marks */
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  put_text(c, line, text, c->width);
}

/* In a field of so many columns; what is longer ends in '~'. */
static void put_left(const canvas *c, cli_top_line *line, const char *text, uint32_t columns) {
  const uint32_t end = line->columns + columns;
  const bool fits = columns_of(c, text) <= columns;
  put_text(c, line, text, fits ? columns : columns - 1);
  if (!fits) put(c, line, "~");
  if (line->columns < end) put(c, line, "%*s", (int)(end - line->columns), "");
}

/* ASCII. */
static void put_right(const canvas *c, cli_top_line *line, const char *text, uint32_t columns) {
  if (strlen(text) <= columns)
    put(c, line, "%*s", (int)columns, text);
  else
    put_left(c, line, text, columns);
}

static void put_bar(const canvas *c, cli_top_line *line, double share, uint32_t cells) {
  const uint32_t full = (uint32_t)(share * cells + 0.5);
  size_t used = strlen(line->text);
  for (uint32_t i = 0; i < cells && line->columns < c->width; i++) {
    const char *cell = c->screen->utf8 ? (i < full ? "█" : "░") : (i < full ? "#" : ".");
    size_t size = strlen(cell);
    memcpy(line->text + used, cell, size + 1);
    used += size;
    line->columns++;
  }
}

/* ---- numbers ---- */

static void number_text(char *text, double number) {
  if (number < 0.0)
    snprintf(text, CELL_BYTES, "?");
  else
    snprintf(text, CELL_BYTES, number < 1e9 ? "%.0f" : "%.2e", number);
}

static void rate_text(char *text, double rate) {
  if (rate < 0.0)
    snprintf(text, CELL_BYTES, "-");
  else
    snprintf(text, CELL_BYTES, rate >= 0.05 && rate < 9.95 ? "%.1f" : "%.0f", rate);
}

static void time_text(char *text, double ms) {
  if (ms < 1000.0)
    snprintf(text, CELL_BYTES, "%.0f ms", ms);
  else if (ms < 99950.0)
    snprintf(text, CELL_BYTES, "%.1f s", ms / 1e3);
  else if (ms < 6000e3)
    snprintf(text, CELL_BYTES, "%.0f min", ms / 60e3);
  else
    snprintf(text, CELL_BYTES, "%.0f h", ms / 3600e3);
}

/* ---- a table of workers ---- */

typedef struct seen {
  const cli_top_worker *now;
  cli_top_rates rates;
} seen;

static void cell_state(char *text, const seen *w) {
  snprintf(text, CELL_BYTES, "%s", cli_top_state(w->now));
}

static void cell_tiles(char *text, const seen *w) {
  number_text(text, w->now->tiles);
}

static void cell_fly(char *text, const seen *w) {
  number_text(text, w->now->in_flight);
}

static void cell_gflops(char *text, const seen *w) {
  rate_text(text, w->rates.gflops);
}

static void cell_megabytes(char *text, const seen *w) {
  rate_text(text, w->rates.megabytes_a_second);
}

static void cell_sent(char *text, const seen *w) {
  cli_format_bytes(text, w->now->bytes_sent);
}

static void cell_received(char *text, const seen *w) {
  cli_format_bytes(text, w->now->bytes_received);
}

static void cell_cached(char *text, const seen *w) {
  cli_format_bytes(text, w->now->cache_bytes);
}

static void cell_wait(char *text, const seen *w) {
  time_text(text, w->now->wait_ms);
}

static void cell_failures(char *text, const seen *w) {
  number_text(text, w->now->failures);
}

static void cell_backups(char *text, const seen *w) {
  number_text(text, w->now->backups);
}

static void cell_rejected(char *text, const seen *w) {
  number_text(text, w->now->rejected);
}

/* In their order; those with the largest number go first where it is narrow. */
static const struct {
  const char *head;
  uint32_t columns;
  uint32_t dispensable;
  void (*cell)(char *text, const seen *w);
} table[] = {
    {"TILES", 6, 2, cell_tiles},     {"FLY", 3, 3, cell_fly},
    {"GFLOP/S", 7, 1, cell_gflops},  {"MB/S", 6, 4, cell_megabytes},
    {"SENT", 7, 9, cell_sent},       {"RECEIVED", 8, 10, cell_received},
    {"CACHED", 7, 11, cell_cached},  {"NET WAIT", 8, 8, cell_wait},
    {"FAILED", 6, 5, cell_failures}, {"BACKUP", 6, 6, cell_backups},
    {"WRONG", 5, 7, cell_rejected},
};
#define TABLE_COLUMNS (sizeof table / sizeof table[0])
#define STATE_COLUMNS 11u
#define NAME_LEAST 16u
#define NAME_MOST 48u

/* Columns of the table that fit (a bit each), and what is left for the name. */
static uint32_t choose_columns(uint32_t width, uint32_t *name) {
  uint32_t chosen = (1u << TABLE_COLUMNS) - 1, used = 1 + STATE_COLUMNS;
  for (size_t i = 0; i < TABLE_COLUMNS; i++)
    used += 1 + table[i].columns;
  for (uint32_t rank = 11; rank > 0 && used + NAME_LEAST > width; rank--) {
    for (size_t i = 0; i < TABLE_COLUMNS; i++) {
      if (table[i].dispensable != rank) continue;
      chosen &= ~(1u << i);
      used -= 1 + table[i].columns;
    }
  }
  *name = used + 4 < width ? width - used : 4;
  if (*name > NAME_MOST) *name = NAME_MOST;
  return chosen;
}

static void draw_workers(canvas *c, const cli_top_look *now, const cli_top_look *before) {
  uint32_t name = 0, chosen = choose_columns(c->width, &name);
  uint32_t room = lines_left(c);
  if (room < 3) return;
  new_line(c, CLI_TOP_PLAIN);
  cli_top_line *line = new_line(c, CLI_TOP_HEAD);
  put_left(c, line, "WORKER", name);
  put(c, line, " %-*s", (int)STATE_COLUMNS, "STATE");
  for (size_t i = 0; i < TABLE_COLUMNS; i++)
    if ((chosen >> i & 1) != 0) put(c, line, " %*s", (int)table[i].columns, table[i].head);
  put(c, line, "%*s", (int)(c->width - line->columns), ""); /* the head goes across */
  room -= 2;
  uint32_t shown = now->worker_count <= room ? now->worker_count : room - 1;
  for (uint32_t i = 0; i < shown; i++) {
    char text[CELL_BYTES];
    const seen w = {&now->workers[i], cli_top_rates_of(now, before, i)};
    line = new_line(c, w.now->quarantined ? CLI_TOP_ALARM : CLI_TOP_PLAIN);
    put_left(c, line, w.now->name, name);
    cell_state(text, &w);
    put(c, line, " %-*s", (int)STATE_COLUMNS, text);
    for (size_t j = 0; j < TABLE_COLUMNS; j++) {
      if ((chosen >> j & 1) == 0) continue;
      table[j].cell(text, &w);
      put(c, line, " ");
      put_right(c, line, text, table[j].columns);
    }
  }
  if (shown < now->worker_count)
    put(c, new_line(c, CLI_TOP_PLAIN), "... %u more", now->worker_count - shown);
}

/* ---- products ---- */

#define PRODUCT_NAME 14u
#define PRODUCT_DONE 11u
#define PRODUCT_TIME 8u

static void draw_product(canvas *c, const cli_top_product *product, uint32_t shape_columns,
                         uint32_t bar) {
  char text[64];
  cli_top_line *line = new_line(c, CLI_TOP_PLAIN);
  const double share =
      product->tiles > 0 ? (double)product->tiles_done / (double)product->tiles : 0.0;
  put_left(c, line, product->name, PRODUCT_NAME);
  put(c, line, " ");
  snprintf(text, sizeof text, "%ux%ux%u", product->m, product->n, product->k);
  put_left(c, line, text, shape_columns);
  put(c, line, " ");
  put_bar(c, line, share, bar);
  snprintf(text, sizeof text, "%u/%u", product->tiles_done, product->tiles);
  put(c, line, " ");
  put_right(c, line, text, PRODUCT_DONE);
  put(c, line, " %3.0f %%", share * 100.0);
  time_text(text, product->elapsed_ms);
  put(c, line, " ");
  put_right(c, line, text, PRODUCT_TIME);
}

static void draw_products(canvas *c, const cli_top_look *now) {
  new_line(c, CLI_TOP_PLAIN);
  if (now->product_count == 0) {
    put(c, new_line(c, CLI_TOP_PLAIN), "no product under way");
    return;
  }
  const uint32_t shape = c->width >= 100 ? 22 : 16;
  const uint32_t fixed = PRODUCT_NAME + 1 + shape + 1 + 1 + PRODUCT_DONE + 6 + 1 + PRODUCT_TIME;
  const uint32_t bar = c->width > fixed + 4 ? c->width - fixed : 4;
  cli_top_line *line = new_line(c, CLI_TOP_HEAD);
  put_left(c, line, "PRODUCT", PRODUCT_NAME);
  put(c, line, " ");
  put_left(c, line, "M x N x K", shape);
  put(c, line, " %-*s %*s  DONE %*s", (int)bar, "", (int)PRODUCT_DONE, "TILES", (int)PRODUCT_TIME,
      "TIME");
  /* Some of the room belongs to the workers. */
  uint32_t room = c->screen->height == 0 ? UINT32_MAX : lines_left(c) / 2;
  if (room == 0) room = 1;
  uint32_t shown = now->product_count <= room ? now->product_count : room - 1;
  for (uint32_t i = 0; i < shown; i++)
    draw_product(c, &now->products[i], shape, bar);
  if (shown < now->product_count)
    put(c, new_line(c, CLI_TOP_PLAIN), "... %u more", now->product_count - shown);
}

/* ---- sums ---- */

static const char *counted(char *text, double number) {
  number_text(text, number);
  return text;
}

static const char *rated(char *text, double rate) {
  rate_text(text, rate);
  return text;
}

static const char *sized(char *text, double bytes) {
  if (bytes < 0.0)
    snprintf(text, CELL_BYTES, "?");
  else
    cli_format_bytes(text, (uint64_t)bytes);
  return text;
}

static void draw_controller(canvas *c, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  char a[CELL_BYTES], b[CELL_BYTES], d[CELL_BYTES], e[CELL_BYTES], f[CELL_BYTES];
  put(c, new_line(c, CLI_TOP_PLAIN),
      "products  %u under way, %s done, %s failed, %s cancelled, %s refused", now->product_count,
      counted(a, t->products_ok), counted(b, t->products_failed), counted(d, t->products_cancelled),
      counted(e, t->products_refused));
  cli_top_line *line = new_line(c, CLI_TOP_PLAIN);
  put(c, line, "tiles     %s on workers, %s here; retries %s, backups %s, checked %s",
      counted(a, t->worker_tiles), counted(b, t->local_tiles), counted(d, t->retries),
      counted(e, t->backups), counted(f, t->checked));
  put(c, line, ", wrong %s", counted(a, t->rejected));
  const cli_top_rates rates = cli_top_rates_sum(now, before);
  line = new_line(c, CLI_TOP_PLAIN);
  put(c, line, "workers   %s GFLOP/s, %s MB/s; memory %s", rated(a, rates.gflops),
      rated(b, rates.megabytes_a_second), sized(d, t->held_bytes));
  if (now->memory > 0) put(c, line, " of %s", sized(a, (double)now->memory));
}

static void draw_worker(canvas *c, const cli_top_look *now, const cli_top_look *before) {
  const cli_top_totals *t = &now->totals;
  const cli_top_own_rates rates = cli_top_rates_own(now, before);
  char a[CELL_BYTES], b[CELL_BYTES], d[CELL_BYTES], e[CELL_BYTES], f[CELL_BYTES];
  put(c, new_line(c, CLI_TOP_PLAIN),
      "products  %s computing, %s waiting, %s done, %s abandoned, %s refused",
      counted(a, t->computing), counted(b, t->waiting), counted(d, t->products_ok),
      counted(e, t->abandoned), counted(f, t->queue_refused));
  cli_top_line *line = new_line(c, CLI_TOP_PLAIN);
  put(c, line, "speed     %s GFLOP/s", rated(a, rates.gflops));
  if (now->gflops > 0.0) put(c, line, " (%s measured at start)", rated(a, now->gflops));
  if (rates.busy >= 0.0) put(c, line, "; computing %.0f %% of the time", rates.busy * 100.0);
  put(c, new_line(c, CLI_TOP_PLAIN), "network   %s in, %s out; %s MB/s in, %s MB/s out",
      sized(a, t->bytes_in), sized(b, t->bytes_out), rated(d, rates.megabytes_in_a_second),
      rated(e, rates.megabytes_out_a_second));
  put(c, new_line(c, CLI_TOP_PLAIN), "blocks    %s of %s kept; %s found, not sent again",
      sized(a, t->block_bytes), sized(b, t->block_capacity), sized(d, t->block_hit_bytes));
}

/* ---- the whole ---- */

static void draw_last(canvas *c) {
  const cli_top_screen *s = c->screen;
  c->most++;
  while (c->frame->count + 1 < c->most)
    new_line(c, CLI_TOP_PLAIN);
  cli_top_line *line = new_line(c, CLI_TOP_HEAD);
  put(c, line, "q quits; a look every %g s; rates over the last seconds", s->interval_ms / 1e3);
  put(c, line, "%*s", (int)(c->width - line->columns), "");
}

void cli_top_draw(cli_top_frame *frame, const cli_top_look *now, const cli_top_look *before,
                  const cli_top_screen *screen) {
  canvas c = {.frame = frame, .screen = screen, .width = screen->width, .most = screen->height};
  frame->count = 0;
  if (c.width == 0) c.width = 1;
  if (c.width > CLI_TOP_MAX_WIDTH) c.width = CLI_TOP_MAX_WIDTH;
  /* The last line is that of the keys. */
  c.most = screen->height == 0 || screen->height > CLI_TOP_MAX_LINES ? CLI_TOP_MAX_LINES
                                                                     : screen->height;
  if (screen->height > 1) c.most--;
  cli_top_line *line = new_line(&c, CLI_TOP_TITLE);
  if (now == NULL) {
    put(&c, line, "%s", screen->url);
  } else {
    put(&c, line, "%s  %s%s%s", now->what, now->mode, now->mode[0] != '\0' ? "  " : "",
        screen->url);
  }
  if (screen->problem != NULL)
    put(&c, new_line(&c, CLI_TOP_ALARM), "it does not answer and is tried again: %s",
        screen->problem);
  if (now != NULL && now->is_controller) {
    draw_controller(&c, now, before);
    draw_products(&c, now);
    if (now->worker_count > 0) draw_workers(&c, now, before);
  } else if (now != NULL) {
    draw_worker(&c, now, before);
  }
  for (uint32_t i = 0; now != NULL && i < now->note_count; i++)
    put(&c, new_line(&c, CLI_TOP_ALARM), "note: %s", now->notes[i]);
  if (screen->height > 1) draw_last(&c);
}
