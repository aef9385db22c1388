/* SPDX-License-Identifier: Apache-2.0
 *
 * The tests' module behind the ABI of wasm/abi.h.
 * ECHO_ON_SENT: export on_sent, so that the host may keep pieces.
 * ECHO_VERSION: what abi_version() says.
 */
#include <stdlib.h>
#include <string.h>

#include "echo_module.h"
#include "wasm/abi.h"

#define IMPORT(name) __attribute__((import_module(TESS_ABI_MODULE), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name), visibility("default")))
#ifndef ECHO_VERSION
#define ECHO_VERSION TESS_ABI_VERSION
#endif

IMPORT("http_post")
int32_t abi_http_post(const char *url, uint32_t url_len, const char *headers, uint32_t headers_len,
                      const tess_abi_iov *iov, uint32_t iov_count, double timeout_ms);
IMPORT("http_cancel") void abi_http_cancel(int32_t handle);
IMPORT("http_reply")
int32_t abi_http_reply(int32_t request, int32_t status, const char *headers, uint32_t headers_len,
                       const tess_abi_iov *iov, uint32_t iov_count, int32_t flags);
IMPORT("http_reply_more")
int32_t abi_http_reply_more(int32_t request, const tess_abi_iov *iov, uint32_t iov_count,
                            int32_t flags);
IMPORT("now_ms") double abi_now_ms(void);
IMPORT("log") void abi_log(int32_t level, const char *text, uint32_t text_len);
IMPORT("random") void abi_random(void *bytes, uint32_t size);

static echo_module *module;
static tess_abi_iov iov[8];

static void *host_alloc(void *ctx, size_t size) {
  (void)ctx;
  return malloc(size);
}
static void host_free(void *ctx, void *ptr) {
  (void)ctx;
  free(ptr);
}
static const tess_abi_iov *to_iov(const echo_piece *pieces, size_t count) {
  for (size_t i = 0; i < count && i < 8; i++) {
    iov[i].data = (uint32_t)(uintptr_t)pieces[i].data;
    iov[i].size = (uint32_t)pieces[i].size;
  }
  return iov;
}
static int32_t host_post(void *ctx, const char *url, size_t url_size, const echo_piece *pieces,
                         size_t count, double timeout_ms) {
  static const char headers[] = "content-type: application/octet-stream\r\n";
  (void)ctx;
  return abi_http_post(url, url_size, headers, sizeof headers - 1, to_iov(pieces, count), count,
                       timeout_ms);
}
static int32_t host_reply(void *ctx, int32_t id, int32_t status, const char *headers,
                          size_t headers_size, const echo_piece *pieces, size_t count,
                          int32_t flags) {
  (void)ctx;
  return abi_http_reply(id, status, headers, headers_size, to_iov(pieces, count), count, flags);
}
static int32_t host_reply_more(void *ctx, int32_t id, const echo_piece *pieces, size_t count,
                               int32_t flags) {
  (void)ctx;
  return abi_http_reply_more(id, to_iov(pieces, count), count, flags);
}
static void host_cancel(void *ctx, int32_t handle) {
  (void)ctx;
  abi_http_cancel(handle);
}
static double host_now_ms(void *ctx) {
  (void)ctx;
  return abi_now_ms();
}
static void host_log(void *ctx, int32_t level, const char *text, size_t size) {
  (void)ctx;
  abi_log(level, text, size);
}

EXPORT("abi_version") int32_t e_abi_version(void) {
  return ECHO_VERSION;
}
EXPORT("alloc") void *e_alloc(uint32_t size) {
  return malloc(size);
}
EXPORT("free") void e_free(void *ptr) {
  free(ptr);
}
EXPORT("configure") int32_t e_configure(char *text, uint32_t size) {
  const echo_host host = {host_alloc,  host_free,   host_post, host_reply, host_reply_more,
                          host_cancel, host_now_ms, host_log,  NULL};
  uint8_t seed[4];
  abi_random(seed, sizeof seed);
  module = echo_new(&host, text, size);
  free(text);
  return module != NULL ? 0 : -1;
}
EXPORT("on_request")
int32_t e_on_request(int32_t id, char *method, uint32_t method_len, char *path, uint32_t path_len,
                     char *headers, uint32_t headers_len, uint8_t *body, uint32_t body_len) {
  const echo_body taken = {body, body_len, free, body};
  int32_t result =
      echo_on_request(module, id, method, method_len, path, path_len, headers, headers_len, taken);
  free(method);
  free(path);
  free(headers);
  return result;
}
EXPORT("on_response")
void e_on_response(int32_t handle, int32_t status, char *headers, uint32_t headers_len,
                   uint8_t *body, uint32_t body_len) {
  const echo_body taken = {body, body_len, free, body};
  (void)headers_len;
  free(headers);
  echo_on_response(module, handle, status, taken);
}
EXPORT("on_cancel") void e_on_cancel(int32_t id) {
  echo_on_cancel(module, id);
}
EXPORT("on_writable") void e_on_writable(int32_t id) {
  echo_on_writable(module, id);
}
#ifdef ECHO_ON_SENT
EXPORT("on_sent") void e_on_sent(int32_t id) {
  echo_on_sent(module, id);
}
#endif
EXPORT("loop") double e_loop(void) {
  return echo_loop(module);
}
EXPORT("stats") int32_t e_stats(char *text, uint32_t size) {
  return (int32_t)echo_stats(module, text, size);
}
