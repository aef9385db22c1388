/* SPDX-License-Identifier: Apache-2.0
 *
 * A module host for each test of test_engine.c, with the engine under test and the tests'
 * own module (echo_module.h); how to call it, and what to expect. Every engine passes the
 * same tests; those of what an engine cannot do at all (native has no sandbox) are left
 * out by engine_under_test.
 *
 * Threads: the host, its options and the log are global; calls may come from any thread.
 */
#ifndef TESSERA_TESTS_ENGINE_RIG_H
#define TESSERA_TESTS_ENGINE_RIG_H

#include <check.h>

#include "engine_under_test.h"
#include "host_driver.h"

#define WORKER "http://worker.test:8081"
#define MIB ((size_t)1 << 20)

/* The case of one topic, with the host's set-up and an end that finds what is left over. */
TCase *engine_case(const char *name);
/* One topic each, in engine_*.c. */
TCase *engine_work(void);
TCase *engine_bounds(void);
TCase *engine_faults(void);
TCase *engine_clients(void);
TCase *engine_posts(void);
TCase *engine_life(void);

/* ---- a host ---- */

/* As every test begins; to be changed before start(). */
extern tess_module_host_options options;
/* Its transports, one for each of the two workers: fakes. */
extern tess_transport *worker_transports[2];
void make_transports(void);
void free_transports(void);
/* NULL before start(); a test that ends it puts NULL there. */
extern tess_module_host *host;

void start(void);
/* Its file alone, into options.module; native has none. */
void load_module(uint64_t memory_limit);
tess_module_host_counts counts(void);
/* A figure of /metrics; -1: none. */
long metric(const char *name);
/* Do these words stand in what was logged? */
bool logged(const char *words);
void pause_5_ms(void);

/* ---- calls ---- */

/* Fails the test where no answer comes. */
driver_result call(driver_call request);
/* Bytes of a pattern; free() them. */
uint8_t *pattern(size_t size, unsigned seed);
/* read_piece: bytes that one read gives at most; 0: all. */
void expect_echo(size_t size, bool chunked, size_t read_piece);
/* Takes the result. */
void expect_error(driver_result result, int status, const char *words);
/* A call that ends the instance is answered with an error, and the next instance works. */
void expect_recovery(const char *path);
/* So many requests of the module were cancelled, after a second at the latest. */
void expect_cancelled_posts(unsigned count);

#endif
