/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_pages.h.
 */
#include "rpc/http_server_pages.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_MAX_BYTES = 1 << 20, CORS_MAX_BYTES = 4096 };

bool tess__pages_init(tess__pages *pages) {
  size_t count = 0;
  pages->etags = NULL;
  if (pages->files == NULL) return true;
  while (pages->files[count].path != NULL)
    count++;
  pages->etags = calloc(count + 1, sizeof *pages->etags);
  if (pages->etags == NULL) return false;
  for (size_t i = 0; i < count; i++)
    tess__etag_make(pages->etags[i], (tess_slice){pages->files[i].data, pages->files[i].size});
  return true;
}

void tess__pages_cleanup(tess__pages *pages) {
  free(pages->etags);
  pages->etags = NULL;
}

/* ---- CORS ---- */

static bool origin_allowed(const tess__pages *pages, const tess__http_head *head) {
  if (pages->cors_origin == NULL || head->origin == NULL) return false;
  return strcmp(pages->cors_origin, "*") == 0 || strcmp(pages->cors_origin, head->origin) == 0;
}

void tess__pages_cors(const tess__pages *pages, const tess__http_head *head, tess__out *out) {
  if (!origin_allowed(pages, head)) return;
  tess__out_text(out, "Access-Control-Allow-Origin: ");
  tess__out_text(out, pages->cors_origin);
  tess__out_text(out, "\r\n");
  if (strcmp(pages->cors_origin, "*") != 0) tess__out_text(out, "Vary: Origin\r\n");
  tess__out_text(out,
                 "Access-Control-Expose-Headers: Grpc-Status, Grpc-Message, "
                 "Grpc-Status-Details-Bin, *\r\n");
}

/* A list of header names, as browsers write it. */
static bool is_name_list(const char *list) {
  for (; *list != 0; list++) {
    unsigned char c = (unsigned char)*list;
    bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("-_.!#$%&'*+^`|~, ", c) != NULL;
    if (!ok) return false;
  }
  return true;
}

/* The lines that only a preflight has: every reply gets those of tess__pages_cors, and
 * browsers refuse a reply with two Access-Control-Allow-Origin. */
static void preflight(const tess__pages *pages, const tess__http_head *head, tess__page *page) {
  tess__out *out = &page->text;
  out->max_bytes = CORS_MAX_BYTES;
  page->status = 204;
  if (!origin_allowed(pages, head)) return; /* no CORS lines: the browser refuses */
  tess__out_text(out,
                 "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"
                 "Access-Control-Max-Age: 7200\r\n"
                 "Access-Control-Allow-Headers: ");
  /* An allowed origin may send any header: echoing what it asked for also covers
   * "authorization", which a "*" does not. */
  if (head->cors_headers != NULL && is_name_list(head->cors_headers) &&
      strlen(head->cors_headers) < CORS_MAX_BYTES / 2) {
    tess__out_text(out, head->cors_headers);
  } else {
    tess__out_text(out,
                   "Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, "
                   "Connect-Content-Encoding, Connect-Accept-Encoding, Content-Encoding, "
                   "Grpc-Timeout, X-Grpc-Web, X-User-Agent, Authorization");
  }
  tess__out_text(out, "\r\nVary: Access-Control-Request-Headers\r\n");
  tess__out_bytes(out, "", 1);
  page->headers = out->failed ? NULL : out->data;
}

/* ---- health and metrics ---- */

static void set_text(tess__page *page, int status, const char *text) {
  page->status = status;
  page->content_type = "text/plain; charset=utf-8";
  page->body = (tess_slice){text, strlen(text)};
}

static void metric(tess__out *out, const char *type, const char *name, const char *help,
                   uint64_t value) {
  tess__out_text(out, "# HELP ");
  tess__out_text(out, name);
  tess__out_text(out, " ");
  tess__out_text(out, help);
  tess__out_text(out, "\n# TYPE ");
  tess__out_text(out, name);
  tess__out_text(out, " ");
  tess__out_text(out, type);
  tess__out_text(out, "\n");
  tess__out_text(out, name);
  tess__out_text(out, " ");
  tess__out_number(out, value);
  tess__out_text(out, "\n");
}

static void print_text(void *ctx, const char *text) {
  tess__out_text(ctx, text);
}

