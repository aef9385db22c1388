/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/top_view.c against whole frames, written out.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cli/top_view.h"
#include "tests/unit/cli/top_sample.h"
#include "tests/unit/run_case.h"

static cli_top_look now, before;
static cli_top_frame frame;
static char text[1 << 18];

static const char url[] = "http://127.0.0.1:8080";

static void set_up(void) {
  top_sample(&now, &before);
}

static const char *draw(const cli_top_look *old, uint32_t width, uint32_t height,
                        const char *problem) {
  const cli_top_screen screen = {
      .width = width, .height = height, .url = url, .problem = problem, .interval_ms = 1000};
  cli_top_draw(&frame, &now, old, &screen);
  size_t size = 0;
  for (uint32_t i = 0; i < frame.count; i++) {
    ck_assert_uint_le(frame.lines[i].columns, width);
    ck_assert_uint_eq(frame.lines[i].columns, strlen(frame.lines[i].text));
    size += (size_t)snprintf(text + size, sizeof text - size, "%s\n", frame.lines[i].text);
  }
  if (height > 0) ck_assert_uint_eq(frame.count, height);
  return text;
}

START_TEST(eighty_columns) {
  set_up();
  ck_assert_str_eq(
      draw(&before, 80, 14, NULL),
      "tessera-server 0.1.0 (jsc)  proxy  http://127.0.0.1:8080\n"
      "products  1 under way, 12 done, 1 failed, 2 cancelled, 3 refused\n"
      "tiles     50 on workers, 4 here; retries 5, backups 6, checked 40, wrong 7\n"
      "workers   40 GFLOP/s, 20 MB/s; memory 300 MB of 1.6 GB\n"
      "\n"
      "PRODUCT        M x N x K                                    TILES  DONE     TIME\n"
      "product-13     4096x2048x1024   ################.....         6/8  75 %    1.5 s\n"
      "\n"
      "WORKER                 STATE        TILES FLY GFLOP/S   MB/S FAILED BACKUP WRONG\n"
      "10.0.0.2:8081          available       40   2      40     20      3      1     0\n"
      "a-worker-with-a-long-~ quarantined     10   0       -      -      8      0     7\n"
      "\n"
      "\n"
      "q quits; a look every 1 s; rates over the last seconds                          \n");
}
END_TEST

START_TEST(a_hundred_and_twenty_columns) {
  set_up();
  ck_assert_str_eq(
      draw(&before, 120, 12, NULL),
      "tessera-server 0.1.0 (jsc)  proxy  http://127.0.0.1:8080\n"
      "products  1 under way, 12 done, 1 failed, 2 cancelled, 3 refused\n"
      "tiles     50 on workers, 4 here; retries 5, backups 6, checked 40, wrong 7\n"
      "workers   40 GFLOP/s, 20 MB/s; memory 300 MB of 1.6 GB\n"
      "\n"
      "PRODUCT        M x N x K                                                                    "
      "        TILES  DONE     TIME\n"
      "product-13     4096x2048x1024         "
      "#########################################..............         6/8  75 %    1.5 s\n"
      "\n"
      "WORKER                       STATE        TILES FLY GFLOP/S   MB/S    SENT RECEIVED  CACHED "
      "NET WAIT FAILED BACKUP WRONG\n"
      "10.0.0.2:8081                available       40   2      40     20  900 MB   200 MB   50 MB "
      "   2.5 s      3      1     0\n"
      "a-worker-with-a-long-name.e~ quarantined     10   0       -      -     0 B      0 B     0 B "
      "  730 ms      8      0     7\n"
      "q quits; a look every 1 s; rates over the last seconds                                      "
      "                            \n");
}
END_TEST

START_TEST(no_rates_at_the_first_look) {
  set_up();
  now.worker_count = 1;
  now.product_count = 0;
  ck_assert_str_eq(
      draw(NULL, 80, 11, NULL),
      "tessera-server 0.1.0 (jsc)  proxy  http://127.0.0.1:8080\n"
      "products  0 under way, 12 done, 1 failed, 2 cancelled, 3 refused\n"
      "tiles     50 on workers, 4 here; retries 5, backups 6, checked 40, wrong 7\n"
      "workers   - GFLOP/s, - MB/s; memory 300 MB of 1.6 GB\n"
      "\n"
      "no product under way\n"
      "\n"
      "WORKER                 STATE        TILES FLY GFLOP/S   MB/S FAILED BACKUP WRONG\n"
      "10.0.0.2:8081          available       40   2       -      -      3      1     0\n"
      "\n"
      "q quits; a look every 1 s; rates over the last seconds                          \n");
}
END_TEST

