/* SPDX-License-Identifier: Apache-2.0
 *
 * Who moves the bytes of a transport: the role of its driver.
 *
 * One thread at a time has the role. A thread of the transport's own takes it
 * while requests are on their way and nobody waits; a thread that waits takes it
 * over, so that a blocking call moves its bytes itself, without a hop to another
 * thread and back. Whoever drives tells the other waiting threads when they are
 * done, and hands the role on when it leaves.
 *
 * Threads: any, except where it says so. Functions marked "locked" are called
 * with driver->lock held, which also guards the transport's own lists.
 */
#ifndef TESSERA_RPC_TRANSPORT_DRIVER_H
#define TESSERA_RPC_TRANSPORT_DRIVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tess__driver_ops {
  /* One round without waiting: obey commands, move bytes, call back. */
  void (*work)(void *ctx);
  /* Sleeps until a socket or a timer wants something, until wake or until_ms. */
  void (*rest)(void *ctx, int64_t until_ms);
  /* Ends a rest, also one that is about to begin. Any thread, locked. */
  void (*wake)(void *ctx);
  /* The last call, after which no thread drives: end all requests. */
  void (*end)(void *ctx);
} tess__driver_ops;

typedef struct tess__driver {
  const tess__driver_ops *ops;
  void *ctx;
  pthread_mutex_t lock;
  size_t in_flight; /* requests, kept by the transport; locked */
  /* private, under the lock */
  pthread_cond_t work;
  pthread_t thread; /* our own */
  pthread_t who;    /* has the role, while driving */
  bool driving, stop, started;
  bool wake_sent; /* the driver has not yet looked since */
  struct tess__waiter *first, *last;
} tess__driver;

/* The lock can be used from init on. */
void tess__driver_init(tess__driver *driver, const tess__driver_ops *ops, void *ctx);
/* 0, or an errno. The thread takes no signals that are meant for the program. */
int tess__driver_start(tess__driver *driver);
/* Ends all and joins the thread, if it was started. Nobody may be waiting. */
void tess__driver_stop(tess__driver *driver);
void tess__driver_cleanup(tess__driver *driver);

/* Locked: there is a command. caller_waits: this thread calls tess__driver_wait
 * right away, and will see to it itself if nobody drives yet. */
void tess__driver_call(tess__driver *driver, bool caller_waits);
/* Locked, by the driver: looks at the commands now. */
void tess__driver_looks(tess__driver *driver);
/* Until done(ctx), which is called by whoever drives, or until_ms. Not for whoever drives,
 * in a callback of its own work: then it returns at once. */
bool tess__driver_wait(tess__driver *driver, bool (*done)(void *ctx), void *ctx, int64_t until_ms);

/* Does this thread not drive? */
bool tess__driver_can_wait(tess__driver *driver);

/* CLOCK_MONOTONIC. */
int64_t tess__driver_now_ms(void);

#endif
