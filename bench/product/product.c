/* SPDX-License-Identifier: Apache-2.0
 *
 * One way to compute C = A B for square float32 matrices, operands in memory to
 * result in memory, for bench/product/bench_product.py. Reads lines; for each it
 * computes one product, checks some of it, and prints
 *
 *   MILLISECONDS BYTES_SENT BYTES_RECEIVED      bytes of elements; here: 0 0
 *
 * A line says which operands: "cold", new ones, which nobody has seen; "one", a new
 * A and the B of before; "warm", those of before. Those of before go by their names,
 * as those of a client that puts a matrix once; making and naming is not timed.
 *
 *   bench-product N blas THREADS            OpenBLAS in this process
 *   bench-product N workers CHECK URL...    the controller in this process, tiles on workers
 *   bench-product N server CHECK URL        a tessera-server
 *
 * CHECK: never, always, adaptive, or - for what is configured.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>
#include <tessera/pool.h>

#include "matmul/gemm.h"
#include "matmul/sha256.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"
#include "program/lanes.h"
#include "wasm/controller.h"

enum { MAX_WORKERS = 16, TILES_IN_FLIGHT = 3 };

/* Answers are received into memory that stays warm, as in every long-lived client. */
#define WARM_BYTES ((size_t)1 << 30)

typedef struct bench {
  uint32_t n;
  float *a, *b, *c;
  uint8_t a_name[TESS_SHA256_BYTES], b_name[TESS_SHA256_BYTES];
  bool a_named, b_named; /* by this line */
  uint32_t random;
  tess_check check;
  uint64_t sent, received;
  program_lanes lanes;
  tess_pool *pool;
  /* workers */
  tess_controller *controller;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool woken, done;
  tess_code code;
  char message[256];
  /* server */
  tess_client *client;
} bench;

static double now_ms(void *unused) {
  struct timespec now;
  (void)unused;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static size_t elements(const bench *x) {
  return (size_t)x->n * x->n;
}

/* ---- OpenBLAS here ---- */

static tess_code run_blas(bench *x) {
  int n = (int)x->n;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0F, x->a, n, x->b, n, 0.0F,
              x->c, n);
  return TESS_OK;
}

/* ---- the controller here ---- */

static void lock_hook(void *ctx) {
  pthread_mutex_lock(&((bench *)ctx)->mutex);
}

static void unlock_hook(void *ctx) {
  pthread_mutex_unlock(&((bench *)ctx)->mutex);
}

static void wake_hook(void *ctx) {
  bench *x = ctx;
  pthread_mutex_lock(&x->mutex);
  x->woken = true;
  pthread_cond_signal(&x->changed);
  pthread_mutex_unlock(&x->mutex);
}

static void log_hook(void *ctx, int32_t level, const char *text, size_t size) {
  (void)ctx;
  if (level >= 2) {
    fprintf(stderr, "bench-product: %.*s\n", (int)size, text);
  }
}

static void on_done(void *ctx, tess_job *job, const tess_job_report *report) {
  bench *x = ctx;
  (void)job;
  x->done = true;
  x->code = report->code;
  x->sent = report->bytes_sent;
  x->received = report->bytes_received;
  snprintf(x->message, sizeof x->message, "%s", report->message);
  if (report->code == TESS_OK && report->local_tiles > 0) {
    x->code = TESS_UNAVAILABLE;
    snprintf(x->message, sizeof x->message, "%u tiles were computed here", report->local_tiles);
  }
}

static tess_code start_workers(bench *x, int count, char **urls, tess_status *status) {
  tess_tile_executor *workers[MAX_WORKERS];
  const tess_executor_local_options local = {.now_ms = now_ms};
  for (int i = 0; i < count; i++) {
    const tess_executor_proxy_options proxy = {
        .allocator = tess_pool_allocator(x->pool),
        .transport = x->lanes.transports[(size_t)i % x->lanes.count],
        .url = urls[i],
        .capacity = TILES_IN_FLIGHT,
        .sync = {lock_hook, unlock_hook, wake_hook, x}};
    workers[i] = tess_executor_proxy_new(&proxy, status);
    if (workers[i] == NULL) {
      return status->code;
    }
  }
  const tess_controller_options options = {.host = {now_ms, log_hook, x},
                                           .mode = TESS_MODE_PROXY,
                                           .local = tess_executor_local_new(&local),
                                           .workers = workers,
                                           .worker_count = (uint32_t)count};
  x->controller = tess_controller_new(&options, status);
  return x->controller != NULL ? TESS_OK : status->code;
}