START_TEST(it_went_away) {
  set_up();
  now.product_count = 0;
  now.worker_count = 0;
  ck_assert_str_eq(
      draw(&before, 80, 8, "unavailable: connection refused"),
      "tessera-server 0.1.0 (jsc)  proxy  http://127.0.0.1:8080\n"
      "it does not answer and is tried again: unavailable: connection refused\n"
      "products  0 under way, 12 done, 1 failed, 2 cancelled, 3 refused\n"
      "tiles     50 on workers, 4 here; retries 5, backups 6, checked 40, wrong 7\n"
      "workers   - GFLOP/s, - MB/s; memory 300 MB of 1.6 GB\n"
      "\n"
      "no product under way\n"
      "q quits; a look every 1 s; rates over the last seconds                          \n");
  ck_assert_int_eq(frame.lines[1].style, CLI_TOP_ALARM);
}
END_TEST

START_TEST(a_worker_itself) {
  set_up();
  now = (cli_top_look){.at_ms = 6000,
                       .what = "tessera-worker 0.1.0 (native)",
                       .gflops = 86,
                       .notes = {"OPENBLAS_CORETYPE halves the speed"},
                       .note_count = 1};
  now.totals = (cli_top_totals){.products_ok = 33,
                                .computing = 1,
                                .waiting = 2,
                                .abandoned = 3,
                                .queue_refused = 4,
                                .flops = 500e9,
                                .compute_s = 7,
                                .bytes_in = 357e6,
                                .bytes_out = 156e6,
                                .block_bytes = 3.2e9,
                                .block_capacity = 6.3e9,
                                .block_hit_bytes = -1};
  before = now;
  before.at_ms = 1000;
  before.totals.flops = 100e9;
  before.totals.compute_s = 2;
  before.totals.bytes_in = 257e6;
  before.totals.bytes_out = 154e6;
  ck_assert_str_eq(
      draw(&before, 80, 8, NULL),
      "tessera-worker 0.1.0 (native)  http://127.0.0.1:8080\n"
      "products  1 computing, 2 waiting, 33 done, 3 abandoned, 4 refused\n"
      "speed     80 GFLOP/s (86 measured at start); computing 100 % of the time\n"
      "network   357 MB in, 156 MB out; 20 MB/s in, 0.4 MB/s out\n"
      "blocks    3.2 GB of 6.3 GB kept; ? found, not sent again\n"
      "note: OPENBLAS_CORETYPE halves the speed\n"
      "\n"
      "q quits; a look every 1 s; rates over the last seconds                          \n");
}
END_TEST

START_TEST(nothing_seen_yet) {
  const cli_top_screen screen = {.width = 60, .height = 3, .url = url, .problem = "no route"};
  cli_top_draw(&frame, NULL, NULL, &screen);
  ck_assert_uint_eq(frame.count, 3);
  ck_assert_str_eq(frame.lines[0].text, url);
  ck_assert_str_eq(frame.lines[1].text, "it does not answer and is tried again: no route");
}
END_TEST

START_TEST(more_than_there_is_room_for) {
  set_up();
  now.worker_count = 1000;
  now.product_count = 64;
  for (uint32_t i = 0; i < 1000; i++) {
    now.workers[i] = now.workers[0];
    snprintf(now.workers[i].name, sizeof now.workers[i].name, "w%u", i);
  }
  for (uint32_t i = 0; i < 64; i++)
    now.products[i] = now.products[0];
  draw(NULL, 80, 24, NULL);
  ck_assert_ptr_nonnull(strstr(text, "\n... 57 more\n"));
  ck_assert_ptr_nonnull(strstr(text, "\nw5 "));
  ck_assert_ptr_nonnull(strstr(text, "\n... 994 more\nq quits"));
  /* Without a height everything is shown. */
  draw(NULL, 80, 0, NULL);
  ck_assert_uint_eq(frame.count, 4 + 2 + 64 + 2 + 1000);
}
END_TEST

START_TEST(every_size_holds) {
  set_up();
  for (uint32_t width = 1; width <= 260; width++)
    for (uint32_t height = 1; height <= 30; height++)
      draw(&before, width < CLI_TOP_MAX_WIDTH ? width : CLI_TOP_MAX_WIDTH, height, "gone");
}
END_TEST

START_TEST(bars_of_blocks) {
  set_up();
  const cli_top_screen screen = {.width = 80, .height = 14, .utf8 = true, .url = url};
  cli_top_draw(&frame, &now, NULL, &screen);
  ck_assert_ptr_nonnull(strstr(frame.lines[6].text, " ████████████████░░░░░ "));
  ck_assert_uint_eq(frame.lines[6].columns, 80);
}
END_TEST

