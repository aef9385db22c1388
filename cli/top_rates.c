/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_rates.h"

#include <stddef.h>
#include <string.h>

/* What happened a second between two looks; < 0: unknown. */
static double per_second(double now, double before, double ms) {
  if (now < 0.0 || before < 0.0 || !(ms > 0.0) || now < before) return -1.0;
  return (now - before) / ms * 1e3;
}

static const cli_top_worker *find_worker(const cli_top_look *look, const char *name,
                                         uint32_t likely) {
  if (likely < look->worker_count && strcmp(look->workers[likely].name, name) == 0)
    return &look->workers[likely];
  for (uint32_t i = 0; i < look->worker_count; i++)
    if (strcmp(look->workers[i].name, name) == 0) return &look->workers[i];
  return NULL;
}

static double gflops(const cli_top_worker *now, const cli_top_worker *before, double ms) {
  if (!(now->gflops > 0.0)) return -1.0;
  double busy = per_second(now->compute_ms, before->compute_ms, ms) / 1e3;
  if (busy < 0.0) return -1.0;
  return now->gflops * (busy < 1.0 ? busy : 1.0);
}

cli_top_rates cli_top_rates_of(const cli_top_look *now, const cli_top_look *before, uint32_t i) {
  const cli_top_worker *w = &now->workers[i];
  const cli_top_worker *old = before != NULL ? find_worker(before, w->name, i) : NULL;
  if (old == NULL) return (cli_top_rates){-1.0, -1.0};
  const double ms = now->at_ms - before->at_ms;
  return (cli_top_rates){
      .gflops = gflops(w, old, ms),
      .megabytes_a_second = per_second((double)(w->bytes_sent + w->bytes_received) / 1e6,
                                       (double)(old->bytes_sent + old->bytes_received) / 1e6, ms)};
}

static void add_known(double *sum, double rate) {
  if (rate >= 0.0) *sum = (*sum < 0.0 ? 0.0 : *sum) + rate;
}

cli_top_rates cli_top_rates_sum(const cli_top_look *now, const cli_top_look *before) {
  cli_top_rates sum = {-1.0, -1.0};
  for (uint32_t i = 0; i < now->worker_count; i++) {
    const cli_top_rates one = cli_top_rates_of(now, before, i);
    add_known(&sum.gflops, one.gflops);
    add_known(&sum.megabytes_a_second, one.megabytes_a_second);
  }
  return sum;
}

cli_top_own_rates cli_top_rates_own(const cli_top_look *now, const cli_top_look *before) {
  if (before == NULL) return (cli_top_own_rates){-1.0, -1.0, -1.0, -1.0};
  const cli_top_totals *t = &now->totals, *old = &before->totals;
  const double ms = now->at_ms - before->at_ms;
  const double busy = per_second(t->compute_s, old->compute_s, ms);
  return (cli_top_own_rates){
      .gflops = per_second(t->flops / 1e9, old->flops / 1e9, ms),
      .busy = busy < 1.0 ? busy : 1.0,
      .megabytes_in_a_second = per_second(t->bytes_in / 1e6, old->bytes_in / 1e6, ms),
      .megabytes_out_a_second = per_second(t->bytes_out / 1e6, old->bytes_out / 1e6, ms)};
}
