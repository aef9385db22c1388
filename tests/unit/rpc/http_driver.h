/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives one exchange of any tess_http_handler from literal bytes and records
 * the answer as literal bytes, so that tests can state both.
 */
#ifndef TESSERA_TESTS_HTTP_DRIVER_H
#define TESSERA_TESTS_HTTP_DRIVER_H

#include <tessera/http.h>

typedef struct http_answer {
  int status;
  char headers[4096]; /* "name: value\n" for each, in order */
  uint8_t body[65536];
  size_t body_size;
  int64_t content_length;
  bool last;
  bool close;
  int writes;
} http_answer;

/* Zero means the default. */
typedef struct http_request_text {
  const char *method; /* default "POST" */
  const char *path;
  const char *query;
  const char *headers;        /* "name: value\n"... */
  const char *client_subject; /* of a TLS certificate */
  tess_http_outlook outlook;
  const void *body;
  size_t body_size;
  bool chunked;     /* no Content-Length */
  bool give;        /* the body at once, through give_body */
  size_t max_piece; /* of each read; default no limit */
} http_request_text;

typedef struct http_run {
  tess_http_exchange *exchange; /* NULL once done */
  http_request_text request;
  tess_metadata headers;
  size_t body_offset;
  int wakes;
  int64_t wake_at_ms;
  http_answer answer;
} http_run;

/* Opens the exchange and moves it as far as it goes. True: it is done. */
bool http_begin(http_run *run, tess_http_handler handler, const http_request_text *request,
                int64_t now_ms);
bool http_continue(http_run *run, int64_t now_ms);
/* Frees what is left (aborting the exchange if it is not done). */
void http_end(http_run *run);

/* All at once; fails the test unless the exchange comes to its end. */
void http_exchange(tess_http_handler handler, const http_request_text *request,
                   http_answer *answer);

/* Fails the test unless the answer's body is these bytes. */
void http_assert_body(const http_answer *answer, const char *bytes, size_t size);
#define HTTP_ASSERT_BODY(answer, literal) http_assert_body(answer, literal, sizeof literal - 1)

#endif
