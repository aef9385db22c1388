/* SPDX-License-Identifier: Apache-2.0
 *
 * The libcurl transport alone. Prints numbers, one a line.
 *   bench-http-client URL latency CALLS BYTES   microseconds of a blocking call: median, and
 *                                               client CPU of one; then the same without
 *                                               caller_waits (a hop to the transport's thread)
 *   bench-http-client URL upload BYTES SECONDS  GB/s to URL/sink
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <tessera/transport_curl.h>

typedef struct call {
  tess_http_outgoing base;
  tess_slice body;
  bool sent;
  _Atomic bool over;
  tess_code code;
  int status;
  size_t received;
} call;

static tess_http_body_state next_body(tess_http_outgoing *o, tess_slice *slice) {
  call *c = (call *)o;
  if (c->sent) return TESS_BODY_END;
  c->sent = true;
  *slice = c->body;
  return TESS_BODY_DATA;
}

static bool rewind_body(tess_http_outgoing *o) {
  ((call *)o)->sent = false;
  return true;
}

static void on_head(tess_http_outgoing *o, int status, const tess_metadata *headers,
                    int64_t content_length) {
  (void)headers;
  (void)content_length;
  ((call *)o)->status = status;
}

static bool on_body(tess_http_outgoing *o, tess_chunk *chunk) {
  ((call *)o)->received += chunk->size;
  return true;
}

static void on_end(tess_http_outgoing *o, tess_code code, const char *detail) {
  call *c = (call *)o;
  if (code != TESS_OK) fprintf(stderr, "bench-http-client: %s\n", detail != NULL ? detail : "?");
  c->code = code;
  atomic_store(&c->over, true);
}

static bool is_over(void *ctx) {
  return atomic_load(&((call *)ctx)->over);
}

static const tess_http_outgoing_ops ops = {.next_body = next_body,
                                           .rewind_body = rewind_body,
                                           .on_head = on_head,
                                           .on_body = on_body,
                                           .on_end = on_end};
static tess_metadata_entry type = {"content-type", "application/proto", 17};
static const tess_metadata headers = {.entries = &type, .count = 1};

static bool run(tess_transport *t, const char *url, const void *data, size_t size, bool waits) {
  call c = {.base = {.ops = &ops,
                     .method = "POST",
                     .url = url,
                     .headers = &headers,
                     .content_length = (int64_t)size,
                     .deadline_ms = TESS_NEVER_MS,
                     .caller_waits = waits},
            .body = {data, size}};
  if (t->ops->start(t, &c.base, NULL) != TESS_OK) return false;
  t->ops->wait(t, is_over, &c, TESS_NEVER_MS);
  return c.code == TESS_OK && c.status == 200;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool latency(tess_transport *t, const char *url, size_t calls, size_t size) {
  double *took = malloc(calls * sizeof *took);
  char *data = calloc(1, size + 1);
  bool ok = took != NULL && data != NULL;
  for (int hop = 0; ok && hop < 2; hop++) {
    double cpu_before = cpu();
    for (size_t i = 0; ok && i < calls; i++) {
      double began = now();
      ok = run(t, url, data, size, hop == 0);
      took[i] = now() - began;
    }
    qsort(took, calls, sizeof *took, by_value);
    printf("%.2f\n%.2f\n", took[calls / 2] * 1e6, (cpu() - cpu_before) / (double)calls * 1e6);
  }
  free(took);
  free(data);
  return ok;
}

static bool upload(tess_transport *t, const char *url, size_t size, double seconds) {
  char *data = malloc(size);
  if (data == NULL) return false;
  memset(data, 'x', size);
  bool ok = run(t, url, data, size, true); /* warm */
  size_t calls = 0;
  double began = now();
  for (; ok && (calls == 0 || now() - began < seconds); calls++)
    ok = run(t, url, data, size, true);
  printf("%.4f\n", (double)size * (double)calls / (now() - began) / 1e9);
  free(data);
  return ok;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: bench-http-client URL latency CALLS BYTES | upload BYTES SECONDS\n");
    return 2;
  }
  tess_transport *t = tess_transport_curl_new(NULL, NULL);
  if (t == NULL) return 1;
  char url[256];
  bool uploads = strcmp(argv[2], "upload") == 0;
  snprintf(url, sizeof url, "%s/%s", argv[1], uploads ? "sink" : "echo");
  bool ok = uploads ? upload(t, url, strtoull(argv[3], NULL, 10), strtod(argv[4], NULL))
                    : latency(t, url, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
  t->ops->free(t);
  return ok ? 0 : 1;
}
