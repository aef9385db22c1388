/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of a server, and the thread that watches over their time.
 *
 * civetweb gives each connection a thread, which blocks in read and write calls
 * that no slow client ever ends: a byte now and then is progress to them. So each
 * connection states what it does (its phase) and until when at the latest; the
 * watcher looks every 100 ms and shuts the socket of whoever is late, and the
 * blocked call fails. Stating a phase is one atomic exchange.
 *
 * At the connection limit a newcomer takes the place of the connection that has
 * been idle longest, or of one that dawdles over its request head, or else of the
 * one whose body has stood still longest, a second at least (the kernel knows);
 * where there is none, it is refused.
 *
 * Threads: watch functions from any; connection functions from the connection's
 * own thread, except wake, gone and abort.
 */
#ifndef TESSERA_RPC_HTTP_SERVER_WATCH_H
#define TESSERA_RPC_HTTP_SERVER_WATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include <tessera/http.h>

#include "rpc/http_server_head.h"

/* civetweb's own limit on header lines; a head with more is refused. */
#define TESS__MAX_HEADERS 64

typedef enum tess__phase {
  TESS__PHASE_HEAD = 0,  /* the first request head is awaited */
  TESS__PHASE_IDLE = 1,  /* a further one */
  TESS__PHASE_BUSY = 2,  /* in the handler, or waiting for it */
  TESS__PHASE_READ = 3,  /* reads body */
  TESS__PHASE_WRITE = 4, /* writes */
  TESS__PHASE_LINGER = 5 /* answered; takes in what the client still sends */
} tess__phase;

/* Counted by the connection's thread, read by others. */
typedef struct tess__traffic {
  _Atomic uint64_t requests;
  _Atomic uint64_t replies[6]; /* by status / 100; [0]: none sent */
  _Atomic uint64_t bytes_read; /* of bodies */
  _Atomic uint64_t bytes_written;
} tess__traffic;

typedef struct tess__watch tess__watch;

typedef struct tess__connection {
  struct tess__connection *previous, *next; /* in the watch's list */
  tess__watch *watch;
  int socket;
  int wake_fd;                /* eventfd, kept for the life of the object */
  _Atomic uint64_t state;     /* phase and time limit, see watch.c */
  _Atomic int wake_state;     /* 0 nothing, 1 woken, 2 sleeping */
  _Atomic bool aborted;       /* the server gives up this request */
  _Atomic int64_t look_at_ms; /* when tess__connection_gone next looks at the socket */
  bool refused;               /* over the limit: serve nothing */
  bool peer_known;
  char subject[256]; /* of the client's certificate; "": none */
  char peer[64];     /* "127.0.0.1:40312" */
  tess__traffic traffic;
  tess_metadata_entry entries[TESS__MAX_HEADERS];
  tess__out out; /* for heads and small bodies; capacity is kept */
} tess__connection;

typedef struct tess__watch_options {
  size_t max_connections;
  int64_t header_timeout_ms;
  int64_t idle_timeout_ms;
} tess__watch_options;

typedef struct tess__watch_counts {
  size_t connections; /* open now */
  size_t busy;        /* with a request in progress */
  uint64_t accepted, refused, evicted, timed_out;
  uint64_t requests, replies[6], bytes_read, bytes_written;
} tess__watch_counts;

/* NULL: out of memory or no thread. */
tess__watch *tess__watch_new(const tess__watch_options *options);
/* All connections must be gone. */
void tess__watch_free(tess__watch *watch);
void tess__watch_get_counts(tess__watch *watch, tess__watch_counts *counts);
/* Connections other than `self` (may be NULL) that have a request in progress. */
size_t tess__watch_busy(tess__watch *watch, const tess__connection *self);
/* Closes the connections that have no request in progress; those that are new
 * get a moment to send one, unless newcomers_too. */
void tess__watch_close_idle(tess__watch *watch, bool newcomers_too);
enum { TESS__LAST_WORDS_MS = 1000 };

/* Ends the requests in progress: wakes those that wait, shuts the sockets of
 * those that read or write. Again: who was ended before has so long to
 * tell its client. */
void tess__watch_abort_all(tess__watch *watch);

/* A connection on this socket begins. NULL: out of memory. With ->refused set it
 * must be closed at once. */
tess__connection *tess__connection_new(tess__watch *watch, int socket, int64_t now_ms);
/* Before its socket is closed. */
void tess__connection_free(tess__connection *connection);

/* Enters a phase that lasts until deadline_ms at most (TESS_NEVER_MS: no limit).
 * False: the phase that ends here had been cut off by the watcher, and the socket
 * is shut for reading (after TESS__PHASE_WRITE, for both). */
bool tess__connection_enter(tess__connection *connection, tess__phase phase, int64_t deadline_ms);

typedef enum tess__wait_result {
  TESS__WAIT_WOKEN,
  TESS__WAIT_TIME,   /* wake_at_ms has come */
  TESS__WAIT_GONE,   /* the client closed its side, or the connection broke */
  TESS__WAIT_ABORTED /* tess__watch_abort_all */
} tess__wait_result;

/* Sleeps until tess__connection_wake, also one that came before. */
tess__wait_result tess__connection_wait(tess__connection *connection, int64_t wake_at_ms);
/* A tess_waker's function: ctx is the connection. */
void tess__connection_wake(void *ctx);
/* A tess_http_outlook's: does nobody wait for the answer any more? Any thread, while the
 * exchange is open. Looks at the socket every few ms at most. */
tess_code tess__connection_gone(void *ctx, int64_t now_ms);
/* Forgets a wake that was meant for an exchange that is over. */
void tess__connection_unwake(tess__connection *connection);

/* CLOCK_MONOTONIC. */
int64_t tess__monotonic_ms(void);

#endif
