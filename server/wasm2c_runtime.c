/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wasm2c_runtime.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wasm-rt.h"

#define PAGE_BYTES 65536u
#define RESERVED_BYTES (UINT64_C(8) << 30)
#define ALTERNATE_STACK_BYTES 65536u
#define MAX_FUNCTION_TYPES 4096u
/* Not SIGUSR1, which JavaScriptCore takes. */
#define INTERRUPT_SIGNAL SIGUSR2

static _Thread_local tess_wasm2c_call *volatile current;
static _Thread_local uint64_t memory_limit;
static _Thread_local void *alternate_stack;

#if WASM_RT_USE_STACK_DEPTH_COUNT
/* wabt declares it without thread-local storage; calls of the generated code
 * from two threads would count together, which only makes the bound stricter. */
uint32_t wasm_rt_call_stack_depth;
#endif

/* ---- traps ---- */

static _Noreturn void jump_out(int trap) {
  tess_wasm2c_call *call = current;
  call->in_guest = 0;
  call->trap = trap;
  siglongjmp(call->jump, 1);
}

void wasm_rt_trap(wasm_rt_trap_t trap) {
  /* Generated code runs between enter and leave alone. */
  jump_out((int)trap);
}

void tess_wasm2c_trap(void) {
  jump_out(WASM_RT_TRAP_UNREACHABLE);
}

const char *tess_wasm2c_trap_text(const tess_wasm2c_call *call) {
  if (call->interrupt_seen) return "stopped by the host: it ran for too long";
  switch ((wasm_rt_trap_t)call->trap) {
    case WASM_RT_TRAP_NONE:
      break;
    case WASM_RT_TRAP_OOB:
      return "access outside memory";
    case WASM_RT_TRAP_INT_OVERFLOW:
      return "integer overflow";
    case WASM_RT_TRAP_DIV_BY_ZERO:
      return "division by zero";
    case WASM_RT_TRAP_INVALID_CONVERSION:
      return "NaN converted to an integer";
    case WASM_RT_TRAP_UNREACHABLE:
      return "unreachable code";
    case WASM_RT_TRAP_CALL_INDIRECT:
      return "wrong type of an indirect call";
    case WASM_RT_TRAP_UNCAUGHT_EXCEPTION:
      return "uncaught exception";
    case WASM_RT_TRAP_EXHAUSTION:
      return "call stack exhausted";
  }
  return "trap";
}

void tess_wasm2c_call_init(tess_wasm2c_call *call) {
  memset(call, 0, sizeof *call);
  call->thread = pthread_self();
}

void tess_wasm2c_enter(tess_wasm2c_call *call) {
  call->trap = 0;
  call->in_guest = 0;
  current = call;
  tess_wasm2c_resume();
}

void tess_wasm2c_leave(void) {
  current->in_guest = 0;
  current = NULL;
}

void tess_wasm2c_pause(void) {
  current->in_guest = 0;
}

void tess_wasm2c_resume(void) {
  tess_wasm2c_call *call = current;
  call->in_guest = 1;
  atomic_signal_fence(memory_order_seq_cst);
  /* An interruption that came while in_guest was 0 left only its mark. */
  if (atomic_load(&call->interrupted)) {
    call->interrupt_seen = true;
    jump_out(WASM_RT_TRAP_UNREACHABLE);
  }
}

void tess_wasm2c_interrupt(tess_wasm2c_call *call) {
  atomic_store(&call->interrupted, true);
  pthread_kill(call->thread, INTERRUPT_SIGNAL);
}

/* ---- signals ---- */

static struct sigaction old_segv, old_bus, old_interrupt;

static void pass_on(int signal, siginfo_t *info, void *context, const struct sigaction *old) {
  if ((old->sa_flags & SA_SIGINFO) != 0) {
    old->sa_sigaction(signal, info, context);
  } else if (old->sa_handler == SIG_DFL) {
    sigaction(signal, old, NULL); /* returning runs into it again, now for good */
  } else if (old->sa_handler != SIG_IGN) {
    old->sa_handler(signal);
  }
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  tess_wasm2c_call *call = current;
  if (call != NULL && call->in_guest) {
    /* Reserved pages of the memory: no access right. Else: the guard page of
     * the thread's stack. */
    jump_out(info->si_code == SEGV_ACCERR ? WASM_RT_TRAP_OOB : WASM_RT_TRAP_EXHAUSTION);
  }
  pass_on(signal, info, context, signal == SIGBUS ? &old_bus : &old_segv);
}

static void on_interrupt(int signal, siginfo_t *info, void *context) {
  tess_wasm2c_call *call = current;
  if (call == NULL) {
    if (old_interrupt.sa_handler != SIG_DFL) pass_on(signal, info, context, &old_interrupt);
    return;
  }
  if (call->in_guest && atomic_load(&call->interrupted)) {
    call->interrupt_seen = true;
    jump_out(WASM_RT_TRAP_UNREACHABLE);
  }
}

static bool handlers_installed;