/* Everything else in the line stays where it is. */
START_TEST(names_in_other_letters) {
  set_up();
  strcpy(now.workers[0].name, "bücher.example:8081");
  strcpy(now.workers[1].name, "矩阵矩阵-abcdefghijklmnop");
  strcpy(now.products[0].name, "été\xe2\x80\xae");
  cli_top_screen screen = {.width = 80, .height = 14, .utf8 = true, .url = url};
  cli_top_draw(&frame, &now, NULL, &screen);
  ck_assert_str_eq(
      frame.lines[9].text,
      "bücher.example:8081    available       40   2       -      -      3      1     0");
  ck_assert_str_eq(frame.lines[10].text,
                   "矩阵矩阵-abcdefghijkl~ quarantined "
                   "    10   0       -      -      8      0     7");
  ck_assert_ptr_eq(strstr(frame.lines[6].text, "été?           4096x2048x1024 "),
                   frame.lines[6].text);
  for (uint32_t i = 6; i <= 10; i++)
    if (i != 7) ck_assert_uint_eq(frame.lines[i].columns, 80);
  /* Without UTF-8. */
  screen.utf8 = false;
  cli_top_draw(&frame, &now, NULL, &screen);
  ck_assert_str_eq(
      frame.lines[9].text,
      "b?cher.example:8081    available       40   2       -      -      3      1     0");
  ck_assert_str_eq(
      frame.lines[10].text,
      "?\?\?\?-abcdefghijklmnop  quarantined     10   0       -      -      8      0     7");
}
END_TEST

/* A mark takes no column, and narrow letters beyond Hangul take one. */
START_TEST(names_with_marks) {
  set_up();
  strcpy(now.workers[0].name, "e\xcc\x81te\xcc\x81.example:8081");
  strcpy(now.workers[1].name, "\xef\xbd\xb1\xe7\x9f\xa9\xcc\x81-abcdefghijklmnopqrs");
  cli_top_screen screen = {.width = 80, .height = 14, .utf8 = true, .url = url};
  cli_top_draw(&frame, &now, NULL, &screen);
  ck_assert_str_eq(frame.lines[9].text,
                   "e\xcc\x81te\xcc\x81.example:8081       available "
                   "      40   2       -      -      3      1     0");
  ck_assert_str_eq(frame.lines[10].text,
                   "\xef\xbd\xb1\xe7\x9f\xa9\xcc\x81-abcdefghijklmnopq~ quarantined "
                   "    10   0       -      -      8      0     7");
  for (uint32_t i = 9; i <= 10; i++)
    ck_assert_uint_eq(frame.lines[i].columns, 80);
  screen.utf8 = false;
  cli_top_draw(&frame, &now, NULL, &screen);
  ck_assert_ptr_eq(strstr(frame.lines[9].text, "e?te?.example:8081     available "),
                   frame.lines[9].text);
}
END_TEST

/* More marks than a line has bytes: the rest of the line is as ever. */
START_TEST(heaps_of_marks) {
  static char heap[2000];
  for (size_t i = 0; i + 4 < sizeof heap; i += 2)
    memcpy(heap + i, "\xcc\x81", 3);
  set_up();
  for (uint32_t width = 1; width <= CLI_TOP_MAX_WIDTH; width++) {
    const cli_top_screen screen = {.width = width, .height = 20, .utf8 = true, .url = heap};
    memcpy(now.workers[0].name, heap, 126);
    memcpy(now.products[0].name, heap, 62);
    cli_top_draw(&frame, &now, &before, &screen);
    for (uint32_t i = 0; i < frame.count; i++) {
      ck_assert_uint_le(frame.lines[i].columns, width);
      ck_assert_uint_lt(strlen(frame.lines[i].text), sizeof frame.lines[i].text);
    }
    if (width == 80) ck_assert_ptr_nonnull(strstr(frame.lines[9].text, " available       40   2 "));
  }
}
END_TEST

START_TEST(wide_letters_at_every_width) {
  set_up();
  strcpy(now.workers[0].name, "矩阵矩阵矩阵");
  strcpy(now.notes[0], "😀😀é😀😀");
  now.note_count = 1;
  for (uint32_t width = 1; width <= 100; width++) {
    const cli_top_screen screen = {.width = width, .height = 20, .utf8 = true, .url = url};
    cli_top_draw(&frame, &now, &before, &screen);
    for (uint32_t i = 0; i < frame.count; i++)
      ck_assert_uint_le(frame.lines[i].columns, width);
    /* "note: ", two faces of four columns, a letter, a third face where it fits whole. */
    if (width == 12) ck_assert_str_eq(frame.lines[11].text, "note: 😀😀é");
    if (width == 13) ck_assert_str_eq(frame.lines[11].text, "note: 😀😀é😀");
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("top_view", 60, eighty_columns, a_hundred_and_twenty_columns,
                   no_rates_at_the_first_look, it_went_away, a_worker_itself, nothing_seen_yet,
                   more_than_there_is_room_for, every_size_holds, bars_of_blocks,
                   names_in_other_letters, names_with_marks, heaps_of_marks,
                   wide_letters_at_every_width);
}
