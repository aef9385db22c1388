/* SPDX-License-Identifier: Apache-2.0 */
#include "program/signals.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
static pthread_t main_thread;

/* On a thread that does not block them: the main thread does, and gets it by sigwait. */
static void hand_on(int number) {
  const int before = errno;
  pthread_kill(main_thread, number);
  errno = before;
}

void program_signals_block(sigset_t *signals, bool hangup) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = hand_on;
  action.sa_flags = SA_RESTART;
  main_thread = pthread_self();
  sigemptyset(signals);
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (numbers[i] != SIGHUP || hangup) sigaddset(signals, numbers[i]);
  pthread_sigmask(SIG_BLOCK, signals, NULL);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (sigismember(signals, numbers[i]) == 1) sigaction(numbers[i], &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

void program_signals_let_go(const sigset_t *signals) {
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (sigismember(signals, numbers[i]) == 1) signal(numbers[i], SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}
