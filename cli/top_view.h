/* SPDX-License-Identifier: Apache-2.0
 *
 * What `tessera top` shows: looks at a peer, and how they are drawn as lines of text
 * of a given width and height. Pure: no terminal, no clock, no network.
 *
 *   cli_top_draw(&frame, &now, &before, &screen);   // before: an older look, for rates
 *   for (uint32_t i = 0; i < frame.count; i++) put(frame.lines[i].text, frame.lines[i].style);
 *
 * Every line has at most screen->width columns, as printable.h counts them, and
 * nothing in it that must not be printed. Threads: none.
 */
#ifndef TESSERA_CLI_TOP_VIEW_H
#define TESSERA_CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#define CLI_TOP_MAX_WORKERS 1024u
#define CLI_TOP_MAX_PRODUCTS 64u
#define CLI_TOP_MAX_NOTES 4u
#define CLI_TOP_MAX_WIDTH 240u
#define CLI_TOP_MAX_LINES 1200u

typedef struct cli_top_worker {
  char name[128];
  bool available;
  bool quarantined;
  uint32_t tiles;
  uint32_t in_flight;
  uint32_t failures; /* attempts; each was tried anew */
  uint32_t backups;
  uint32_t rejected;
  double gflops; /* while it computes; 0: unknown */
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t cache_bytes; /* of operands that it held already */
  double compute_ms;
  double wait_ms;
} cli_top_worker;

typedef struct cli_top_product {
  char name[64];
  uint32_t m, n, k;
  uint32_t tiles_done, tiles;
  double elapsed_ms;
} cli_top_product;

/* Sums since the peer started; < 0: not told. */
typedef struct cli_top_totals {
  double products_ok, products_failed, products_cancelled, products_refused;
  double local_tiles, worker_tiles, retries, backups, checked, rejected;
  double held_bytes;
  /* a worker's own */
  double computing, waiting, abandoned, queue_refused;
  double flops, compute_s, bytes_in, bytes_out;
  double block_bytes, block_capacity, block_hit_bytes;
} cli_top_totals;

typedef struct cli_top_look {
  double at_ms;
  bool is_controller;
  char what[96];   /* "tessera-server 0.1.0 (jsc)" */
  char mode[16];   /* of a controller */
  double gflops;   /* of a worker, measured at start; 0: not told */
  uint64_t memory; /* limit; 0: not told */
  char notes[CLI_TOP_MAX_NOTES][160];
  uint32_t note_count;
  uint32_t product_count, worker_count;
  cli_top_totals totals;
  cli_top_product products[CLI_TOP_MAX_PRODUCTS];
  cli_top_worker workers[CLI_TOP_MAX_WORKERS];
} cli_top_look;

typedef struct cli_top_screen {
  uint32_t width;
  uint32_t height;     /* 0: as many lines as there are, and no last line for keys */
  bool utf8;           /* else ASCII alone, and bars of # and . */
  const char *url;     /* that was asked */
  const char *problem; /* why it does not answer now; NULL: it does */
  double interval_ms;
} cli_top_screen;

typedef enum cli_top_line_style {
  CLI_TOP_PLAIN = 0,
  CLI_TOP_TITLE = 1,
  CLI_TOP_HEAD = 2,
  CLI_TOP_ALARM = 3
} cli_top_line_style;

typedef struct cli_top_line {
  char text[CLI_TOP_MAX_WIDTH * 4 + 8]; /* of one column: at most 4 bytes; marks beside */
  uint32_t columns;
  cli_top_line_style style;
} cli_top_line;

typedef struct cli_top_frame {
  uint32_t count;
  cli_top_line lines[CLI_TOP_MAX_LINES];
} cli_top_frame;

/* "available", "backing off", "quarantined". Static. */
const char *cli_top_state(const cli_top_worker *worker);

/* now NULL: nothing was seen yet. before NULL: no rates yet. */
void cli_top_draw(cli_top_frame *frame, const cli_top_look *now, const cli_top_look *before,
                  const cli_top_screen *screen);

#endif
