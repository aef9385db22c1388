/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime under wasm2c's code, called as that code calls it.
 */
#include "server/wasm2c_runtime.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/run_case.h"
#include "wasm-rt.h"

#define PAGE 65536u

static tess_wasm2c_call call;

static void prepare(void) {
  ck_assert(tess_wasm2c_runtime_init());
  ck_assert(tess_wasm2c_thread_init());
  tess_wasm2c_call_init(&call);
}

/* Runs fn as generated code would run. Its trap's text, or NULL. */
static const char *run(void (*fn)(void *), void *argument) {
  if (sigsetjmp(call.jump, 1) != 0) {
    tess_wasm2c_leave();
    return tess_wasm2c_trap_text(&call);
  }
  tess_wasm2c_enter(&call);
  fn(argument);
  tess_wasm2c_leave();
  return NULL;
}

static void make_memory(void *memory) {
  wasm_rt_allocate_memory(memory, 2, 10);
}
static void make_large_memory(void *memory) {
  wasm_rt_allocate_memory(memory, 5, 10);
}

START_TEST(memory_grows_in_place_up_to_its_limit) {
  wasm_rt_memory_t memory;
  prepare();
  tess_wasm2c_set_memory_limit(4 * PAGE);
  ck_assert_ptr_null(run(make_memory, &memory));
  uint8_t *data = memory.data;
  memory.data[2 * PAGE - 1] = 7;
  ck_assert_uint_eq(wasm_rt_grow_memory(&memory, 0), 2);
  ck_assert_uint_eq(wasm_rt_grow_memory(&memory, 2), 2);
  ck_assert_ptr_eq(memory.data, data);
  ck_assert_uint_eq(memory.size, 4 * PAGE);
  ck_assert_int_eq(memory.data[2 * PAGE - 1], 7);
  ck_assert_int_eq(memory.data[4 * PAGE - 1], 0);
  ck_assert_uint_eq(wasm_rt_grow_memory(&memory, 1), UINT32_MAX);
  ck_assert_uint_eq(wasm_rt_grow_memory(&memory, UINT32_MAX), UINT32_MAX);
  wasm_rt_free_memory(&memory);
  ck_assert_ptr_null(memory.data);
  ck_assert_ptr_nonnull(run(make_large_memory, &memory));
}
END_TEST

/* Address space of this process in pages. */
static long address_space(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fscanf(file, "%ld", &pages), 1);
  fclose(file);
  return pages;
}

START_TEST(memory_is_given_back) {
  const long reserved = (8L << 30) / sysconf(_SC_PAGESIZE);
  prepare();
  tess_wasm2c_set_memory_limit(0);
  long before = address_space();
  for (int i = 0; i < 20; i++) {
    wasm_rt_memory_t memory;
    ck_assert_ptr_null(run(make_memory, &memory));
    ck_assert_int_ge(address_space(), before + reserved);
    memory.data[0] = 1;
    wasm_rt_free_memory(&memory);
  }
  ck_assert_int_lt(address_space(), before + reserved);
}
END_TEST

static void write_outside(void *argument) {
  wasm_rt_memory_t *memory = argument;
  volatile uint8_t *data = memory->data;
  data[memory->size] = 1;
}

static void trap_by_call(void *argument) {
  (void)argument;
  wasm_rt_trap(WASM_RT_TRAP_DIV_BY_ZERO);
}

START_TEST(faults_become_traps) {
  wasm_rt_memory_t memory;
  prepare();
  ck_assert_str_eq(run(trap_by_call, NULL), "division by zero");
#if WASM_RT_MEMCHECK_SIGNAL_HANDLER && !defined(__SANITIZE_ADDRESS__)
  ck_assert_ptr_null(run(make_memory, &memory));
  for (int i = 0; i < 3; i++)
    ck_assert_str_eq(run(write_outside, &memory), "access outside memory");
  wasm_rt_free_memory(&memory);
#else
  (void)memory;
  (void)write_outside;
#endif
}
END_TEST

static void spin(void *argument) {
  volatile unsigned *count = argument;
  for (;;)
    ++*count;
}

static void *interrupt_soon(void *argument) {
  nanosleep(&(struct timespec){0, 50000000}, NULL);
  tess_wasm2c_interrupt(argument);
  return NULL;
}

/* The host's code is not jumped out of: the interruption waits for its end. */
static void pause_for_long(void *argument) {
  tess_wasm2c_pause();
  struct timespec left = {0, 200000000};
  while (nanosleep(&left, &left) != 0) {
  }
  *(int *)argument = 1;
  tess_wasm2c_resume();
  *(int *)argument = 2;
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_WAIT /* until the thread calls something: a loop never ends */
#endif
#endif

START_TEST(a_call_can_be_stopped) {
  pthread_t thread;
  prepare();
#ifndef SIGNALS_WAIT
  unsigned count = 0;
  pthread_create(&thread, NULL, interrupt_soon, &call);
  ck_assert_str_eq(run(spin, &count), "stopped by the host: it ran for too long");
  pthread_join(thread, NULL);
  ck_assert_uint_gt(count, 0);
#else
  (void)spin;
#endif
  int reached = 0;
  tess_wasm2c_call_init(&call);
  pthread_create(&thread, NULL, interrupt_soon, &call);
  ck_assert_str_eq(run(pause_for_long, &reached), "stopped by the host: it ran for too long");
  ck_assert_int_eq(reached, 1);
  pthread_join(thread, NULL);
}
END_TEST

START_TEST(function_types_have_one_number) {
  uint32_t one = wasm_rt_register_func_type(1, 1, WASM_RT_I32, WASM_RT_I64);
  uint32_t two = wasm_rt_register_func_type(2, 0, WASM_RT_I32, WASM_RT_I64);
  ck_assert_uint_ne(one, 0);
  ck_assert_uint_ne(one, two);
  ck_assert_uint_eq(wasm_rt_register_func_type(1, 1, WASM_RT_I32, WASM_RT_I64), one);
  ck_assert_uint_eq(wasm_rt_register_func_type(2, 0, WASM_RT_I32, WASM_RT_I64), two);
}
END_TEST

int main(void) {
  return RUN_TESTS("wasm2c_runtime", 60, memory_grows_in_place_up_to_its_limit,
                   memory_is_given_back, faults_become_traps, a_call_can_be_stopped,
                   function_types_have_one_number);
}
