/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_get.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"

/* Time between two looks at Ctrl-C. */
#define LOOK_MS 100

static cli_http_get *get_of(tess_http_outgoing *outgoing) {
  return (cli_http_get *)(void *)((uint8_t *)outgoing - offsetof(cli_http_get, outgoing));
}

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  (void)outgoing;
  (void)slice;
  return TESS_BODY_END;
}

static bool rewind_body(tess_http_outgoing *outgoing) {
  (void)outgoing;
  return true;
}

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  (void)headers;
  (void)content_length;
  get_of(outgoing)->http_status = status;
}

/* Over the limit, or without memory, the rest is not waited for: it may have no end. */
static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  cli_http_get *get = get_of(outgoing);
  if (get->code == TESS_OK && chunk->size > get->max_bytes - get->size) {
    get->code = TESS_RESOURCE_EXHAUSTED;
    snprintf(get->detail, sizeof get->detail, "the answer is larger than %zu bytes",
             get->max_bytes);
  }
  if (get->code == TESS_OK && get->size + chunk->size > get->room) {
    size_t room = 2 * (get->size + chunk->size);
    uint8_t *grown = realloc(get->body, room);
    if (grown == NULL) {
      get->code = TESS_RESOURCE_EXHAUSTED;
      snprintf(get->detail, sizeof get->detail, "out of memory");
    } else {
      get->body = grown;
      get->room = room;
    }
  }
  if (get->code == TESS_OK && chunk->size > 0) {
    memcpy(get->body + get->size, chunk->data, chunk->size);
    get->size += chunk->size;
  }
  tess_chunk_release(chunk);
  /* Its end may come at once, and *get be gone with it. */
  if (get->code != TESS_OK) get->transport->ops->cancel(get->transport, outgoing);
  return true;
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  cli_http_get *get = get_of(outgoing);
  if (get->code == TESS_OK) {
    get->code = code;
    snprintf(get->detail, sizeof get->detail, "%s", detail != NULL ? detail : "");
  }
  atomic_store(&get->done, true);
}

static bool is_done(void *ctx) {
  return atomic_load(&((cli_http_get *)ctx)->done);
}

tess_code cli_http_get_run(cli_http_get *get, cli_remote *remote, tess_status *status) {
  static const tess_http_outgoing_ops ops = {.next_body = next_body,
                                             .rewind_body = rewind_body,
                                             .on_head = on_head,
                                             .on_body = on_body,
                                             .on_end = on_end};
  tess_transport *transport = get->transport = remote->meter.inside;
  tess_metadata none;
  tess_metadata_init(&none, NULL, 0);
  size_t size = strlen(remote->url) + strlen(get->path) + 1;
  char *url = malloc(size);
  if (url == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  snprintf(url, size, "%s%s", remote->url, get->path);
  get->outgoing = (tess_http_outgoing){
      .ops = &ops,
      .method = "GET",
      .url = url,
      .headers = get->headers != NULL ? get->headers : &none,
      .deadline_ms = get->timeout_ms > 0 ? transport->ops->now_ms(transport) + get->timeout_ms
                                         : TESS_NEVER_MS};
  tess_code code = transport->ops->start(transport, &get->outgoing, status);
  bool cancelled = false;
  while (code == TESS_OK && !transport->ops->wait(transport, is_done, get,
                                                  transport->ops->now_ms(transport) + LOOK_MS)) {
    if (cancelled || !cli_interrupted()) continue;
    cancelled = true;
    transport->ops->cancel(transport, &get->outgoing);
  }
  free(url);
  tess_metadata_cleanup(&none);
  if (code == TESS_OK && get->code != TESS_OK)
    code = tess_status_set(status, get->code, "%s",
                           get->detail[0] != '\0' ? get->detail : tess_code_name(get->code));
  return code == TESS_OK ? code : cli_remote_explain(remote, status);
}

void cli_http_get_cleanup(cli_http_get *get) {
  free(get->body);
  get->body = NULL;
}
