/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/measure.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/clock.h"

#define CHILD_MS 5000.0
/* Less is noise. */
#define WORTH_SAYING 1.25

static const char *const variables[] = {"OPENBLAS_CORETYPE", "BLIS_ARCH_TYPE"};
enum { VARIABLES = sizeof variables / sizeof variables[0] };

double worker_measure_gflops(const tess_kernel_choice *choice) {
  return choice->square[0].gflops;
}

void worker_measure_print(const tess_kernel_choice *choice, FILE *out) {
  for (int i = 0; i < 2; i++) {
    const char *type = i == 0 ? "float32" : "float64";
    if (choice->square[i].kernel == NULL) continue;
    fprintf(out, "%s square %s %.1f\n", type, choice->square[i].kernel->name,
            choice->square[i].gflops);
    fprintf(out, "%s thin %s %.1f\n", type, choice->thin[i].kernel->name, choice->thin[i].gflops);
  }
}

extern char **environ;

/* The environment without the variables; NULL: no memory. Freed by the caller. */
static char **clean_environment(void) {
  size_t count = 0;
  while (environ[count] != NULL)
    count++;
  char **clean = malloc((count + 1) * sizeof *clean);
  if (clean == NULL) return NULL;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    bool drop = false;
    for (size_t v = 0; v < VARIABLES; v++) {
      size_t length = strlen(variables[v]);
      drop = drop || (strncmp(environ[i], variables[v], length) == 0 && environ[i][length] == '=');
    }
    if (!drop) clean[kept++] = environ[i];
  }
  clean[kept] = NULL;
  return clean;
}

/* All that the child prints until it ends, within CHILD_MS. */
static size_t read_all(int fd, char *text, size_t room) {
  double until = program_now_ms() + CHILD_MS;
  size_t size = 0;
  while (size < room) {
    double left = until - program_now_ms();
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (left <= 0 || poll(&ready, 1, (int)left + 1) <= 0) break;
    ssize_t got = read(fd, text + size, room - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += (size_t)got;
  }
  return size;
}

/* What "float32 square NAME SPEED" says in the output of a child; 0: nothing. */
static double measure_in_child(unsigned threads, const char *only) {
  char name[] = "tessera-worker", measure[] = "--measure", with_threads[] = "--threads";
  char with_kernel[] = "--kernel", count[16], kernel[64], text[512];
  snprintf(count, sizeof count, "%u", threads);
  snprintf(kernel, sizeof kernel, "%s", only != NULL ? only : "");
  char *argv[] = {name,   measure, with_threads, count, only != NULL ? with_kernel : NULL,
                  kernel, NULL};
  int ends[2];
  if (pipe(ends) != 0) return 0;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  char **clean = clean_environment();
  pid_t child = -1;
  int failed =
      clean == NULL ? ENOMEM : posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, clean);
  close(ends[1]);
  double gflops = 0;
  if (failed == 0) {
    size_t size = read_all(ends[0], text, sizeof text - 1);
    text[size] = '\0';
    kill(child, SIGKILL); /* it has ended, or its time is over */
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    if (sscanf(text, "float32 square %*63s %lf", &gflops) != 1) gflops = 0;
  }
  close(ends[0]);
  posix_spawn_file_actions_destroy(&actions);
  free(clean);
  return gflops;
}

void worker_measure_environment(const tess_kernel_choice *choice, unsigned threads,
                                const char *only, char notice[WORKER_NOTICE_BYTES]) {
  notice[0] = '\0';
  const char *set = NULL, *value = NULL;
  for (size_t v = 0; v < VARIABLES && set == NULL; v++) {
    value = getenv(variables[v]);
    if (value != NULL) set = variables[v];
  }
  double have = worker_measure_gflops(choice);
  if (set == NULL || have <= 0) return;
  double without = measure_in_child(threads, only);
  if (without < WORTH_SAYING * have) return;
  snprintf(notice, WORKER_NOTICE_BYTES,
           "%s=%.40s slows this machine down: %.0f Gflop/s instead of %.0f; unset it", set, value,
           have, without);
}
