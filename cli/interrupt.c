/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/output_file.h"
#include "cli/terminal.h"

static volatile sig_atomic_t came;
static volatile sig_atomic_t hung_up;

static void on_signal(int number) {
  if (came == 0) {
    came = number;
    return;
  }
  cli_output_remove_temporary();
  cli_terminal_restore();
  signal(number, SIG_DFL);
  raise(number); /* delivered when this handler returns */
}

static void on_hangup(int number) {
  (void)number;
  hung_up = 1;
}

static void on_bus_error(int number) {
  (void)number;
  static const char text[] = "tessera: an input file was cut short while it was being read\n";
  cli_output_remove_temporary();
  ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  (void)written; /* nothing is left to be done about it */
  _exit(1);
}

void cli_interrupt_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_signal; /* no SA_RESTART: waits end */
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  sigaction(SIGQUIT, &action, NULL);
  action.sa_handler = on_bus_error;
  sigaction(SIGBUS, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: the write fails */
}

bool cli_interrupted(void) {
  return came != 0;
}

void cli_interrupt_keep_hangups(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_hangup;
  sigaction(SIGHUP, &action, NULL);
}

bool cli_hung_up(void) {
  const bool did = hung_up != 0;
  hung_up = 0;
  return did;
}

void cli_interrupt_die(void) {
  signal(came, SIG_DFL);
  raise(came);
}
