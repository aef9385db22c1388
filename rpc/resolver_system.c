/* SPDX-License-Identifier: Apache-2.0 */
#include <netdb.h>
#include <sys/socket.h>

#include <tessera/client_policy.h>

static bool resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                    void *to) {
  (void)ctx;
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *list = NULL;
  if (getaddrinfo(host, NULL, &hints, &list) != 0) return false;
  for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
      found(to, text);
  }
  freeaddrinfo(list);
  return true;
}

const tess_resolver tess_resolver_system = {.resolve = resolve};
