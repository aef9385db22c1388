/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Alternate screen, hidden cursor, no wrapping at the right edge; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct {
  volatile sig_atomic_t open;
  volatile sig_atomic_t resized;
  bool has_keys; /* standard input is a terminal, too */
  struct termios before;
} terminal;

static void on_resize(int number) {
  (void)number;
  terminal.resized = 1;
}

bool cli_terminal_write(const char *text, size_t size) {
  while (size > 0) {
    ssize_t written = write(STDOUT_FILENO, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text += written;
    size -= (size_t)written;
  }
  return true;
}

bool cli_terminal_open(void) {
  if (isatty(STDOUT_FILENO) != 1) return false;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_resize; /* no SA_RESTART: a wait ends */
  sigaction(SIGWINCH, &action, NULL);
  terminal.has_keys = tcgetattr(STDIN_FILENO, &terminal.before) == 0;
  if (terminal.has_keys) {
    struct termios raw = terminal.before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped program would leave its screen behind */
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  terminal.open = 1;
  atexit(cli_terminal_restore);
  return cli_terminal_write(ENTER, sizeof ENTER - 1);
}

void cli_terminal_restore(void) {
  if (terminal.open == 0) return;
  terminal.open = 0;
  cli_terminal_write(LEAVE, sizeof LEAVE - 1);
  if (terminal.has_keys) tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

void cli_terminal_size(uint32_t *columns, uint32_t *rows) {
  struct winsize size;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  *columns = known ? size.ws_col : 80;
  *rows = known ? size.ws_row : 24;
}

int cli_terminal_wait(int timeout_ms) {
  struct pollfd keys = {.fd = terminal.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
  int ready = terminal.resized ? 0 : poll(&keys, 1, timeout_ms);
  if (terminal.resized) {
    terminal.resized = 0;
    return -1;
  }
  unsigned char key = 0;
  if (ready > 0 && read(STDIN_FILENO, &key, 1) == 1) return key;
  if (ready > 0) terminal.has_keys = false; /* the input ended: do not spin on it */
  return 0;
}
