/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest that speaks wasm/abi.h and does what a test asks of it: echoes,
 * streams, posts, sleeps, traps, runs out of memory, breaks the contract. The
 * tests of the JavaScript host (tests/node/host.test.mjs) call it by path.
 * Freestanding wasm32; its memory is a table of fixed slots.
 */
#include "wasm/abi.h"

#include <stddef.h>

#define IMPORT(name) __attribute__((import_module(TESS_ABI_MODULE), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(http_post)
int32_t http_post(const char *url, uint32_t url_len, const char *headers, uint32_t headers_len,
                  const tess_abi_iov *iov, uint32_t count, double timeout_ms);
IMPORT(http_cancel) void http_cancel(int32_t handle);
IMPORT(http_reply)
int32_t http_reply(int32_t request, int32_t status, const char *headers, uint32_t headers_len,
                   const tess_abi_iov *iov, uint32_t count, int32_t flags);
IMPORT(http_reply_more)
int32_t http_reply_more(int32_t request, const tess_abi_iov *iov, uint32_t count, int32_t flags);
IMPORT(now_ms) double now_ms(void);
IMPORT(log) void log_line(int32_t level, const char *text, uint32_t len);
IMPORT(random) void random_bytes(void *p, uint32_t len);

/* ---- memory: blocks one after the other; all is free again when none lives ---- */

extern unsigned char __heap_base;
static uintptr_t heap_at;
static uint32_t live_blocks;
static uint32_t fail_allocs; /* the next ones fail */

EXPORT(alloc) void *probe_alloc(uint32_t size) {
  if (fail_allocs > 0) {
    fail_allocs--;
    return NULL;
  }
  if (heap_at == 0 || live_blocks == 0) heap_at = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  uintptr_t end = heap_at + ((size + 15u) & ~15u);
  uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1)
    return NULL;
  void *p = (void *)heap_at;
  heap_at = end;
  live_blocks++;
  return p;
}

EXPORT(free) void probe_free(void *p) {
  if (p != NULL) live_blocks--;
}

/* ---- text ---- */

static uint32_t length(const char *s) {
  uint32_t n = 0;
  while (s[n] != 0)
    n++;
  return n;
}

static int contains(const char *text, uint32_t len, const char *what) {
  uint32_t n = length(what);
  for (uint32_t i = 0; i + n <= len; i++) {
    uint32_t same = 0;
    while (same < n && text[i + same] == what[same])
      same++;
    if (same == n) return 1;
  }
  return 0;
}

static int is(const char *text, uint32_t len, const char *what) {
  return len == length(what) && contains(text, len, what);
}

static uint32_t put_number(char *out, uint32_t n) {
  char digits[10];
  uint32_t count = 0, written = 0;
  do
    digits[count++] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  while (count > 0)
    out[written++] = digits[--count];
  return written;
}

static uint32_t put_text(char *out, const char *text) {
  uint32_t n = length(text);
  for (uint32_t i = 0; i < n; i++)
    out[i] = text[i];
  return n;
}

/* ---- replies ---- */

static const char HEADERS[] = "content-type: application/octet-stream\r\nx-probe: yes\r\n";

static tess_abi_iov piece(const void *data, uint32_t size) {
  return (tess_abi_iov){(uint32_t)(uintptr_t)data, size};
}

static int32_t reply(int32_t id, int32_t status, const void *data, uint32_t size, int32_t flags) {
  /* In two pieces and an empty one between: hosts must join them. */
  tess_abi_iov iov[3] = {piece(data, size / 2), piece(NULL, 0),
                         piece((const char *)data + size / 2, size - size / 2)};
  return http_reply(id, status, HEADERS, sizeof HEADERS - 1, iov, 3, flags);
}

/* ---- what is going on ---- */

enum { PENDING_MAX = 64, CHUNK = 65536 };
enum { NONE, NEVER, SLEEP, STREAM, POST, TRAP };
static struct pending {
  int32_t id, what, handle;
  double due_ms;
  uint32_t left;
  int blocked;
} pending[PENDING_MAX];
static uint32_t loops, cancels, refused_replies, most_unread;
static unsigned char chunk[CHUNK];

