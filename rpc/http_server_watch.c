/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_watch.h.
 *
 * state holds deadline_ms * 8 + phase. The watcher replaces the phase of a late
 * connection with CUT by compare-and-swap: so it never cuts a phase that it has
 * not looked at, and the connection's thread learns of it at its next exchange.
 * Connections are in the list, under its lock, exactly while their socket is
 * open: the descriptor that the watcher shuts is never somebody else's.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include "rpc/http_server_watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CUT = 7, LOOK_EVERY_MS = 100, HEAD_GRACE_MS = 500, STALL_MS = 1000, GONE_EVERY_MS = 5 };

#define NO_LIMIT (INT64_MAX >> 4)

struct tess__watch {
  tess__watch_options options;
  pthread_mutex_t lock;
  pthread_cond_t changed; /* a first connection, or stop */
  pthread_t thread;
  bool stop;
  tess__connection *first; /* open */
  tess__connection *spare; /* kept for reuse: a late wake may still come */
  tess__watch_counts counts;
};

int64_t tess__monotonic_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t state_of(tess__phase phase, int64_t deadline_ms) {
  if (deadline_ms > NO_LIMIT) deadline_ms = NO_LIMIT;
  if (deadline_ms < 0) deadline_ms = 0;
  return (uint64_t)deadline_ms * 8 + (uint64_t)phase;
}

static bool has_request(uint64_t state) {
  unsigned phase = state & 7;
  return phase >= TESS__PHASE_BUSY && phase <= TESS__PHASE_WRITE;
}

/* Under the lock. False: the connection has moved on. */
static bool cut(tess__connection *connection, uint64_t state) {
  uint64_t marked = (state & ~(uint64_t)7) | CUT;
  if (!atomic_compare_exchange_strong(&connection->state, &state, marked)) return false;
  /* A half-close of the reading side lets a reply still go out. */
  shutdown(connection->socket, (state & 7) == TESS__PHASE_WRITE ? SHUT_RDWR : SHUT_RD);
  return true;
}

static void look(tess__watch *watch, int64_t now_ms) {
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    uint64_t state = atomic_load(&c->state);
    if ((state & 7) == CUT || (int64_t)(state / 8) > now_ms) continue;
    if (cut(c, state)) watch->counts.timed_out++;
  }
}

static void *watcher(void *arg) {
  tess__watch *watch = arg;
  pthread_mutex_lock(&watch->lock);
  while (!watch->stop) {
    if (watch->first == NULL) {
      pthread_cond_wait(&watch->changed, &watch->lock);
      continue;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_EVERY_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
      until.tv_nsec -= 1000000000L;
      until.tv_sec++;
    }
    while (!watch->stop &&
           pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != ETIMEDOUT) {
    }
    if (!watch->stop) look(watch, tess__monotonic_ms());
  }
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

tess__watch *tess__watch_new(const tess__watch_options *options) {
  tess__watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return NULL;
  watch->options = *options;
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_mutex_init(&watch->lock, NULL);
  pthread_cond_init(&watch->changed, &attr);
  pthread_condattr_destroy(&attr);
  if (pthread_create(&watch->thread, NULL, watcher, watch) != 0) {
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
  }
  return watch;
}

void tess__watch_free(tess__watch *watch) {
  if (watch == NULL) return;
  pthread_mutex_lock(&watch->lock);
  watch->stop = true;
  pthread_cond_signal(&watch->changed);
  pthread_mutex_unlock(&watch->lock);
  pthread_join(watch->thread, NULL);
  while (watch->spare != NULL) {
    tess__connection *c = watch->spare;
    watch->spare = c->next;
    close(c->wake_fd);
    free(c->out.data);
    free(c);
  }
  pthread_cond_destroy(&watch->changed);
  pthread_mutex_destroy(&watch->lock);
  free(watch);
}

static void add_traffic(tess__watch_counts *counts, const tess__traffic *traffic) {
  counts->requests += atomic_load_explicit(&traffic->requests, memory_order_relaxed);
  for (size_t i = 0; i < 6; i++)
    counts->replies[i] += atomic_load_explicit(&traffic->replies[i], memory_order_relaxed);
  counts->bytes_read += atomic_load_explicit(&traffic->bytes_read, memory_order_relaxed);
  counts->bytes_written += atomic_load_explicit(&traffic->bytes_written, memory_order_relaxed);
}

void tess__watch_get_counts(tess__watch *watch, tess__watch_counts *counts) {
  pthread_mutex_lock(&watch->lock);
  *counts = watch->counts;
  counts->busy = 0;
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    add_traffic(counts, &c->traffic);
    if (has_request(atomic_load(&c->state))) counts->busy++;
  }
  pthread_mutex_unlock(&watch->lock);
}

