/* SPDX-License-Identifier: Apache-2.0
 *
 * See kernel_trial.h.
 */
#include "matmul/kernel_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matmul/kernel.h"

#define TRIAL_SECONDS 5u
#define MAX_VALUE 40u
enum { SIDE = 32 };

static const char *const variables[] = {"OPENBLAS_CORETYPE", "BLIS_ARCH_TYPE"};
enum { VARIABLES = sizeof variables / sizeof variables[0] };

static void try_kernels(void) {
  static double a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];
  static _Alignas(TESS_KERNEL_SCRATCH_ALIGNMENT) unsigned char scratch[TESS_KERNEL_SCRATCH_MAX];
  static const tess_dtype dtypes[] = {TESS_DTYPE_FLOAT32, TESS_DTYPE_FLOAT64};
  for (size_t i = 0; i < tess_kernel_table_size; i++) {
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
      if (!tess_kernel_takes(tess_kernel_table[i], dtypes[d])) continue;
      const tess_gemm gemm = {.a = tess_const_matrix_packed(a, SIDE, SIDE, dtypes[d]),
                              .b = tess_const_matrix_packed(b, SIDE, SIDE, dtypes[d]),
                              .c = tess_matrix_packed(c, SIDE, SIDE, dtypes[d]),
                              .alpha = 1.0};
      (void)tess_gemm_run(tess_kernel_table[i], &gemm, scratch, sizeof scratch, NULL);
    }
  }
}

/* What a library says before it dies is not for the user, and its core for nobody. */
static _Noreturn void be_child(void) {
  static const int fatal[] = {SIGABRT, SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
  const struct rlimit none = {0, 0};
  const int null = open("/dev/null", O_RDWR);
  for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
    (void)dup2(null, fd);
  (void)setrlimit(RLIMIT_CORE, &none);
  sigset_t signals;
  sigemptyset(&signals);
  for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
    (void)signal(fatal[i], SIG_DFL);
    sigaddset(&signals, fatal[i]);
  }
  (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
  (void)alarm(TRIAL_SECONDS);
  try_kernels();
  _exit(0);
}

/* Did a kernel die? What cannot be found out, or takes long, is no. */
static bool dies(void) {
  const pid_t child = fork();
  if (child == 0) be_child();
  int state = 0;
  while (child > 0 && waitpid(child, &state, 0) < 0)
    if (errno != EINTR) return false;
  return child > 0 && WIFSIGNALED(state) && WTERMSIG(state) != SIGALRM;
}

bool tess_kernel_trial(tess_reason *reason) {
  bool is_set = false;
  tess_reason_clear(reason);
  for (size_t i = 0; i < VARIABLES; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL) continue;
    if (is_set) tess_reason_add(reason, ", ");
    is_set = true;
    tess_reason_add(reason, variables[i]);
    tess_reason_add(reason, "=");
    tess_reason_add_bytes(reason, value, strnlen(value, MAX_VALUE));
  }
  if (!is_set || !dies()) return true;
  tess_reason_add(reason, ": a BLAS of this machine ends the program with that; unset it");
  return false;
}