/* With the mutex held: until somebody wakes us, or so long; < 0: no limit. */
static void sleep_for(bench *x, double ms) {
  struct timespec until;
  if (ms < 0.0) {
    pthread_cond_wait(&x->changed, &x->mutex);
    return;
  }
  clock_gettime(CLOCK_REALTIME, &until);
  double seconds = ms / 1e3 + (double)until.tv_nsec / 1e9;
  until.tv_sec += (time_t)seconds;
  until.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9);
  pthread_cond_timedwait(&x->changed, &x->mutex, &until);
}

/* A whole operand, by its name; name NULL: it has none. */
static tess_operand_block operand(const bench *x, const float *data, const uint8_t *name) {
  return (tess_operand_block){
      .name = name, .block = tess_const_matrix_packed(data, x->n, x->n, TESS_DTYPE_FLOAT32)};
}

static tess_code run_workers(bench *x) {
  uint32_t n = x->n;
  tess_job_params params = {.gemm = {.a = tess_const_matrix_packed(x->a, n, n, TESS_DTYPE_FLOAT32),
                                     .b = tess_const_matrix_packed(x->b, n, n, TESS_DTYPE_FLOAT32),
                                     .c = tess_matrix_packed(x->c, n, n, TESS_DTYPE_FLOAT32),
                                     .alpha = 1.0},
                            .a_block = operand(x, x->a, x->a_named ? x->a_name : NULL),
                            .b_block = operand(x, x->b, x->b_named ? x->b_name : NULL),
                            .check = x->check,
                            .done = on_done,
                            .ctx = x};
  tess_job *job;
  tess_reason reason;
  x->done = false;
  tess_code code = tess_controller_submit(x->controller, &params, &job, &reason);
  while (code == TESS_OK && !x->done) {
    double wait = tess_controller_step(x->controller);
    pthread_mutex_lock(&x->mutex);
    if (!x->done && wait != 0.0 && !x->woken) {
      sleep_for(x, wait);
    }
    x->woken = false;
    pthread_mutex_unlock(&x->mutex);
  }
  return code == TESS_OK ? x->code : code;
}

/* ---- a server ---- */

static tess_code run_server(bench *x) {
  Tessera__Matmul__V1__MatmulRequest request = TESSERA__MATMUL__V1__MATMUL_REQUEST__INIT;
  Tessera__Matmul__V1__Matrix a = TESSERA__MATMUL__V1__MATRIX__INIT, b = a;
  Tessera__Matmul__V1__TileResult result;
  tess_status status = TESS_STATUS_INIT;
  tess_arena arena;
  size_t bytes = elements(x) * sizeof(float);
  a.rows = a.cols = b.rows = b.cols = x->n;
  a.dtype = b.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32;
  a.data = (ProtobufCBinaryData){bytes, (uint8_t *)x->a};
  b.data = (ProtobufCBinaryData){bytes, (uint8_t *)x->b};
  request.a = &a;
  request.b = &b;
  request.check = (Tessera__Matmul__V1__Check)x->check;
  tess_arena_init(&arena, tess_pool_allocator(x->pool), 0);
  const tess_call_options options = {.arena = &arena};
  tess_code code =
      tessera_matmul_v1_matmul_service_multiply(x->client, &options, &request, &result, &status);
  if (code == TESS_OK && (result.c == NULL || result.c->data.len != bytes)) {
    code = tess_status_set(&status, TESS_DATA_LOSS, "a result of the wrong size");
  }
  if (code == TESS_OK) {
    memcpy(x->c, result.c->data.data, bytes);
    x->sent = result.stats != NULL ? result.stats->bytes_sent : 0;
    x->received = result.stats != NULL ? result.stats->bytes_received : 0;
  }
  snprintf(x->message, sizeof x->message, "%s", status.message != NULL ? status.message : "");
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  return code;
}

/* ---- all ---- */

/* Small integers: every sum is exact in float32. The numbers do not repeat, so no
 * part of a new matrix is one that somebody holds. */
static void fill(bench *x, float *matrix) {
  uint32_t state = x->random;
  for (size_t i = 0; i < elements(x); i++) {
    state = state * 1664525U + 1013904223U;
    matrix[i] = (float)(((state >> 24) * 11U) >> 8) - 5.0F;
  }
  x->random = state * 2654435761U + 12345U;
}

static bool name(const bench *x, const float *matrix, uint8_t *name) {
  tess_sha256 hash;
  if (tess_sha256_start(&hash) != TESS_OK) {
    return false;
  }
  tess_sha256_add(&hash, matrix, elements(x) * sizeof(float));
  return tess_sha256_finish(&hash, name) == TESS_OK;
}

