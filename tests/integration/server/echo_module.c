/* SPDX-License-Identifier: Apache-2.0 */
#include "echo_module.h"

#include <string.h>

enum { MAX_JOBS = 1024, MAX_RESULT = 96, KEPT = 2, MORE = 1, WARNING = 2 };

typedef enum job_kind { HANG, RELAY, STREAM, SLEEP, HALF, SENDING } job_kind;

/* A request that was not answered at once. */
typedef struct job {
  int32_t id, handle;
  job_kind kind;
  echo_body body;
  uint32_t left, size; /* STREAM */
  bool blocked, rude;
  double due_ms; /* SLEEP */
  uint32_t kept; /* replies that still use `body` or `chunk` */
  uint8_t *chunk;
  bool over; /* only kept pieces hold it */
} job;

struct echo_module {
  echo_host host;
  job *jobs[MAX_JOBS];
  uint32_t cancelled, sent, refused_second;
  volatile uint32_t sink;
};

/* ---- text ---- */

static bool is(const char *text, size_t size, const char *wanted) {
  size_t length = strlen(wanted);
  return size >= length && memcmp(text, wanted, length) == 0 &&
         (size == length || text[length] == '?');
}

static uint32_t number_at(const uint8_t **at, const uint8_t *end) {
  uint32_t value = 0;
  while (*at < end && (**at < '0' || **at > '9'))
    ++*at;
  while (*at < end && **at >= '0' && **at <= '9')
    value = value * 10 + (uint32_t)(*(*at)++ - '0');
  return value;
}

static size_t append_number(char *text, size_t size, uint32_t value) {
  char digits[10];
  size_t count = 0;
  do
    digits[count++] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  for (size_t i = 0; i < count; i++)
    text[size + i] = digits[count - 1 - i];
  return size + count;
}

static size_t append_text(char *text, size_t size, const char *more) {
  size_t length = strlen(more);
  memcpy(text + size, more, length);
  return size + length;
}

/* Value of a header ("x-url: " with its colon and space). */
static const char *header(const char *headers, size_t size, const char *name, size_t *length) {
  size_t name_size = strlen(name);
  for (size_t i = 0; i + name_size <= size; i++) {
    if (memcmp(headers + i, name, name_size) != 0) continue;
    const char *value = headers + i + name_size;
    *length = 0;
    while (value + *length < headers + size && value[*length] != '\r')
      ++*length;
    return value;
  }
  return NULL;
}

/* ---- replies ---- */

static const char plain[] = "content-type: application/octet-stream\r\nx-echo: yes\r\n";

static void let_go(echo_body *body) {
  if (body->release != NULL) body->release(body->owner);
  body->release = NULL;
  body->data = NULL;
  body->size = 0;
}

static int32_t reply_text(echo_module *m, int32_t id, int32_t status, const char *text,
                          size_t size) {
  const echo_piece piece = {text, size};
  return m->host.reply(m->host.ctx, id, status, plain, sizeof plain - 1, &piece, 1, 0);
}

static void reply_number(echo_module *m, int32_t id, uint32_t value) {
  char text[10];
  reply_text(m, id, 200, text, append_number(text, 0, value));
}

/* ---- jobs ---- */

static job *job_new(echo_module *m, int32_t id, job_kind kind, echo_body body) {
  for (size_t i = 0; i < MAX_JOBS; i++) {
    if (m->jobs[i] != NULL) continue;
    job *j = m->host.alloc(m->host.ctx, sizeof *j);
    if (j == NULL) return NULL;
    memset(j, 0, sizeof *j);
    j->id = id;
    j->kind = kind;
    j->body = body;
    m->jobs[i] = j;
    return j;
  }
  return NULL;
}

static job *find(echo_module *m, int32_t id, bool over) {
  for (size_t i = 0; i < MAX_JOBS; i++) {
    if (m->jobs[i] != NULL && m->jobs[i]->id == id && m->jobs[i]->over == over) return m->jobs[i];
  }
  return NULL;
}

/* Done with; freed when nothing of it is being sent. */
static void finish(echo_module *m, job *j) {
  j->over = true;
  if (j->kept > 0) return;
  for (size_t i = 0; i < MAX_JOBS; i++) {
    if (m->jobs[i] == j) m->jobs[i] = NULL;
  }
  let_go(&j->body);
  m->host.free(m->host.ctx, j->chunk);
  m->host.free(m->host.ctx, j);
}

/* Two pieces, so that lists of them are tried as well. */
static void echo(echo_module *m, int32_t id, int32_t status, echo_body body) {
  size_t half = body.size / 2;
  const echo_piece pieces[2] = {{body.data, half},
                                {body.size > 0 ? body.data + half : NULL, body.size - half}};
  int32_t result = m->host.reply(m->host.ctx, id, status, plain, sizeof plain - 1, pieces, 2, 0);
  if (result == KEPT) {
    job *j = job_new(m, id, SENDING, body);
    if (j == NULL) __builtin_trap();
    j->kept = 1;
    j->over = true;
    return;
  }
  let_go(&body);
}

