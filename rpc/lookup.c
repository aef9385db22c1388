/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/lookup.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/format.h"
#include "rpc/wait_until.h"

/* "[IPv6 address]:port" */
enum { CONNECT_TO_BYTES = INET6_ADDRSTRLEN + 16 };

struct tess__lookup {
  tess__lookup_options options;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stop, hurry;
};

typedef struct addresses {
  char texts[TESS__LOOKUP_MAX_ADDRESSES][CONNECT_TO_BYTES];
  const char *items[TESS__LOOKUP_MAX_ADDRESSES];
  size_t count;
  const char *port;
} addresses;

bool tess__lookup_split(const char *url, char host[256], char port[6]) {
  const char *scheme_end = strstr(url, "://");
  if (scheme_end == NULL) return false;
  const char *at = scheme_end + 3, *end = at + strcspn(at, "/?#");
  const char *host_end = end, *colon = NULL;
  if (*at == '[') {
    at++;
    host_end = memchr(at, ']', (size_t)(end - at));
    if (host_end == NULL) return false;
    if (host_end + 1 < end && host_end[1] == ':') colon = host_end + 1;
  } else {
    colon = memchr(at, ':', (size_t)(end - at));
    if (colon != NULL) host_end = colon;
  }
  size_t size = (size_t)(host_end - at);
  if (size == 0 || size > 255) return false;
  memcpy(host, at, size);
  host[size] = '\0';
  bool secure = strncmp(url, "https:", 6) == 0;
  if (colon == NULL) {
    memcpy(port, secure ? "443" : "80", secure ? 4 : 3);
    return true;
  }
  size = (size_t)(end - colon - 1);
  if (size == 0 || size > 5) return false;
  memcpy(port, colon + 1, size);
  port[size] = '\0';
  return true;
}

static bool is_address(const char *host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static void add_address(void *to, const char *address) {
  addresses *list = to;
  if (list->count == TESS__LOOKUP_MAX_ADDRESSES) return;
  char *text = list->texts[list->count];
  size_t size = strchr(address, ':') != NULL
                    ? tess__format(text, CONNECT_TO_BYTES, "[%s]:%s", address, list->port)
                    : tess__format(text, CONNECT_TO_BYTES, "%s:%s", address, list->port);
  if (size >= CONNECT_TO_BYTES) return; /* no address is so long */
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->texts[i], text) == 0) return;
  list->items[list->count++] = text;
}

static void look_up_all(tess__lookup *l) {
  addresses *list = malloc(sizeof *list);
  if (list == NULL) return; /* the next round may have memory */
  char host[256], port[6];
  for (size_t i = 0; i < l->options.url_count; i++) {
    if (!tess__lookup_split(l->options.urls[i], host, port) || is_address(host)) continue;
    list->count = 0;
    list->port = port;
    const tess_resolver *r = &l->options.resolver;
    if (r->resolve(r->ctx, host, add_address, list) && list->count > 0)
      l->options.found(l->options.ctx, i, list->items, list->count);
  }
  free(list);
}

static void *run(void *ctx) {
  tess__lookup *l = ctx;
  pthread_mutex_lock(&l->lock);
  while (!l->stop) {
    l->hurry = false;
    pthread_mutex_unlock(&l->lock);
    look_up_all(l);
    pthread_mutex_lock(&l->lock);
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int64_t passed = 0; !l->stop;) {
      int64_t pause = l->hurry && l->options.refresh_ms > TESS__LOOKUP_LEAST_MS
                          ? TESS__LOOKUP_LEAST_MS
                          : l->options.refresh_ms;
      if (passed >= pause) break;
      tess__cond_wait_ms(&l->changed, &l->lock, pause - passed);
      clock_gettime(CLOCK_MONOTONIC, &now);
      passed = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
    }
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

tess__lookup *tess__lookup_new(const tess__lookup_options *options) {
  tess__lookup *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->options = *options;
  if (l->options.resolver.resolve == NULL) l->options.resolver = tess_resolver_system;
  pthread_mutex_init(&l->lock, NULL);
  tess__cond_init(&l->changed);
  if (pthread_create(&l->thread, NULL, run, l) == 0) return l;
  pthread_cond_destroy(&l->changed);
  pthread_mutex_destroy(&l->lock);
  free(l);
  return NULL;
}

void tess__lookup_hurry(tess__lookup *lookup) {
  pthread_mutex_lock(&lookup->lock);
  lookup->hurry = true;
  pthread_cond_signal(&lookup->changed);
  pthread_mutex_unlock(&lookup->lock);
}

void tess__lookup_free(tess__lookup *lookup) {
  if (lookup == NULL) return;
  pthread_mutex_lock(&lookup->lock);
  lookup->stop = true;
  pthread_cond_signal(&lookup->changed);
  pthread_mutex_unlock(&lookup->lock);
  pthread_join(lookup->thread, NULL);
  pthread_cond_destroy(&lookup->changed);
  pthread_mutex_destroy(&lookup->lock);
  free(lookup);
}