static struct pending *add(int32_t id, int32_t what) {
  for (int i = 0; i < PENDING_MAX; i++)
    if (pending[i].what == NONE) {
      pending[i] = (struct pending){.id = id, .what = what};
      return &pending[i];
    }
  __builtin_trap();
}

static struct pending *find(int32_t id) {
  for (int i = 0; i < PENDING_MAX; i++)
    if (pending[i].what != NONE && pending[i].id == id) return &pending[i];
  return NULL;
}

EXPORT(abi_version) int32_t probe_abi_version(void) {
  return TESS_ABI_VERSION;
}

static char configuration[4096];
static uint32_t configuration_len;

EXPORT(configure) int32_t probe_configure(char *text, uint32_t len) {
  static const char why[] = "threshold_ms=666 is not to my taste";
  int bad = contains(text, len, "threshold_ms=666\n");
  if (contains(text, len, "threshold_ms=667\n")) __builtin_trap();
  for (uint32_t i = 0; i < len && i < sizeof configuration; i++)
    configuration[configuration_len++] = text[i];
  probe_free(text);
  if (bad) log_line(TESS_ABI_LOG_ERROR, why, sizeof why - 1);
  return bad ? -1 : 0;
}

/* "/post": the body is a URL, a line end, and what to post there. */
static void post(int32_t id, const char *body, uint32_t len) {
  static const char headers[] = "content-type: text/plain\r\nx-from: probe\r\n";
  uint32_t url_len = 0;
  while (url_len < len && body[url_len] != '\n')
    url_len++;
  uint32_t start = url_len < len ? url_len + 1 : len;
  tess_abi_iov iov[2] = {piece(body + start, (len - start) / 2),
                         piece(body + start + (len - start) / 2, len - start - (len - start) / 2)};
  int32_t handle = http_post(body, url_len, headers, sizeof headers - 1, iov, 2, 500);
  if (handle <= 0) {
    char text[16] = "refused ";
    uint32_t n = 8 + put_number(text + 8, (uint32_t)-handle);
    reply(id, 502, text, n, 0);
    return;
  }
  add(id, POST)->handle = handle;
}

static int32_t serve(int32_t id, const char *path, uint32_t path_len, const char *headers,
                     uint32_t headers_len, const char *body, uint32_t len) {
  if (is(path, path_len, "/echo")) {
    reply(id, 200, body, len, 0);
  } else if (is(path, path_len, "/headers")) {
    reply(id, 200, headers, headers_len, 0);
  } else if (is(path, path_len, "/configuration")) {
    reply(id, 200, configuration, configuration_len, 0);
  } else if (is(path, path_len, "/never")) {
    add(id, NEVER);
  } else if (is(path, path_len, "/sleep")) {
    add(id, SLEEP)->due_ms = now_ms() + 60;
  } else if (is(path, path_len, "/stream")) { /* 200 chunks of 64 KiB */
    reply(id, 200, "begin", 5, TESS_ABI_REPLY_MORE);
    add(id, STREAM)->left = 200;
  } else if (is(path, path_len, "/stream-trap")) {
    reply(id, 200, "begin", 5, TESS_ABI_REPLY_MORE);
    add(id, TRAP)->due_ms = now_ms() + 20;
  } else if (is(path, path_len, "/post")) {
    post(id, body, len);
  } else if (is(path, path_len, "/trap")) {
    __builtin_trap();
  } else if (is(path, path_len, "/trap-later")) {
    add(id, TRAP);
  } else if (is(path, path_len, "/bad-pointer")) {
    reply(id, 200, (const void *)0x7fff0000, 100000, 0);
  } else if (is(path, path_len, "/huge-pieces")) {
    tess_abi_iov iov[2] = {piece(chunk, 0xffffffff), piece(chunk, 0xffffffff)};
    http_reply(id, 200, HEADERS, sizeof HEADERS - 1, iov, 2, 0);
  } else if (is(path, path_len, "/bad-headers")) {
    http_reply(id, 200, "no colon here\r\n", 15, NULL, 0, 0);
  } else if (is(path, path_len, "/full")) {
    return -1;
  } else if (is(path, path_len, "/no-memory-next")) { /* also for the reply of a post */
    fail_allocs = 1;
    reply(id, 200, NULL, 0, 0);
  } else if (is(path, path_len, "/random")) {
    static unsigned char noise[100000];
    random_bytes(noise, sizeof noise);
    reply(id, 200, noise, sizeof noise, 0);
  } else if (is(path, path_len, "/twice")) {
    reply(id, 200, "once", 4, 0);
    if (reply(id, 200, "again", 5, 0) < 0) refused_replies++;
  } else if (is(path, path_len, "/grow")) { /* the memory moves between alloc and reply */
    __builtin_wasm_memory_grow(0, 16);
    reply(id, 200, body, len, 0);
  } else {
    reply(id, 404, path, path_len, 0);
  }
  return 0;
}