static void stream(echo_module *m, job *j) {
  while (j->left > 0 && (!j->blocked || j->rude)) {
    memset(j->chunk, 'a' + (int)(j->left % 26), j->kept > 0 ? 0 : j->size);
    const echo_piece piece = {j->chunk, j->size};
    int32_t result = m->host.reply_more(m->host.ctx, j->id, &piece, 1, --j->left > 0 ? MORE : 0);
    if (result < 0) {
      finish(m, j);
      return;
    }
    if (result == KEPT) {
      j->kept++;
      j->blocked = true; /* the chunk is in use until on_sent */
    }
    if (result == 1) j->blocked = true;
  }
  if (j->left == 0) finish(m, j);
}

static void begin_stream(echo_module *m, int32_t id, echo_body body, bool rude) {
  const uint8_t *at = body.data, *end = body.data + body.size;
  uint32_t count = number_at(&at, end), size = number_at(&at, end);
  job *j = job_new(m, id, STREAM, body);
  if (j == NULL) __builtin_trap();
  j->left = count;
  j->size = size;
  j->rude = rude;
  j->chunk = m->host.alloc(m->host.ctx, size + 1);
  m->host.reply(m->host.ctx, id, 200, plain, sizeof plain - 1, NULL, 0, MORE);
  stream(m, j);
}

static void hog(echo_module *m, int32_t id) {
  static void *blocks[8192];
  uint32_t count = 0;
  while (count < 8192 && (blocks[count] = m->host.alloc(m->host.ctx, 1u << 20)) != NULL)
    count++;
  for (uint32_t i = 0; i < count; i++)
    m->host.free(m->host.ctx, blocks[i]);
  reply_number(m, id, count);
}

static void relay(echo_module *m, int32_t id, const char *headers, size_t headers_size,
                  echo_body body) {
  size_t size = 0, wait_size = 0;
  const char *url = header(headers, headers_size, "x-url: ", &size);
  const char *wait = header(headers, headers_size, "x-timeout: ", &wait_size);
  const uint8_t *at = (const uint8_t *)wait;
  double timeout_ms = wait != NULL ? number_at(&at, at + wait_size) : 0;
  job *j = job_new(m, id, RELAY, body);
  if (j == NULL || url == NULL) __builtin_trap();
  const echo_piece piece = {body.data, body.size};
  j->handle = m->host.post(m->host.ctx, url, size, &piece, 1, timeout_ms);
  if (j->handle > 0) return;
  reply_text(m, id, 403, "refused", 7);
  finish(m, j);
}

static void flood(echo_module *m, int32_t id, const char *headers, size_t headers_size) {
  size_t size = 0;
  const char *url = header(headers, headers_size, "x-url: ", &size);
  int32_t handles[4096];
  uint32_t count = 0;
  const echo_piece piece = {"x", 1};
  while (count < 4096) {
    int32_t handle = m->host.post(m->host.ctx, url, size, &piece, 1, 0);
    if (handle <= 0) break;
    handles[count++] = handle;
  }
  for (uint32_t i = 0; i < count; i++)
    m->host.cancel(m->host.ctx, handles[i]);
  reply_number(m, id, count);
}

/* Not a loop for any compiler: the result of each call is used twice. */
__attribute__((noinline)) static uint32_t deep(echo_module *m, uint32_t depth) {
  if (depth == UINT32_MAX) return m->sink;
  uint32_t below = deep(m, depth + 1);
  m->sink += below;
  return below * 3 + m->sink;
}

static void show(echo_module *m, int32_t id, const char *method, size_t method_size,
                 const char *path, size_t path_size, const char *headers, size_t headers_size) {
  const echo_piece pieces[] = {
      {method, method_size}, {" ", 1}, {path, path_size}, {"\n", 1}, {headers, headers_size}};
  m->host.reply(m->host.ctx, id, 201, plain, sizeof plain - 1, pieces, 5, 0);
}

