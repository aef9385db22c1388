/* SPDX-License-Identifier: Apache-2.0
 *
 * One way to compute C = A B for square float32 matrices, operands in memory to
 * result in memory, for bench/product/bench_product.py. Reads lines; for each it
 * computes one product, checks some of it, and prints the milliseconds.
 *
 *   bench-product N blas THREADS      OpenBLAS in this process
 *   bench-product N workers URL...    the controller in this process, tiles on workers
 *   bench-product N server URL        a tessera-server
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>
#include <tessera/transport_curl.h>

#include "matmul/gemm.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"
#include "wasm/controller.h"

enum { MAX_WORKERS = 16, TILES_IN_FLIGHT = 2 };

typedef struct bench {
  uint32_t n;
  float *a, *b, *c;
  tess_transport *transport;
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
    const tess_executor_proxy_options proxy = {.transport = x->transport,
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

static tess_code run_workers(bench *x) {
  uint32_t n = x->n;
  tess_job_params params = {.gemm = {.a = tess_const_matrix_packed(x->a, n, n, TESS_DTYPE_FLOAT32),
                                     .b = tess_const_matrix_packed(x->b, n, n, TESS_DTYPE_FLOAT32),
                                     .c = tess_matrix_packed(x->c, n, n, TESS_DTYPE_FLOAT32),
                                     .alpha = 1.0},
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
      pthread_cond_wait(&x->changed, &x->mutex);
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
  tess_arena_init(&arena, NULL, 0);
  const tess_call_options options = {.arena = &arena};
  tess_code code =
      tessera_matmul_v1_matmul_service_multiply(x->client, &options, &request, &result, &status);
  if (code == TESS_OK && (result.c == NULL || result.c->data.len != bytes)) {
    code = tess_status_set(&status, TESS_DATA_LOSS, "a result of the wrong size");
  }
  if (code == TESS_OK) {
    memcpy(x->c, result.c->data.data, bytes);
  }
  snprintf(x->message, sizeof x->message, "%s", status.message != NULL ? status.message : "");
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  return code;
}

/* ---- all ---- */

/* Small integers: every sum is exact in float32. */
static void fill(bench *x) {
  for (size_t i = 0; i < elements(x); i++) {
    x->a[i] = (float)(i * 7 % 11) - 5.0F;
    x->b[i] = (float)(i * 13 % 9) - 4.0F;
  }
}

static bool check(const bench *x) {
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

int main(int argc, char **argv) {
  bench x = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  tess_status status = TESS_STATUS_INIT;
  tess_code (*run)(bench *) = NULL;
  char line[16];
  if (argc < 4 || argc - 3 > MAX_WORKERS) {
    fprintf(stderr, "usage: bench-product N blas THREADS | workers URL... | server URL\n");
    return 2;
  }
  x.n = (uint32_t)strtoul(argv[1], NULL, 10);
  x.a = malloc(elements(&x) * sizeof(float));
  x.b = malloc(elements(&x) * sizeof(float));
  x.c = calloc(elements(&x), sizeof(float));
  if (x.a == NULL || x.b == NULL || x.c == NULL) {
    return fail("out of memory");
  }
  fill(&x);
  if (strcmp(argv[2], "blas") == 0) {
    openblas_set_num_threads(atoi(argv[3]));
    run = run_blas;
  } else {
    x.transport = tess_transport_curl_new(NULL, &status);
    if (x.transport != NULL && strcmp(argv[2], "workers") == 0) {
      run = start_workers(&x, argc - 3, argv + 3, &status) == TESS_OK ? run_workers : NULL;
    } else if (x.transport != NULL) {
      const tess_client_options options = {
          .transport = x.transport, .base_url = argv[3], .max_response_bytes = (size_t)1 << 31};
      x.client = tess_client_new(&options, &status);
      run = x.client != NULL ? run_server : NULL;
    }
  }
  if (run == NULL) {
    return fail(status.message != NULL ? status.message : "cannot start");
  }
  while (fgets(line, sizeof line, stdin) != NULL) {
    double start = now_ms(NULL);
    tess_code code = run(&x);
    double elapsed = now_ms(NULL) - start;
    if (code != TESS_OK) {
      return fail(x.message);
    }
    if (!check(&x)) {
      return fail("the product is wrong");
    }
    memset(x.c, 0, elements(&x) * sizeof(float));
    printf("%.3f\n", elapsed);
    fflush(stdout);
  }
  tess_controller_free(x.controller);
  tess_client_free(x.client);
  if (x.transport != NULL) {
    x.transport->ops->free(x.transport);
  }
  return 0;
}