EXPORT(on_request)
int32_t probe_on_request(int32_t id, char *method, uint32_t method_len, char *path,
                         uint32_t path_len, char *headers, uint32_t headers_len, char *body,
                         uint32_t body_len) {
  (void)method_len;
  int32_t rc = serve(id, path, path_len, headers, headers_len, body, body_len);
  probe_free(method);
  probe_free(path);
  probe_free(headers);
  probe_free(body);
  return rc;
}

EXPORT(on_response)
void probe_on_response(int32_t handle, int32_t status, char *headers, uint32_t headers_len,
                       char *body, uint32_t body_len) {
  (void)headers_len;
  for (int i = 0; i < PENDING_MAX; i++)
    if (pending[i].what == POST && pending[i].handle == handle) {
      pending[i].what = NONE;
      reply(pending[i].id, status <= 0 ? 599 + status : status, body, body_len, 0);
    }
  probe_free(headers);
  probe_free(body);
}

EXPORT(on_cancel) void probe_on_cancel(int32_t id) {
  cancels++;
  struct pending *p = find(id);
  if (p == NULL) return;
  if (p->what == POST) http_cancel(p->handle);
  p->what = NONE;
}

EXPORT(on_writable) void probe_on_writable(int32_t id) {
  struct pending *p = find(id);
  if (p != NULL) p->blocked = 0;
}

static double soonest(double a, double b) {
  return a < 0 || b < a ? b : a;
}

/* One chunk of a stream: its number in every byte. */
static void stream(struct pending *p) {
  uint32_t unread = 0;
  for (uint32_t i = 0; i < CHUNK; i++)
    chunk[i] = (unsigned char)p->left;
  tess_abi_iov iov = piece(chunk, CHUNK);
  p->left--;
  int32_t rc = http_reply_more(p->id, &iov, 1, p->left > 0 ? TESS_ABI_REPLY_MORE : 0);
  if (rc < 0) refused_replies++;
  if (rc < 0 || p->left == 0) p->what = NONE;
  p->blocked = rc > 0;
  if (rc > 0) unread = 200 - p->left;
  if (unread > most_unread) most_unread = unread;
}

EXPORT(loop) double probe_loop(void) {
  double next = TESS_ABI_WAIT_FOR_EVENT;
  double now = now_ms();
  loops++;
  for (int i = 0; i < PENDING_MAX; i++) {
    struct pending *p = &pending[i];
    if (p->what == SLEEP || p->what == TRAP) {
      if (now < p->due_ms) {
        next = soonest(next, p->due_ms - now);
      } else if (p->what == TRAP) {
        __builtin_trap();
      } else {
        p->what = NONE;
        reply(p->id, 200, "awake", 5, 0);
      }
    } else if (p->what == STREAM && !p->blocked) {
      stream(p);
      next = 0;
    }
  }
  return next;
}

EXPORT(stats) uint32_t probe_stats(char *out, uint32_t size) {
  char text[512];
  uint32_t n = put_text(text, "probe_loops ");
  n += put_number(text + n, loops);
  n += put_text(text + n, "\nprobe_cancels ");
  n += put_number(text + n, cancels);
  n += put_text(text + n, "\nprobe_refused_replies ");
  n += put_number(text + n, refused_replies);
  n += put_text(text + n, "\nprobe_most_unread_chunks ");
  n += put_number(text + n, most_unread);
  n += put_text(text + n, "\nprobe_live_blocks ");
  n += put_number(text + n, live_blocks);
  n += put_text(text + n, "\n");
  for (uint32_t i = 0; i < n && i < size; i++)
    out[i] = text[i];
  return n;
}