static void install_handlers(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_sigaction = on_fault;
  bool ok = true;
#if WASM_RT_MEMCHECK_SIGNAL_HANDLER
  ok = sigaction(SIGSEGV, &action, &old_segv) == 0 && sigaction(SIGBUS, &action, &old_bus) == 0;
#endif
  action.sa_flags |= SA_RESTART;
  action.sa_sigaction = on_interrupt;
  handlers_installed = sigaction(INTERRUPT_SIGNAL, &action, &old_interrupt) == 0 && ok;
}

bool tess_wasm2c_runtime_init(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_handlers);
  return handlers_installed;
}

bool tess_wasm2c_thread_init(void) {
  if (alternate_stack != NULL) return true;
  stack_t old;
  if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE) == 0) return true;
  void *memory = malloc(ALTERNATE_STACK_BYTES);
  if (memory == NULL) return false;
  const stack_t stack = {.ss_sp = memory, .ss_size = ALTERNATE_STACK_BYTES};
  if (sigaltstack(&stack, NULL) != 0) {
    free(memory);
    return false;
  }
  alternate_stack = memory;
  return true;
}

void tess_wasm2c_thread_cleanup(void) {
  if (alternate_stack == NULL) return;
  const stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  free(alternate_stack);
  alternate_stack = NULL;
}

void tess_wasm2c_set_memory_limit(uint64_t bytes) {
  memory_limit = bytes;
}

/* ---- memory ---- */

/* A memory must be there when this returns: whoever instantiates does so
 * between enter and leave, and an impossible one traps. */
void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint32_t initial_pages, uint32_t max_pages) {
  memset(memory, 0, sizeof *memory);
  uint64_t most = memory_limit == 0 ? UINT64_C(65535) : memory_limit / PAGE_BYTES;
  if (most > 65535) most = 65535; /* `size` has 32 bits */
  if (max_pages < most) most = max_pages;
  if (initial_pages > most) wasm_rt_trap(WASM_RT_TRAP_OOB);
  void *reserved =
      mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) wasm_rt_trap(WASM_RT_TRAP_OOB);
  size_t size = (size_t)initial_pages * PAGE_BYTES;
  if (size > 0 && mprotect(reserved, size, PROT_READ | PROT_WRITE) != 0) {
    munmap(reserved, RESERVED_BYTES);
    wasm_rt_trap(WASM_RT_TRAP_OOB);
  }
  memory->data = reserved;
  memory->pages = initial_pages;
  memory->max_pages = (uint32_t)most;
  memory->size = (uint32_t)size;
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t pages) {
  uint32_t old_pages = memory->pages;
  if (pages == 0) return old_pages;
  if (pages > memory->max_pages - old_pages) return UINT32_MAX;
  if (mprotect(memory->data + memory->size, (size_t)pages * PAGE_BYTES, PROT_READ | PROT_WRITE) !=
      0) {
    return UINT32_MAX;
  }
  memory->pages = old_pages + pages;
  memory->size = memory->pages * PAGE_BYTES;
  return old_pages;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory) {
  if (memory->data != NULL) munmap(memory->data, RESERVED_BYTES);
  memset(memory, 0, sizeof *memory);
}

/* ---- tables ---- */

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements,
                                    uint32_t max_elements) {
  table->size = 0;
  table->max_size = max_elements;
  table->data = calloc((size_t)elements + 1, sizeof *table->data);
  if (table->data == NULL) wasm_rt_trap(WASM_RT_TRAP_OOB);
  table->size = elements;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table) {
  free(table->data);
  table->data = NULL;
  table->size = 0;
}

/* ---- function types: one number for each signature, for the whole process ---- */

typedef struct function_type {
  uint32_t parameters, results;
  wasm_rt_type_t types[32];
} function_type;

static pthread_mutex_t types_lock = PTHREAD_MUTEX_INITIALIZER;
static function_type *types;
static uint32_t type_count;

static uint32_t find_or_add(const function_type *wanted) {
  for (uint32_t i = 0; i < type_count; i++) {
    if (types[i].parameters == wanted->parameters && types[i].results == wanted->results &&
        memcmp(types[i].types, wanted->types, sizeof wanted->types) == 0) {
      return i + 1;
    }
  }
  if (type_count == MAX_FUNCTION_TYPES) return 0;
  function_type *grown = realloc(types, (type_count + 1) * sizeof *types);
  if (grown == NULL) return 0;
  types = grown;
  types[type_count] = *wanted;
  return ++type_count;
}

/* 0, which no table entry has, when there is no room: such calls then trap. */
uint32_t wasm_rt_register_func_type(uint32_t parameters, uint32_t results, ...) {
  function_type wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.parameters = parameters;
  wanted.results = results;
  if (parameters + results > sizeof wanted.types / sizeof wanted.types[0]) return 0;
  va_list list;
  va_start(list, results);
  for (uint32_t i = 0; i < parameters + results; i++) {
    wanted.types[i] = (wasm_rt_type_t)va_arg(list, int);
  }
  va_end(list);
  pthread_mutex_lock(&types_lock);
  uint32_t number = find_or_add(&wanted);
  pthread_mutex_unlock(&types_lock);
  return number;
}