size_t tess__watch_busy(tess__watch *watch, const tess__connection *self) {
  size_t busy = 0;
  pthread_mutex_lock(&watch->lock);
  for (tess__connection *c = watch->first; c != NULL; c = c->next)
    if (c != self && has_request(atomic_load(&c->state))) busy++;
  pthread_mutex_unlock(&watch->lock);
  return busy;
}

/* Awaits its first head for longer than a client in earnest takes. */
static bool is_slow_head(const tess__watch *watch, uint64_t state, int64_t now_ms) {
  return (state & 7) == TESS__PHASE_HEAD &&
         (int64_t)(state / 8) - watch->options.header_timeout_ms + HEAD_GRACE_MS < now_ms;
}

void tess__watch_close_idle(tess__watch *watch, bool newcomers_too) {
  int64_t now_ms = tess__monotonic_ms();
  pthread_mutex_lock(&watch->lock);
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    uint64_t state = atomic_load(&c->state);
    if ((state & 7) == TESS__PHASE_IDLE || is_slow_head(watch, state, now_ms) ||
        (newcomers_too && (state & 7) == TESS__PHASE_HEAD))
      cut(c, state);
  }
  pthread_mutex_unlock(&watch->lock);
}

/* Under the lock: what it does lasts until then at most. */
static void shorten(tess__connection *connection, uint64_t state, int64_t deadline_ms) {
  if ((int64_t)(state / 8) > deadline_ms)
    (void)atomic_compare_exchange_strong(&connection->state, &state,
                                         state_of(state & 7, deadline_ms));
}

void tess__watch_abort_all(tess__watch *watch) {
  const int64_t now_ms = tess__monotonic_ms();
  pthread_mutex_lock(&watch->lock);
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    const bool again = atomic_exchange(&c->aborted, true);
    uint64_t state = atomic_load(&c->state);
    unsigned phase = state & 7;
    /* Who was told before may be saying so to its client. */
    if (again && (phase == TESS__PHASE_WRITE || phase == TESS__PHASE_LINGER))
      shorten(c, state, now_ms + TESS__LAST_WORDS_MS);
    else if (phase != TESS__PHASE_BUSY && phase != CUT)
      cut(c, state);
    tess__connection_wake(c);
  }
  pthread_mutex_unlock(&watch->lock);
}

/* For how long no byte of a body has moved; -1: not in a body. */
static int64_t stalled_ms(const tess__connection *c, unsigned phase) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (phase != TESS__PHASE_READ && phase != TESS__PHASE_WRITE) return -1;
  if (getsockopt(c->socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
  /* Probes of a closed window do not count as sent. */
  return phase == TESS__PHASE_READ ? info.tcpi_last_data_recv : info.tcpi_last_data_sent;
}

/* Under the lock: the body that has stood still longest, long enough to be given up
 * where others wait at the door. */
static bool evict_stalled(tess__watch *watch) {
  tess__connection *victim = NULL;
  uint64_t victim_state = 0;
  int64_t longest_ms = STALL_MS;
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    uint64_t state = atomic_load(&c->state);
    int64_t ms = stalled_ms(c, state & 7);
    if (ms < longest_ms) continue;
    longest_ms = ms;
    victim = c;
    victim_state = state;
  }
  return victim != NULL && cut(victim, victim_state);
}

/* Under the lock: makes room by cutting whoever has least claim to its place. */
static bool evict(tess__watch *watch, int64_t now_ms) {
  tess__connection *victim = NULL;
  uint64_t victim_state = 0;
  for (tess__connection *c = watch->first; c != NULL; c = c->next) {
    uint64_t state = atomic_load(&c->state);
    unsigned phase = state & 7;
    if (phase != TESS__PHASE_IDLE && phase != TESS__PHASE_LINGER &&
        !is_slow_head(watch, state, now_ms))
      continue;
    /* Of one kind, all time limits are equally long: the lowest is the oldest. */
    if (victim == NULL || state / 8 < victim_state / 8) {
      victim = c;
      victim_state = state;
    }
  }
  return victim != NULL ? cut(victim, victim_state) : evict_stalled(watch);
}

