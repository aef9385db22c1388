/* SPDX-License-Identifier: Apache-2.0 */
#include "http_driver.h"

#include <check.h>
#include <string.h>

static void parse_headers(tess_metadata *metadata, const char *text) {
  while (text != NULL && *text != '\0') {
    const char *colon = strstr(text, ": "), *end = strchr(text, '\n');
    ck_assert(colon != NULL && end != NULL);
    ck_assert_int_eq(tess_metadata_add_n(metadata, text, (size_t)(colon - text), colon + 2,
                                         (size_t)(end - colon - 2)),
                     TESS_OK);
    text = end + 1;
  }
}

static void record_head(http_answer *answer, const tess_http_step *step) {
  ck_assert_int_eq(answer->status, 0); /* one head */
  answer->status = step->status;
  answer->content_length = step->content_length;
  size_t size = 0;
  for (size_t i = 0; step->headers != NULL && i < step->headers->count; i++) {
    const tess_metadata_entry *entry = &step->headers->entries[i];
    size_t name_size = strlen(entry->name);
    ck_assert_uint_lt(size + name_size + entry->value_size + 3, sizeof answer->headers);
    memcpy(answer->headers + size, entry->name, name_size);
    memcpy(answer->headers + size + name_size, ": ", 2);
    memcpy(answer->headers + size + name_size + 2, entry->value, entry->value_size);
    size += name_size + entry->value_size + 2;
    answer->headers[size++] = '\n';
  }
  answer->headers[size] = '\0';
}

static void record_write(http_answer *answer, const tess_http_step *step) {
  ck_assert(!answer->last); /* nothing follows the last write */
  if (step->status != 0) record_head(answer, step);
  ck_assert_int_ne(answer->status, 0);
  for (size_t i = 0; i < step->segment_count; i++) {
    const tess_slice *segment = &step->segments[i];
    ck_assert_uint_le(answer->body_size + segment->size, sizeof answer->body);
    memcpy(answer->body + answer->body_size, segment->data, segment->size);
    answer->body_size += segment->size;
  }
  answer->writes++;
  answer->last = step->last;
  answer->close = answer->close || step->close;
}

static void count_wake(void *ctx) {
  ((http_run *)ctx)->wakes++;
}

bool http_begin(http_run *run, tess_http_handler handler, const http_request_text *request,
                int64_t now_ms) {
  memset(run, 0, sizeof *run);
  run->request = *request;
  tess_metadata_init(&run->headers, NULL, 0);
  parse_headers(&run->headers, request->headers);
  bool has_body = request->body_size != 0 || request->chunked;
  tess_http_request head = {
      .method = request->method != NULL ? request->method : "POST",
      .path = request->path,
      .query = request->query,
      .headers = &run->headers,
      .content_length = request->chunked ? -1 : (int64_t)request->body_size,
      .peer = "192.0.2.1:4711",
      .client_subject = request->client_subject,
      .outlook = request->outlook,
  };
  tess_waker waker = {count_wake, run};
  run->exchange = handler.open(handler.ctx, &head, waker, now_ms);
  tess_metadata_clear(&run->headers); /* borrowed during open() alone */
  if (run->exchange == NULL) return true;
  if (request->give && has_body) {
    tess_chunk chunk = {(uint8_t *)(uintptr_t)request->body, request->body_size, NULL, NULL};
    run->exchange->ops->give_body(run->exchange, &chunk, now_ms);
  }
  return http_continue(run, now_ms);
}

static void feed(http_run *run, const tess_http_step *step, int64_t now_ms) {
  const http_request_text *request = &run->request;
  size_t left = request->body_size - run->body_offset;
  ck_assert_uint_gt(step->read_size, 0);
  size_t size = left < step->read_size ? left : step->read_size;
  if (request->max_piece != 0 && size > request->max_piece) size = request->max_piece;
  if (size != 0) memcpy(step->read_data, (const uint8_t *)request->body + run->body_offset, size);
  run->body_offset += size;
  /* The end of a chunked body shows only when one reads on. */
  bool end = request->chunked ? size == 0 : run->body_offset == request->body_size;
  run->exchange->ops->did_read(run->exchange, size, end, now_ms);
}

bool http_continue(http_run *run, int64_t now_ms) {
  for (int steps = 0; steps < 1000000; steps++) {
    tess_http_step step;
    run->exchange->ops->step(run->exchange, now_ms, &step);
    switch (step.want) {
      case TESS_HTTP_READ:
        feed(run, &step, now_ms);
        break;
      case TESS_HTTP_WRITE:
        record_write(&run->answer, &step);
        run->exchange->ops->did_write(run->exchange, now_ms);
        break;
      case TESS_HTTP_WAIT:
        run->wake_at_ms = step.wake_at_ms;
        return false;
      case TESS_HTTP_DONE:
        ck_assert(run->answer.last);
        if (run->answer.content_length >= 0)
          ck_assert_int_eq(run->answer.content_length, (int64_t)run->answer.body_size);
        run->exchange->ops->free(run->exchange);
        run->exchange = NULL;
        return true;
    }
  }
  ck_abort_msg("the exchange never ends");
  return false;
}

void http_end(http_run *run) {
  if (run->exchange != NULL) run->exchange->ops->free(run->exchange);
  run->exchange = NULL;
  tess_metadata_cleanup(&run->headers);
}

void http_exchange(tess_http_handler handler, const http_request_text *request,
                   http_answer *answer) {
  static http_run run; /* large */
  ck_assert(http_begin(&run, handler, request, 1000));
  *answer = run.answer;
  http_end(&run);
}

void http_assert_body(const http_answer *answer, const char *bytes, size_t size) {
  ck_assert_uint_eq(answer->body_size, size);
  ck_assert_mem_eq(answer->body, bytes, size);
}
