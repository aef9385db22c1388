/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_request_head.h.
 */
#include "rpc/http_request_head.h"

#include <string.h>

size_t tess__request_head_blank(const char *data, size_t size) {
  size_t n = 0;
  while (n + 2 <= size && data[n] == '\r' && data[n + 1] == '\n')
    n += 2;
  return n;
}

/* RFC 9110 5.6.2. */
static bool is_token_char(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         (c != 0 && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

static size_t token_size(const char *p, const char *end) {
  size_t n = 0;
  while (p + n < end && is_token_char((unsigned char)p[n]))
    n++;
  return n;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "METHOD TARGET HTTP/1.1" with single blanks: where the target is, or false. */
static bool split_line(char *line, const char *end, char **target, size_t *size) {
  size_t method = token_size(line, end);
  if (method == 0 || line + method == end || line[method] != ' ') return false;
  *target = line + method + 1;
  const char *blank = memchr(*target, ' ', (size_t)(end - *target));
  if (blank == NULL || blank == *target) return false;
  *size = (size_t)(blank - *target);
  for (size_t i = 0; i < *size; i++)
    if ((unsigned char)(*target)[i] <= ' ' || (unsigned char)(*target)[i] >= 127) return false;
  const char *version = blank + 1;
  return end - version == 8 && memcmp(version, "HTTP/", 5) == 0 && is_digit(version[5]) &&
         version[6] == '.' && is_digit(version[7]);
}

/* The end of the line that begins at p: its CR. NULL: it does not end in CRLF. */
static char *line_end(char *p, const char *end) {
  char *lf = memchr(p, '\n', (size_t)(end - p));
  if (lf == NULL || lf == p || lf[-1] != '\r') return NULL;
  return memchr(p, '\r', (size_t)(lf - p)) == lf - 1 ? lf - 1 : NULL;
}

/* The bytes of "http://", or 0. */
static size_t scheme_size(const char *target, size_t size) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t s = 0; s < sizeof schemes / sizeof schemes[0]; s++) {
    size_t n = 0;
    while (n < size && schemes[s][n] != 0 &&
           (target[n] == schemes[s][n] ||
            (target[n] >= 'A' && target[n] <= 'Z' && target[n] + ('a' - 'A') == schemes[s][n])))
      n++;
    if (schemes[s][n] == 0) return n;
  }
  return 0;
}

/* A host, not empty, and perhaps a port; no user (RFC 9110 4.2.1, 4.2.4). Nobody asks
 * here which host was meant, as with the header Host. */
static bool is_authority(const char *text, size_t size) {
  if (size == 0 || text[0] == ':') return false;
  for (size_t i = 0; i < size; i++)
    if (strchr("@\\,\"<>^`{|}#", text[i]) != NULL) return false;
  return true;
}

/* RFC 9112 3.2.2. *drop bytes at `target` are too many then; false: no such target. */
static bool origin_form(const char *line, char *target, size_t size, size_t *drop, bool *asterisk) {
  size_t scheme = scheme_size(target, size);
  if (scheme == 0) return false;
  size_t host = scheme;
  while (host < size && target[host] != '/' && target[host] != '?')
    host++;
  if (!is_authority(target + scheme, host - scheme)) return false;
  *drop = host;
  if (host < size && target[host] == '/') return true;
  /* No path: "/", or what OPTIONS asks of the server as a whole (3.2.4). */
  *asterisk = host == size && target - line == 8 && memcmp(line, "OPTIONS", 7) == 0;
  target[--*drop] = '/';
  return true;
}

int tess__request_head_prepare(char *data, size_t *head_size, size_t *size, size_t max_headers,
                               bool *asterisk, const char **why) {
  char *end = data + *head_size, *target = NULL;
  char *at = line_end(data, end);
  size_t target_size = 0, headers = 0, drop = 0;
  *asterisk = false;
  *why = "bad request line";
  if (at == NULL || !split_line(data, at, &target, &target_size)) return 400;
  for (char *line = at + 2;; line = at + 2) {
    *why = "bad line in the request head";
    at = line_end(line, end);
    if (at == NULL) return 400;
    if (at == line) break;
    size_t name = token_size(line, at);
    *why = "bad header name";
    if (name == 0 || line[name] != ':') return 400;
    *why = "too many headers";
    if (++headers > max_headers) return 431;
  }
  *why = "bad request head";
  if (at + 2 != end) return 400;

  *why = "bad request target";
  if (target[0] == '/') return 0;
  if (target_size == 1 && target[0] == '*') {
    if (target - data != 8 || memcmp(data, "OPTIONS", 7) != 0) return 400;
    target[0] = '/';
    *asterisk = true;
    return 0;
  }
  if (!origin_form(data, target, target_size, &drop, asterisk)) return 400;
  memmove(target, target + drop, *size - drop - (size_t)(target - data));
  *head_size -= drop;
  *size -= drop;
  return 0;
}

tess__trailers tess__trailers_next(tess__trailers state, char byte) {
  unsigned char c = (unsigned char)byte;
  switch (state) {
    case TESS__TRAILERS_NAME:
      if (c == ':') return TESS__TRAILERS_VALUE;
      return is_token_char(c) ? TESS__TRAILERS_NAME : TESS__TRAILERS_WRONG;
    case TESS__TRAILERS_VALUE:
      if (c == '\r') return TESS__TRAILERS_VALUE_CR;
      return (c >= ' ' && c != 127) || c == '\t' ? TESS__TRAILERS_VALUE : TESS__TRAILERS_WRONG;
    case TESS__TRAILERS_VALUE_CR:
      return c == '\n' ? TESS__TRAILERS_LINE : TESS__TRAILERS_WRONG;
    case TESS__TRAILERS_LINE:
      if (c == '\r') return TESS__TRAILERS_LAST_CR;
      return is_token_char(c) ? TESS__TRAILERS_NAME : TESS__TRAILERS_WRONG;
    case TESS__TRAILERS_LAST_CR:
      return c == '\n' ? TESS__TRAILERS_DONE : TESS__TRAILERS_WRONG;
    default:
      return TESS__TRAILERS_WRONG;
  }
}
