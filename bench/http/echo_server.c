/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP adapter alone: an exchange that echoes the body (or, on /sink, takes
 * it and answers its size), with no protocol on it.
 * Usage: bench-http-server PORT
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/http_server.h>

typedef struct exchange {
  tess_http_exchange base;
  uint8_t *body;
  size_t size, want;
  bool sink, ended, answered;
  char text[32];
  tess_slice segment;
  uint8_t small[4096];
} exchange;

static tess_metadata_entry type = {"content-type", "application/proto", 17};
static const tess_metadata headers = {.entries = &type, .count = 1};

/* One warm body buffer a thread, as an allocator that keeps memory would give. */
static _Thread_local uint8_t *warm;
static _Thread_local size_t warm_size;

static void step(tess_http_exchange *base, int64_t now_ms, tess_http_step *out) {
  exchange *e = (exchange *)base;
  (void)now_ms;
  if (e->answered) return; /* TESS_HTTP_DONE */
  if (!e->ended) {
    out->want = TESS_HTTP_READ;
    out->read_data = e->body + e->size;
    out->read_size = e->want - e->size;
    return;
  }
  e->segment = (tess_slice){e->body, e->size};
  if (e->sink) {
    int n = snprintf(e->text, sizeof e->text, "%zu", e->size);
    e->segment = (tess_slice){e->text, (size_t)n};
  }
  out->want = TESS_HTTP_WRITE;
  out->status = 200;
  out->headers = &headers;
  out->content_length = (int64_t)e->segment.size;
  out->segments = &e->segment;
  out->segment_count = 1;
  out->last = true;
  e->answered = true;
}

static void did_read(tess_http_exchange *base, size_t size, bool end, int64_t now_ms) {
  exchange *e = (exchange *)base;
  (void)now_ms;
  e->size += size;
  e->ended = end;
}

static void did_write(tess_http_exchange *base, int64_t now_ms) {
  (void)base;
  (void)now_ms;
}

static void end(tess_http_exchange *base, tess_code why, int64_t now_ms) {
  (void)base;
  (void)why;
  (void)now_ms;
}

static void release(tess_http_exchange *base) {
  free(base);
}

static const tess_http_exchange_ops ops = {
    .step = step, .did_read = did_read, .did_write = did_write, .abort = end, .free = release};

static tess_http_exchange *open_exchange(void *ctx, const tess_http_request *request,
                                         tess_waker waker, int64_t now_ms) {
  (void)ctx;
  (void)waker;
  (void)now_ms;
  exchange *e = malloc(sizeof *e);
  if (e == NULL) return NULL;
  e->base.ops = &ops;
  e->size = 0;
  e->want = request->content_length > 0 ? (size_t)request->content_length : 0;
  e->ended = e->want == 0;
  e->answered = false;
  e->sink = strcmp(request->path, "/sink") == 0;
  e->body = e->small;
  if (e->want > sizeof e->small) {
    if (warm_size < e->want) {
      free(warm);
      warm = malloc(e->want);
      warm_size = warm != NULL ? e->want : 0;
    }
    if (warm == NULL) {
      free(e);
      return NULL;
    }
    e->body = warm;
  }
  return &e->base;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: bench-http-server PORT\n");
    return 2;
  }
  char listen[64];
  snprintf(listen, sizeof listen, "127.0.0.1:%s", argv[1]);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, NULL);
  tess_status status = TESS_STATUS_INIT;
  tess_http_server_options options = {.listen = listen, .handler = {open_exchange, NULL}};
  tess_http_server *server = tess_http_server_start(&options, &status);
  if (server == NULL) {
    fprintf(stderr, "bench-http-server: %s\n", status.message != NULL ? status.message : "?");
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(server));
  fflush(stdout);
  int signal_number;
  sigwait(&set, &signal_number);
  tess_http_server_free(server);
  return 0;
}