int32_t echo_on_request(echo_module *m, int32_t id, const char *method, size_t method_size,
                        const char *path, size_t path_size, const char *headers,
                        size_t headers_size, echo_body body) {
  const uint8_t *at = body.data, *end = body.size > 0 ? body.data + body.size : at;
  if (is(path, path_size, "/echo")) {
    echo(m, id, 200, body);
    return 0;
  }
  if (is(path, path_size, "/relay")) {
    relay(m, id, headers, headers_size, body);
    return 0;
  }
  if (is(path, path_size, "/stream") || is(path, path_size, "/rude")) {
    begin_stream(m, id, body, path[1] == 'r');
    return 0;
  }
  if (is(path, path_size, "/hang") || is(path, path_size, "/sleep") ||
      is(path, path_size, "/half")) {
    job *j = job_new(m, id,
                     path[1] == 's'                     ? SLEEP
                     : path[2] == 'a' && path[3] == 'n' ? HANG
                                                        : HALF,
                     body);
    if (j == NULL) return -1;
    j->due_ms = m->host.now_ms(m->host.ctx) + number_at(&at, end);
    if (j->kind == HALF) {
      const echo_piece piece = {"begun", 5};
      m->host.reply(m->host.ctx, id, 200, plain, sizeof plain - 1, &piece, 1, MORE);
    }
    return 0;
  }
  if (is(path, path_size, "/trap")) __builtin_trap();
  if (is(path, path_size, "/deep")) reply_number(m, id, deep(m, 0));
  if (is(path, path_size, "/spin")) {
    for (;;)
      m->sink++;
  }
  if (is(path, path_size, "/hog")) {
    hog(m, id);
  } else if (is(path, path_size, "/keep")) {
    void *block = m->host.alloc(m->host.ctx, number_at(&at, end));
    reply_text(m, id, block != NULL ? 200 : 507, "", 0);
  } else if (is(path, path_size, "/flood")) {
    flood(m, id, headers, headers_size);
  } else if (is(path, path_size, "/wild")) {
    const echo_piece piece = {(const char *)(uintptr_t)0xfffffff0u, 64};
    m->host.reply(m->host.ctx, id, 200, plain, sizeof plain - 1, &piece, 1, 0);
  } else if (is(path, path_size, "/nonsense")) {
    m->host.reply(m->host.ctx, id, 200, "no header", 9, NULL, 0, 0);
  } else if (is(path, path_size, "/twice")) {
    reply_text(m, id, 200, "first", 5);
    if (reply_text(m, id, 200, "second", 6) < 0) m->refused_second++;
  } else if (is(path, path_size, "/headers")) {
    show(m, id, method, method_size, path, path_size, headers, headers_size);
  } else {
    reply_text(m, id, 404, "no such path", 12);
  }
  let_go(&body);
  return 0;
}

void echo_on_response(echo_module *m, int32_t handle, int32_t status, echo_body body) {
  for (size_t i = 0; i < MAX_JOBS; i++) {
    job *j = m->jobs[i];
    if (j == NULL || j->kind != RELAY || j->over || j->handle != handle) continue;
    int32_t id = j->id;
    finish(m, j);
    echo(m, id, status > 0 ? status : status < 0 ? 504 : 502, body);
    return;
  }
  let_go(&body);
}

void echo_on_cancel(echo_module *m, int32_t id) {
  job *j = find(m, id, false);
  m->cancelled++;
  if (j == NULL) return;
  if (j->kind == RELAY) m->host.cancel(m->host.ctx, j->handle);
  finish(m, j);
}

void echo_on_writable(echo_module *m, int32_t id) {
  job *j = find(m, id, false);
  if (j == NULL || j->kind != STREAM) return;
  if (j->kept == 0) j->blocked = false;
  stream(m, j);
}

void echo_on_sent(echo_module *m, int32_t id) {
  job *j = find(m, id, true);
  if (j == NULL) j = find(m, id, false);
  m->sent++;
  if (j == NULL || j->kept == 0) __builtin_trap();
  j->kept--;
  if (j->over) {
    finish(m, j);
  } else if (j->kept == 0) {
    j->blocked = false;
    stream(m, j);
  }
}

double echo_loop(echo_module *m) {
  double now = m->host.now_ms(m->host.ctx), wake = -1;
  for (size_t i = 0; i < MAX_JOBS; i++) {
    job *j = m->jobs[i];
    if (j == NULL || j->over) continue;
    if (j->kind == HALF) __builtin_trap();
    if (j->kind != SLEEP) continue;
    if (j->due_ms <= now) {
      reply_text(m, j->id, 200, "slept", 5);
      finish(m, j);
    } else if (wake < 0 || j->due_ms - now < wake) {
      wake = j->due_ms - now;
    }
  }
  return wake;
}

size_t echo_stats(echo_module *m, char *out, size_t size) {
  char text[MAX_RESULT * 4];
  uint32_t jobs = 0;
  size_t length = 0;
  for (size_t i = 0; i < MAX_JOBS; i++)
    jobs += m->jobs[i] != NULL;
  length = append_number(text, append_text(text, length, "echo_jobs "), jobs);
  length = append_number(text, append_text(text, length, "\necho_cancelled "), m->cancelled);
  length = append_number(text, append_text(text, length, "\necho_sent "), m->sent);
  length =
      append_number(text, append_text(text, length, "\necho_refused_second "), m->refused_second);
  text[length++] = '\n';
  if (length > size) length = size;
  memcpy(out, text, length);
  return length;
}

echo_module *echo_new(const echo_host *host, const char *config, size_t size) {
  for (size_t i = 0; i + 4 <= size; i++) {
    if (memcmp(config + i, "fail", 4) != 0) continue;
    host->log(host->ctx, WARNING, "told to fail\nand so it does", 27);
    return NULL;
  }
  echo_module *m = host->alloc(host->ctx, sizeof *m);
  if (m == NULL) return NULL;
  memset(m, 0, sizeof *m);
  m->host = *host;
  return m;
}

void echo_delete(echo_module *m) {
  for (size_t i = 0; i < MAX_JOBS; i++) {
    if (m->jobs[i] == NULL) continue;
    m->jobs[i]->kept = 0;
    finish(m, m->jobs[i]);
  }
  m->host.free(m->host.ctx, m);
}
