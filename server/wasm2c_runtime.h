/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own runtime under the code that wasm2c generates: it implements the part
 * of wabt's wasm-rt.h that such code calls. Beside wabt's it adds what a server
 * needs: several instances on several threads, memory that is capped and given
 * back, traps that never abort, and a way to stop a call from outside.
 *
 * Memory: 8 GiB of addresses are reserved for each instance, so that every
 * 32-bit address plus offset falls into it; what lies beyond the memory's size
 * faults, and the fault becomes a trap. (With sanitizers the generated code
 * checks bounds itself: WASM_RT_MEMCHECK_SIGNAL_HANDLER=0.)
 *
 * Threads: a call belongs to the thread that makes it.
 */
#ifndef TESSERA_SERVER_WASM2C_RUNTIME_H
#define TESSERA_SERVER_WASM2C_RUNTIME_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One call into generated code, from entry to return. Nested ones do not occur:
 * imports must not call exports. */
typedef struct tess_wasm2c_call {
  sigjmp_buf jump;
  int trap; /* wasm_rt_trap_t */
  /* 1: in generated code, a signal may jump; 0: in the host, it must not. */
  volatile sig_atomic_t in_guest;
  _Atomic bool interrupted;
  bool interrupt_seen;
  pthread_t thread;
} tess_wasm2c_call;

/* Handlers for faults and for interruption, once a process. False: the system
 * refused. */
bool tess_wasm2c_runtime_init(void);
/* The calling thread can take a stack overflow: gives it an alternate signal
 * stack. */
bool tess_wasm2c_thread_init(void);
void tess_wasm2c_thread_cleanup(void);

/* Memories and tables made by this thread from now on stay under the limit.
 * 0: none. */
void tess_wasm2c_set_memory_limit(uint64_t bytes);

/* Calls are made by the thread that does this. */
void tess_wasm2c_call_init(tess_wasm2c_call *call);
/* Marks the calling thread as being in `call`, until leave. Between the two,
 * sigsetjmp(call->jump) catches traps. */
void tess_wasm2c_enter(tess_wasm2c_call *call);
void tess_wasm2c_leave(void);
/* Around every import: the host's code is never jumped out of by a signal.
 * resume() traps if an interruption came meanwhile. */
void tess_wasm2c_pause(void);
void tess_wasm2c_resume(void);
/* Traps, from an import after resume(). */
_Noreturn void tess_wasm2c_trap(void);

/* Any thread: makes the call in progress, or the next one, trap. */
void tess_wasm2c_interrupt(tess_wasm2c_call *call);

const char *tess_wasm2c_trap_text(const tess_wasm2c_call *call);

#endif
