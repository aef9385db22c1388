/* SPDX-License-Identifier: Apache-2.0
 *
 * A request head as it came, before civetweb's parser sees it. That parser takes what
 * RFC 9112 forbids or what others read differently (a line's end without CR or without
 * LF, folded lines, blanks in places where none belong, lines that end its list of
 * headers), and it cuts the head up, so that nobody can tell afterwards. What the
 * headers say is for http_server_guard.h. Pure: no I/O, no memory of its own.
 */
#ifndef TESSERA_RPC_HTTP_REQUEST_HEAD_H
#define TESSERA_RPC_HTTP_REQUEST_HEAD_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of blank lines (CRLF) at the beginning, which are to be skipped (RFC 9112 2.2). */
size_t tess__request_head_blank(const char *data, size_t size);

/* data holds *size bytes, the first *head_size of which are a head: up to and with an
 * empty line. 0: it is well-formed, with max_headers at most, and its target was brought
 * into the one form that is understood further on: "http://host/path" became "/path"
 * (both sizes are lower then), and "*" became "/" with *asterisk set. Otherwise the
 * status to refuse it with, and *why (static) says what was wrong. */
int tess__request_head_prepare(char *data, size_t *head_size, size_t *size, size_t max_headers,
                               bool *asterisk, const char **why);

/* The trailers behind a chunked body, byte by byte, from within the name of the first. */
typedef enum tess__trailers {
  TESS__TRAILERS_NAME,
  TESS__TRAILERS_VALUE,
  TESS__TRAILERS_VALUE_CR, /* a line's end has begun */
  TESS__TRAILERS_LINE,     /* a line may begin, or the last one's end */
  TESS__TRAILERS_LAST_CR,
  TESS__TRAILERS_DONE,
  TESS__TRAILERS_WRONG
} tess__trailers;
tess__trailers tess__trailers_next(tess__trailers state, char byte);

#endif
