/* SPDX-License-Identifier: Apache-2.0
 *
 * How an address to listen on is written; beside the core, so that command lines can be
 * checked without a server.
 */
#include <string.h>

#include <tessera/http_server.h>

/* A name, an IPv4 address, nothing at all (every address), or [v6]. */
static bool is_host(const char *text, size_t size) {
  if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
    text++;
    size -= 2;
    return memchr(text, '[', size) == NULL && memchr(text, ']', size) == NULL;
  }
  for (size_t i = 0; i < size; i++)
    if (strchr(":[]/", text[i]) != NULL) return false;
  return size < 256;
}

tess_code tess_http_server_listen_check(const char *listen, tess_status *status) {
  const char *colon = listen != NULL ? strrchr(listen, ':') : NULL;
  if (colon == NULL || colon[1] == 0 || !is_host(listen, (size_t)(colon - listen)))
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "cannot listen on \"%s\": write HOST:PORT, like 127.0.0.1:8080 or "
                           "[::1]:8080",
                           listen != NULL ? listen : "");
  long port = 0;
  for (const char *p = colon + 1; *p != 0; p++) {
    if (*p < '0' || *p > '9' || (port = port * 10 + (*p - '0')) > 65535)
      return tess_status_set(status, TESS_INVALID_ARGUMENT,
                             "cannot listen on \"%s\": the port must be 0 to 65535", listen);
  }
  return TESS_OK;
}
