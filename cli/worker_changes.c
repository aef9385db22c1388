/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/worker_changes.h"

#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/report.h"
#include "program/clock.h"

/* Also on the watch's thread, which must leave the progress bar alone. */
static void on_tell(void *ctx, const char *line) {
  (void)ctx;
  cli_note_beside("note: %s", line);
}

/* One block: the list, then its texts. */
static const char **copy_list(const char *const *urls, size_t count) {
  size_t size = (count + 1) * sizeof *urls;
  for (size_t i = 0; i < count; i++)
    size += strlen(urls[i]) + 1;
  const char **list = malloc(size);
  char *at = list != NULL ? (char *)(list + count + 1) : NULL;
  for (size_t i = 0; list != NULL && i < count; i++) {
    list[i] = strcpy(at, urls[i]);
    at += strlen(at) + 1;
  }
  return list;
}

/* On the watch's thread. */
static bool on_changed(void *ctx, const char *const *urls, size_t count) {
  cli_worker_changes *c = ctx;
  const char **list = copy_list(urls, count);
  if (list == NULL) return false;
  pthread_mutex_lock(&c->lock);
  free(c->coming);
  c->coming = list;
  c->coming_count = count;
  pthread_mutex_unlock(&c->lock);
  c->wake(c->ctx);
  return true;
}

static bool is_troubled(void *ctx) {
  return atomic_exchange(&((cli_worker_changes *)ctx)->troubled, false);
}

tess_code cli_worker_changes_start(cli_worker_changes *c, const cli_multiply_options *options,
                                   void (*wake)(void *ctx), void *ctx, tess_status *status) {
  char why[512];
  *c = (cli_worker_changes){.wake = wake, .ctx = ctx};
  if (pthread_mutex_init(&c->lock, NULL) != 0)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  const program_worker_set_options set_options = {.urls = options->workers,
                                                  .url_count = options->worker_count,
                                                  .file = options->workers_file,
                                                  .tell = on_tell};
  c->set = program_worker_set_new(&set_options, why, sizeof why);
  if (c->set == NULL) return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s", why);
  program_worker_set_look(c->set, (int64_t)program_now_ms(), 0);
  return TESS_OK;
}

static bool may_change(const cli_multiply_options *options) {
  if (options->workers_file != NULL) return true;
  for (uint32_t i = 0; i < options->worker_count; i++)
    if (strncmp(options->workers[i], "dns+", 4) == 0) return true;
  return false;
}

tess_code cli_worker_changes_watch(cli_worker_changes *c, const cli_multiply_options *options,
                                   tess_status *status) {
  if (!may_change(options)) return TESS_OK;
  if (options->workers_file != NULL) cli_interrupt_keep_hangups();
  const program_worker_watch_options watch_options = {
      .set = c->set, .changed = on_changed, .troubled = is_troubled, .ctx = c};
  c->watch = program_worker_watch_new(&watch_options);
  if (c->watch != NULL) return TESS_OK;
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no thread to watch the list of workers");
}

bool cli_worker_changes_take(cli_worker_changes *c) {
  if (c->watch == NULL) return false;
  if (cli_hung_up()) program_worker_watch_hurry(c->watch);
  pthread_mutex_lock(&c->lock);
  const bool is_new = c->coming != NULL;
  if (is_new) {
    free(c->urls);
    c->urls = c->coming;
    c->count = c->coming_count;
    c->coming = NULL;
  }
  pthread_mutex_unlock(&c->lock);
  return is_new;
}

void cli_worker_changes_end(cli_worker_changes *c) {
  program_worker_watch_free(c->watch);
  program_worker_set_free(c->set);
  free(c->urls);
  free(c->coming);
  pthread_mutex_destroy(&c->lock);
}