tess__connection *tess__connection_new(tess__watch *watch, int socket, int64_t now_ms) {
  pthread_mutex_lock(&watch->lock);
  tess__connection *c = watch->spare;
  if (c != NULL) {
    watch->spare = c->next;
  } else {
    pthread_mutex_unlock(&watch->lock);
    c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (c->wake_fd < 0) {
      free(c);
      return NULL;
    }
    c->watch = watch;
    pthread_mutex_lock(&watch->lock);
  }
  c->socket = socket;
  c->peer_known = false;
  c->subject[0] = 0;
  c->refused = false;
  atomic_store(&c->aborted, false);
  atomic_store(&c->state, state_of(TESS__PHASE_HEAD, now_ms + watch->options.header_timeout_ms));
  watch->counts.accepted++;
  if (watch->counts.connections >= watch->options.max_connections) {
    if (evict(watch, now_ms)) {
      watch->counts.evicted++;
    } else {
      watch->counts.refused++;
      c->refused = true;
    }
  }
  watch->counts.connections++;
  c->previous = NULL;
  c->next = watch->first;
  if (watch->first != NULL) watch->first->previous = c;
  watch->first = c;
  if (c->next == NULL) pthread_cond_signal(&watch->changed);
  pthread_mutex_unlock(&watch->lock);
  return c;
}

void tess__connection_free(tess__connection *c) {
  tess__watch *watch = c->watch;
  pthread_mutex_lock(&watch->lock);
  if (c->previous != NULL)
    c->previous->next = c->next;
  else
    watch->first = c->next;
  if (c->next != NULL) c->next->previous = c->previous;
  watch->counts.connections--;
  add_traffic(&watch->counts, &c->traffic);
  atomic_store(&c->traffic.requests, 0);
  for (size_t i = 0; i < 6; i++)
    atomic_store(&c->traffic.replies[i], 0);
  atomic_store(&c->traffic.bytes_read, 0);
  atomic_store(&c->traffic.bytes_written, 0);
  c->socket = -1;
  c->next = watch->spare;
  watch->spare = c;
  pthread_mutex_unlock(&watch->lock);
}

bool tess__connection_enter(tess__connection *connection, tess__phase phase, int64_t deadline_ms) {
  uint64_t before = atomic_exchange(&connection->state, state_of(phase, deadline_ms));
  return (before & 7) != CUT;
}

/* wake_state goes 0 -> 1 by a wake, 0 -> 2 by a sleeper. Whoever turns 2 into 1
 * writes to the eventfd once, and the sleeper that finds 1 reads it once. */
void tess__connection_wake(void *ctx) {
  tess__connection *connection = ctx;
  if (atomic_exchange(&connection->wake_state, 1) != 2) return;
  uint64_t one = 1;
  while (write(connection->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void tess__connection_unwake(tess__connection *connection) {
  atomic_store(&connection->wake_state, 0);
}

tess_code tess__connection_gone(void *ctx, int64_t now_ms) {
  tess__connection *connection = ctx;
  if (atomic_load_explicit(&connection->aborted, memory_order_relaxed)) return TESS_UNAVAILABLE;
  if (now_ms < atomic_load_explicit(&connection->look_at_ms, memory_order_relaxed)) return TESS_OK;
  atomic_store_explicit(&connection->look_at_ms, now_ms + GONE_EVERY_MS, memory_order_relaxed);
  /* As tess__connection_wait: the socket's state alone, so that TLS is left alone. */
  struct pollfd fd = {.fd = connection->socket, .events = POLLRDHUP};
  return poll(&fd, 1, 0) > 0 ? TESS_CANCELED : TESS_OK;
}

static void take_event(tess__connection *connection) {
  uint64_t value;
  while (read(connection->wake_fd, &value, sizeof value) < 0 && errno == EINTR) {
  }
}

tess__wait_result tess__connection_wait(tess__connection *connection, int64_t wake_at_ms) {
  tess__wait_result result = TESS__WAIT_WOKEN;
  int expected = 0;
  if (atomic_compare_exchange_strong(&connection->wake_state, &expected, 2)) {
    struct pollfd fds[2] = {{.fd = connection->wake_fd, .events = POLLIN},
                            {.fd = connection->socket, .events = POLLRDHUP}};
    for (;;) {
      int64_t left_ms = -1;
      if (wake_at_ms != TESS_NEVER_MS) {
        left_ms = wake_at_ms - tess__monotonic_ms();
        if (left_ms < 0) left_ms = 0;
        if (left_ms > 60000) left_ms = 60000;
      }
      int n = poll(fds, 2, (int)left_ms);
      if (n < 0 && errno == EINTR) continue;
      if (n > 0 && (fds[0].revents & POLLIN) != 0) break;
      if (n > 0) {
        result = TESS__WAIT_GONE;
        break;
      }
      if (wake_at_ms != TESS_NEVER_MS && tess__monotonic_ms() >= wake_at_ms) {
        result = TESS__WAIT_TIME;
        break;
      }
    }
    if (atomic_exchange(&connection->wake_state, 0) == 1) {
      take_event(connection);
      if (result == TESS__WAIT_TIME) result = TESS__WAIT_WOKEN;
    }
  } else {
    atomic_store(&connection->wake_state, 0);
  }
  if (atomic_load(&connection->aborted)) return TESS__WAIT_ABORTED;
  return result;
}
