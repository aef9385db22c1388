/* SPDX-License-Identifier: Apache-2.0 */
#include "server/allow_list.h"

#include <string.h>

static bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Characters that mean the same to every URL parser. No '@' (user), no '%'
 * (escaped dots), no '\\' (some take it for a slash), no '#', no spaces. */
static bool is_plain(char c, bool query) {
  if (is_alnum(c)) return true;
  return c != '\0' && strchr(query ? "-._~/:[]?=&+," : "-._~/:[]", c) != NULL;
}

/* "/../" or "/./" somewhere, or at the end of the path: a client would resolve
 * them and leave the prefix. */
static bool has_dot_segment(const char *path, size_t size) {
  size_t start = 0;
  for (size_t i = 0; i <= size; i++) {
    bool end = i == size || path[i] == '/' || path[i] == '?';
    if (!end) continue;
    size_t length = i - start;
    if (length == 1 && path[start] == '.') return true;
    if (length == 2 && path[start] == '.' && path[start + 1] == '.') return true;
    if (i < size && path[i] == '?') return false;
    start = i + 1;
  }
  return false;
}

static bool has_scheme(const char *url, size_t size, size_t *length) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < 2; i++) {
    *length = strlen(schemes[i]);
    if (size > *length && memcmp(url, schemes[i], *length) == 0) return true;
  }
  return false;
}

tess_code tess_worker_url_check(const char *url, tess_status *status) {
  size_t size = strlen(url), scheme = 0;
  if (size > TESS_MAX_WORKER_URL_BYTES) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "a worker's URL is too long");
  }
  if (!has_scheme(url, size, &scheme) || url[scheme] == '/' || url[scheme] == ':') {
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "'%s' is no worker: write http://HOST:PORT", url);
  }
  for (size_t i = 0; i < size; i++) {
    if (is_plain(url[i], false)) continue;
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "'%s' is no worker: '%c' does not belong there", url, url[i]);
  }
  if (has_dot_segment(url + scheme, size - scheme)) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "'%s' is no worker: dots in its path",
                           url);
  }
  return TESS_OK;
}

size_t tess_url_worker(tess_slice url, const char *const *workers, size_t worker_count) {
  const char *text = url.data;
  size_t scheme = 0;
  if (url.size > TESS_MAX_URL_BYTES || !has_scheme(text, url.size, &scheme)) return worker_count;
  for (size_t i = 0; i < url.size; i++) {
    if (!is_plain(text[i], true)) return worker_count;
  }
  if (has_dot_segment(text + scheme, url.size - scheme)) return worker_count;
  for (size_t i = 0; i < worker_count; i++) {
    size_t size = strlen(workers[i]);
    while (size > 0 && workers[i][size - 1] == '/')
      size--;
    if (url.size > size && memcmp(text, workers[i], size) == 0 && text[size] == '/') return i;
  }
  return worker_count;
}