static bool new_operands(bench *x, const char *word) {
  const bool cold = strcmp(word, "cold\n") == 0, one = strcmp(word, "one\n") == 0;
  if (!cold && !one && strcmp(word, "warm\n") != 0) {
    return false;
  }
  if (cold || one) {
    fill(x, x->a);
  }
  if (cold) {
    fill(x, x->b);
  }
  x->a_named = !cold && !one;
  x->b_named = !cold;
  return (!x->a_named || name(x, x->a, x->a_name)) && (!x->b_named || name(x, x->b, x->b_name));
}

static bool is_right(const bench *x) {
  for (uint32_t at = 0; at < 64; at++) {
    uint32_t row = at * 2654435761U % x->n, col = at * 40503U % x->n;
    float sum = 0;
    for (uint32_t i = 0; i < x->n; i++) {
      sum += x->a[(size_t)row * x->n + i] * x->b[(size_t)i * x->n + col];
    }
    if (x->c[(size_t)row * x->n + col] != sum) {
      return false;
    }
  }
  return true;
}

static int fail(const char *what) {
  fprintf(stderr, "bench-product: %s\n", what);
  return 1;
}

static bool parse_check(const char *word, tess_check *check) {
  static const struct {
    const char *word;
    tess_check check;
  } words[] = {{"-", TESS_CHECK_UNSPECIFIED},
               {"never", TESS_CHECK_NEVER},
               {"always", TESS_CHECK_ALWAYS},
               {"adaptive", TESS_CHECK_ADAPTIVE}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(word, words[i].word) == 0) {
      *check = words[i].check;
      return true;
    }
  }
  return false;
}

static int usage(void) {
  fprintf(stderr,
          "usage: bench-product N blas THREADS | workers CHECK URL... | server CHECK URL\n");
  return 2;
}

static int serve(bench *x, tess_code (*run)(bench *)) {
  char line[16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (!new_operands(x, line)) {
      return fail("no new operands, or a line that is none of cold, one, warm");
    }
    double start = now_ms(NULL);
    tess_code code = run(x);
    double elapsed = now_ms(NULL) - start;
    if (code != TESS_OK) {
      return fail(x->message);
    }
    if (!is_right(x)) {
      return fail("the product is wrong");
    }
    memset(x->c, 0, elements(x) * sizeof(float));
    printf("%.3f %llu %llu\n", elapsed, (unsigned long long)x->sent,
           (unsigned long long)x->received);
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  bench x = {.mutex = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER,
             .random = (uint32_t)time(NULL)};
  tess_status status = TESS_STATUS_INIT;
  tess_code (*run)(bench *) = NULL;
  const bool blas = argc == 4 && strcmp(argv[2], "blas") == 0;
  if (!blas && (argc < 5 || argc - 4 > MAX_WORKERS || !parse_check(argv[3], &x.check))) {
    return usage();
  }
  x.n = (uint32_t)strtoul(argv[1], NULL, 10);
  x.a = malloc(elements(&x) * sizeof(float));
  x.b = malloc(elements(&x) * sizeof(float));
  x.c = calloc(elements(&x), sizeof(float));
  if (x.a == NULL || x.b == NULL || x.c == NULL) {
    return fail("out of memory");
  }
  if (blas) {
    openblas_set_num_threads(atoi(argv[3]));
    run = run_blas;
  } else {
    const tess_code opened = program_lanes_open(&x.lanes, NULL, &status);
    x.pool = tess_pool_new(SIZE_MAX, WARM_BYTES);
    if (x.pool == NULL) {
      return fail("out of memory");
    }
    if (opened == TESS_OK && strcmp(argv[2], "workers") == 0) {
      run = start_workers(&x, argc - 4, argv + 4, &status) == TESS_OK ? run_workers : NULL;
    } else if (opened == TESS_OK && strcmp(argv[2], "server") == 0) {
      const tess_client_options options = {.transport = x.lanes.transports[0],
                                           .base_url = argv[4],
                                           .max_response_bytes = (size_t)1 << 31};
      x.client = tess_client_new(&options, &status);
      run = x.client != NULL ? run_server : NULL;
    }
  }
  int result =
      run != NULL ? serve(&x, run) : fail(status.message != NULL ? status.message : "cannot start");
  tess_controller_free(x.controller);
  tess_client_free(x.client);
  program_lanes_close(&x.lanes);
  tess_pool_free(x.pool);
  tess_status_cleanup(&status);
  free(x.a);
  free(x.b);
  free(x.c);
  return result;
}
