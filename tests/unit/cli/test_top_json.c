/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/top_json.c and cli/top_rates.c: whole lines, written out and worked out by hand.
 */
#include "cli/top_json.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/cli/top_sample.h"
#include "tests/unit/run_case.h"

static cli_top_look now, before;

static void expect(const cli_top_json *line, const char *expected) {
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(to);
  ck_assert(cli_top_json_print(line, to));
  ck_assert_int_eq(fclose(to), 0);
  ck_assert_str_eq(text, expected);
  free(text);
}

START_TEST(a_server) {
  top_sample(&now, &before);
  now.note_count = 2;
  strcpy(now.notes[0], "a \"note\"");
  strcpy(now.notes[1], "b\\");
  now.totals.products_refused = -1;
  now.totals.held_bytes = 3e12;
  now.products[0] = (cli_top_product){
      .name = "p-13", .m = 96, .n = 48, .k = 24, .tiles_done = 6, .tiles = 8, .elapsed_ms = 1.5};
  strcpy(now.workers[1].name, "https://b:1");
  now.workers[1].wait_ms = 0;
  before.workers[0].bytes_received = 197000000;
  expect(&(cli_top_json){"http://h:1", NULL, 1234.9, &now, &before},
         "{\"timeMs\":1234,\"url\":\"http://h:1\",\"answers\":true,"
         "\"what\":\"tessera-server 0.1.0 (jsc)\",\"kind\":\"server\",\"mode\":\"proxy\","
         "\"products\":{\"running\":1,\"done\":12,\"failed\":1,\"cancelled\":2,\"refused\":null},"
         "\"tiles\":{\"onWorkers\":50,\"here\":4,\"retries\":5,\"backups\":6,\"checked\":40,"
         "\"wrong\":7},\"gflops\":40,\"megabytesPerSecond\":20.6,"
         "\"memoryBytes\":3000000000000,\"memoryLimitBytes\":1600000000,"
         "\"running\":[{\"id\":\"p-13\",\"m\":96,\"n\":48,\"k\":24,\"tilesDone\":6,\"tiles\":8,"
         "\"elapsedMs\":1.5}],"
         "\"workers\":[{\"url\":\"http://10.0.0.2:8081\",\"state\":\"available\",\"tiles\":40,"
         "\"inFlight\":2,\"gflops\":40,\"megabytesPerSecond\":20.6,\"bytesSent\":900000000,"
         "\"bytesReceived\":200000000,\"bytesCached\":50000000,\"waitMs\":2500,\"failures\":3,"
         "\"backups\":1,\"wrong\":0},"
         "{\"url\":\"https://b:1\",\"state\":\"quarantined\",\"tiles\":10,\"inFlight\":0,"
         "\"gflops\":null,\"megabytesPerSecond\":null,\"bytesSent\":0,\"bytesReceived\":0,"
         "\"bytesCached\":0,\"waitMs\":0,\"failures\":8,\"backups\":0,\"wrong\":7}],"
         "\"notes\":[\"a \\\"note\\\"\",\"b\\\\\"]}\n");
}
END_TEST

START_TEST(a_worker) {
  now = (cli_top_look){.at_ms = 3000, .what = "tessera-worker 0.1.0 (native)", .gflops = 90.5};
  now.totals = (cli_top_totals){.computing = 1,
                                .waiting = 2,
                                .products_ok = 3,
                                .abandoned = 4,
                                .queue_refused = 5,
                                .flops = 31e9,
                                .compute_s = 1.5,
                                .bytes_in = 8e6,
                                .bytes_out = 1e6,
                                .block_bytes = 10,
                                .block_capacity = 20,
                                .block_hit_bytes = 30};
  before = now;
  before.at_ms = 1000;
  before.totals.flops = 11e9;
  before.totals.compute_s = 1;
  before.totals.bytes_in = 2e6;
  expect(&(cli_top_json){"http://w:1", NULL, 1, &now, &before},
         "{\"timeMs\":1,\"url\":\"http://w:1\",\"answers\":true,"
         "\"what\":\"tessera-worker 0.1.0 (native)\",\"kind\":\"worker\","
         "\"products\":{\"computing\":1,\"waiting\":2,\"done\":3,\"abandoned\":4,\"refused\":5},"
         "\"gflops\":10,\"gflopsAtStart\":90.5,\"busy\":0.25,\"bytesIn\":8000000,"
         "\"bytesOut\":1000000,\"megabytesInPerSecond\":3,\"megabytesOutPerSecond\":0,"
         "\"blocks\":{\"bytes\":10,\"capacityBytes\":20,\"foundBytes\":30},\"notes\":[]}\n");
  now.totals.compute_s = 9; /* more than the time: it has threads */
  expect(&(cli_top_json){"http://w:1", NULL, 1, &now, NULL},
         "{\"timeMs\":1,\"url\":\"http://w:1\",\"answers\":true,"
         "\"what\":\"tessera-worker 0.1.0 (native)\",\"kind\":\"worker\","
         "\"products\":{\"computing\":1,\"waiting\":2,\"done\":3,\"abandoned\":4,\"refused\":5},"
         "\"gflops\":null,\"gflopsAtStart\":90.5,\"busy\":null,\"bytesIn\":8000000,"
         "\"bytesOut\":1000000,\"megabytesInPerSecond\":null,\"megabytesOutPerSecond\":null,"
         "\"blocks\":{\"bytes\":10,\"capacityBytes\":20,\"foundBytes\":30},\"notes\":[]}\n");
}
END_TEST

START_TEST(no_answer) {
  expect(
      &(cli_top_json){
          .url = "http://w:1", .problem = "a \"b\"\n\xff\x1b[1m é\xe2\x80\xae", .time_ms = 5},
      "{\"timeMs\":5,\"url\":\"http://w:1\",\"answers\":false,"
      "\"problem\":\"a \\\"b\\\"???[1m é?\"}\n");
}
END_TEST

START_TEST(as_many_as_there_may_be) {
  now = (cli_top_look){.is_controller = true,
                       .worker_count = CLI_TOP_MAX_WORKERS,
                       .product_count = CLI_TOP_MAX_PRODUCTS};
  for (uint32_t i = 0; i < CLI_TOP_MAX_WORKERS; i++)
    memset(now.workers[i].name, '"', sizeof now.workers[i].name - 1);
  FILE *to = fopen("/dev/null", "w");
  ck_assert_ptr_nonnull(to);
  ck_assert(cli_top_json_print(&(cli_top_json){"u", NULL, 0, &now, NULL}, to));
  fclose(to);
  to = fopen("/dev/full", "w");
  ck_assert_ptr_nonnull(to);
  ck_assert(!cli_top_json_print(&(cli_top_json){"u", NULL, 0, &now, NULL}, to));
  fclose(to);
}
END_TEST

int main(void) {
  return RUN_TESTS("top_json", 60, a_server, a_worker, no_answer, as_many_as_there_may_be);
}
