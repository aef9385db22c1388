/* SPDX-License-Identifier: Apache-2.0 */
#include "server/warm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_IDLE 32
/* Large blocks are multiples of this, the size of a huge page. */
#define GRAIN ((size_t)2 << 20)

typedef struct idle_block {
  void *data;
  size_t bytes;
  int64_t since_ms;
} idle_block;

struct tess_warm {
  pthread_mutex_t lock;
  size_t max_idle_bytes, idle_bytes;
  idle_block idle[MAX_IDLE]; /* oldest first */
  size_t count;
};

static size_t rounded(size_t size) {
  return (size + GRAIN - 1) / GRAIN * GRAIN;
}

tess_warm *tess_warm_new(size_t max_idle_bytes) {
  tess_warm *warm = calloc(1, sizeof *warm);
  if (warm == NULL) return NULL;
  pthread_mutex_init(&warm->lock, NULL);
  warm->max_idle_bytes = max_idle_bytes;
  return warm;
}

void tess_warm_free(tess_warm *warm) {
  if (warm == NULL) return;
  tess_warm_trim(warm, INT64_MAX);
  pthread_mutex_destroy(&warm->lock);
  free(warm);
}

/* lock held */
static idle_block remove_at(tess_warm *warm, size_t at) {
  idle_block block = warm->idle[at];
  warm->count--;
  memmove(&warm->idle[at], &warm->idle[at + 1], (warm->count - at) * sizeof block);
  warm->idle_bytes -= block.bytes;
  return block;
}

/* One of just this size, the one used last: bodies and results of products come
 * in few sizes, and a block that is given back has the size it was taken with. */
static void *take_idle(tess_warm *warm, size_t bytes) {
  void *data = NULL;
  pthread_mutex_lock(&warm->lock);
  for (size_t i = warm->count; i > 0 && data == NULL; i--) {
    if (warm->idle[i - 1].bytes == bytes) data = remove_at(warm, i - 1).data;
  }
  pthread_mutex_unlock(&warm->lock);
  return data;
}

void *tess_warm_take(tess_warm *warm, size_t size) {
  if (size < TESS_WARM_BYTES) return malloc(size);
  if (size > SIZE_MAX - GRAIN) return NULL;
  size_t bytes = rounded(size);
  void *data = take_idle(warm, bytes);
  if (data != NULL) return data;
  data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return NULL;
  /* A wish: fewer page faults where the system has huge pages to give. */
  (void)madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void tess_warm_give(tess_warm *warm, void *block, size_t size, int64_t now_ms) {
  if (block == NULL) return;
  if (size < TESS_WARM_BYTES) {
    free(block);
    return;
  }
  idle_block gone[MAX_IDLE];
  size_t gone_count = 0;
  size_t bytes = rounded(size);
  pthread_mutex_lock(&warm->lock);
  if (bytes > warm->max_idle_bytes) {
    gone[gone_count++] = (idle_block){block, bytes, now_ms};
  } else {
    while (warm->count == MAX_IDLE || warm->idle_bytes + bytes > warm->max_idle_bytes) {
      gone[gone_count++] = remove_at(warm, 0);
    }
    warm->idle[warm->count++] = (idle_block){block, bytes, now_ms};
    warm->idle_bytes += bytes;
  }
  pthread_mutex_unlock(&warm->lock);
  for (size_t i = 0; i < gone_count; i++)
    munmap(gone[i].data, gone[i].bytes);
}

int64_t tess_warm_trim(tess_warm *warm, int64_t idle_since_ms) {
  for (;;) {
    pthread_mutex_lock(&warm->lock);
    int64_t oldest_ms = warm->count > 0 ? warm->idle[0].since_ms : INT64_MAX;
    bool old = warm->count > 0 && oldest_ms <= idle_since_ms;
    idle_block block = old ? remove_at(warm, 0) : (idle_block){NULL, 0, 0};
    pthread_mutex_unlock(&warm->lock);
    if (!old) return oldest_ms;
    munmap(block.data, block.bytes);
  }
}

size_t tess_warm_idle_bytes(tess_warm *warm) {
  pthread_mutex_lock(&warm->lock);
  size_t bytes = warm->idle_bytes;
  pthread_mutex_unlock(&warm->lock);
  return bytes;
}
