/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"
#include "program/clock.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100.0
/* Work that is over sooner than this shows no bar. */
#define FIRST_DRAW_MS 300.0
#define BAR_CELLS 24
#define LINE_BYTES 512

static struct {
  bool enabled;
  bool visible;
  bool utf8;
  double started_ms;
  double drawn_ms;
  const char *phase; /* of the last draw */
  /* When it began, and what was done before: a run that is resumed does not begin at 0. */
  double phase_ms;
  double phase_share;
  uint64_t phase_flops;
} bar;

void cli_format_bytes(char *text, uint64_t bytes) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = (double)bytes;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
    value /= 1000.0;
    unit++;
  }
  snprintf(text, 16, value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void format_seconds(char *text, size_t size, double seconds) {
  if (seconds < 60.0) {
    snprintf(text, size, "%.0f s", ceil(seconds));
  } else if (seconds < 3600.0) {
    snprintf(text, size, "%d min %02d s", (int)(seconds / 60), (int)seconds % 60);
  } else {
    snprintf(text, size, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
  }
}

void cli_progress_start(bool enabled) {
  memset(&bar, 0, sizeof bar);
  bar.enabled = enabled && isatty(STDERR_FILENO) == 1;
  setlocale(LC_CTYPE, "");
  bar.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  bar.started_ms = program_now_ms();
}

bool cli_progress_is_shown(void) {
  return bar.enabled;
}

void cli_progress_clear(void) {
  if (!bar.visible) return;
  fputs("\r\033[K", stderr);
  bar.visible = false;
  bar.drawn_ms = 0.0;
}

void cli_progress_end(void) {
  cli_progress_clear();
  bar.enabled = false;
}

/* ---- the line ---- */

typedef struct line {
  char text[LINE_BYTES];
  size_t size;
  size_t columns; /* on the screen */
  size_t most;    /* columns the terminal has */
} line;

/* A part that does not fit any more is left out. */
static void line_add(line *to, const char *part, size_t columns) {
  size_t size = strlen(part);
  if (to->columns + columns > to->most || to->size + size >= LINE_BYTES) return;
  memcpy(to->text + to->size, part, size + 1);
  to->size += size;
  to->columns += columns;
}

static void line_add_text(line *to, const char *part) {
  line_add(to, part, strlen(part));
}

static void add_bar(line *to, double share) {
  char cells[BAR_CELLS * 4 + 1];
  size_t full = (size_t)(share * BAR_CELLS + 0.5);
  size_t size = 0;
  for (size_t i = 0; i < BAR_CELLS; i++) {
    const char *cell = bar.utf8 ? (i < full ? "█" : "░") : (i < full ? "#" : ".");
    size_t cell_size = strlen(cell);
    memcpy(cells + size, cell, cell_size);
    size += cell_size;
  }
  cells[size] = '\0';
  line_add(to, cells, BAR_CELLS);
}

static size_t terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 79;
  return (size_t)size.ws_col - 1; /* the last column would wrap on some */
}

static void fill_line(line *to, const cli_progress_state *state, double now_ms) {
  char part[96];
  char done[16];
  char total[16];
  line_add_text(to, state->phase);
  if (state->share >= 0.0) {
    double share = state->share < 1.0 ? state->share : 1.0;
    line_add_text(to, " ");
    add_bar(to, share);
    snprintf(part, sizeof part, " %3.0f %%", floor(share * 100.0));
    line_add_text(to, part);
  }
  if (state->tiles > 0) {
    snprintf(part, sizeof part, "  %u/%u tiles", state->tiles_done, state->tiles);
    line_add_text(to, part);
  } else if (state->tiles_done > 0) {
    snprintf(part, sizeof part, "  %u %s", state->tiles_done,
             state->tiles_done == 1 ? "tile" : "tiles");
    line_add_text(to, part);
  }
  if (state->bytes > 0) {
    cli_format_bytes(done, state->bytes_done);
    cli_format_bytes(total, state->bytes);
    snprintf(part, sizeof part, "  %s of %s", done, total);
    line_add_text(to, part);
  }
  double elapsed_s = (now_ms - bar.phase_ms) / 1e3;
  const double share = state->share - bar.phase_share;
  if (state->flops_done > bar.phase_flops && elapsed_s > 0.0) {
    snprintf(part, sizeof part, "  %.1f GFLOP/s",
             (double)(state->flops_done - bar.phase_flops) / elapsed_s / 1e9);
    line_add_text(to, part);
  }
  if (share > 0.0 && state->share < 1.0 && elapsed_s > 0.5) {
    char left[32];
    format_seconds(left, sizeof left, elapsed_s * (1.0 - state->share) / share);
    snprintf(part, sizeof part, "  %s left", left);
    line_add_text(to, part);
  } else {
    char since[32];
    format_seconds(since, sizeof since, floor((now_ms - bar.started_ms) / 1e3));
    snprintf(part, sizeof part, "  %s", since);
    line_add_text(to, part);
  }
}

void cli_progress_show(const cli_progress_state *state) {
  if (!bar.enabled) return;
  double now_ms = program_now_ms();
  if (bar.phase == NULL || strcmp(bar.phase, state->phase) != 0) {
    bar.phase = state->phase;
    bar.phase_ms = now_ms;
    bar.phase_share = state->share > 0.0 ? state->share : 0.0;
    bar.phase_flops = state->flops_done;
  }
  if (now_ms - bar.started_ms < FIRST_DRAW_MS || now_ms - bar.drawn_ms < REDRAW_MS) return;
  line to = {.most = terminal_columns()};
  fill_line(&to, state, now_ms);
  fprintf(stderr, "\r%s\033[K", to.text);
  fflush(stderr);
  bar.drawn_ms = now_ms;
  bar.visible = true;
}