static void metrics(const tess__pages *pages, tess__watch *watch, tess__page *page) {
  tess__out *out = &page->text;
  tess__watch_counts counts;
  tess__watch_get_counts(watch, &counts);
  out->max_bytes = PAGE_MAX_BYTES;
  metric(out, "gauge", "tessera_http_connections", "Open connections.", counts.connections);
  metric(out, "gauge", "tessera_http_requests_in_progress", "Requests being answered.",
         counts.busy);
  metric(out, "counter", "tessera_http_connections_accepted_total", "Connections accepted.",
         counts.accepted);
  metric(out, "counter", "tessera_http_connections_refused_total",
         "Connections refused at the limit.", counts.refused);
  metric(out, "counter", "tessera_http_connections_evicted_total",
         "Idle connections closed to make room.", counts.evicted);
  metric(out, "counter", "tessera_http_timeouts_total", "Connections that ran into a time limit.",
         counts.timed_out);
  metric(out, "counter", "tessera_http_requests_total", "Request heads received.", counts.requests);
  tess__out_text(out,
                 "# HELP tessera_http_replies_total Replies by class of status.\n"
                 "# TYPE tessera_http_replies_total counter\n");
  for (size_t i = 2; i < 6; i++) {
    tess__out_text(out, "tessera_http_replies_total{class=\"");
    tess__out_number(out, i);
    tess__out_text(out, "xx\"} ");
    tess__out_number(out, counts.replies[i]);
    tess__out_text(out, "\n");
  }
  metric(out, "counter", "tessera_http_body_bytes_read_total", "Bytes of request bodies.",
         counts.bytes_read);
  metric(out, "counter", "tessera_http_bytes_written_total", "Bytes of replies, heads included.",
         counts.bytes_written);
  if (pages->metrics != NULL) pages->metrics(pages->metrics_ctx, print_text, out);
  if (out->failed) {
    set_text(page, 500, "the metrics are too large\n");
    return;
  }
  page->status = 200;
  page->content_type = "text/plain; version=0.0.4; charset=utf-8";
  page->body = (tess_slice){out->data, out->size};
}

/* ---- files ---- */

static bool find_file(const tess__pages *pages, const char *path, const tess__http_head *head,
                      tess__page *page) {
  if (strcmp(path, "/") == 0) path = "/index.html";
  for (size_t i = 0; pages->files[i].path != NULL; i++) {
    const tess_static_file *file = &pages->files[i];
    if (strcmp(path, file->path) != 0) continue;
    page->headers = file->headers;
    page->etag = pages->etags[i];
    page->status = 200;
    if (head->if_none_match != NULL && tess__etag_matches(head->if_none_match, page->etag)) {
      page->status = 304;
      return true;
    }
    page->content_type = file->content_type;
    page->body = (tess_slice){file->data, file->size};
    return true;
  }
  return false;
}

bool tess__pages_find(const tess__pages *pages, tess__watch *watch, bool draining,
                      const char *method, const char *path, const tess__http_head *head,
                      tess__page *page) {
  memset(page, 0, sizeof *page);
  bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  enum { NONE, LIVEZ, READYZ, METRICS } which = NONE;
  if (strcmp(path, "/livez") == 0) which = LIVEZ;
  if (strcmp(path, "/readyz") == 0) which = READYZ;
  if (strcmp(path, "/metrics") == 0) which = METRICS;
  if (!get && strcmp(method, "OPTIONS") == 0 && pages->cors_origin != NULL &&
      head->origin != NULL && head->cors_method != NULL) {
    preflight(pages, head, page);
    return true;
  }
  if (strcmp(path, "*") == 0) { /* OPTIONS, says the guard */
    page->status = 204;
    page->headers = "Allow: GET, HEAD, POST, OPTIONS\r\n";
    return true;
  }
  if (which == NONE) return get && pages->files != NULL && find_file(pages, path, head, page);
  if (!get) {
    set_text(page, 405, "only GET and HEAD here\n");
    page->headers = "Allow: GET, HEAD\r\n";
    return true;
  }
  page->headers = "Cache-Control: no-store\r\n";
  if (which == METRICS) {
    metrics(pages, watch, page);
  } else if (which == LIVEZ) {
    set_text(page, 200, "ok\n");
  } else if (draining) {
    set_text(page, 503, "draining\n");
  } else if (pages->ready != NULL && !pages->ready(pages->ready_ctx)) {
    set_text(page, 503, "not ready\n");
  } else {
    set_text(page, 200, "ok\n");
  }
  return true;
}
