/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a response head line by line, as an HTTP library hands it out. Pure.
 */
#ifndef TESSERA_RPC_HTTP_REPLY_HEAD_H
#define TESSERA_RPC_HTTP_REPLY_HEAD_H

#include <tessera/metadata.h>

typedef enum tess__reply_line {
  TESS__REPLY_MORE,  /* the head goes on, or the line belongs to a trailer */
  TESS__REPLY_READY, /* the final head is complete: read the fields */
  TESS__REPLY_BAD,   /* not HTTP */
  TESS__REPLY_LARGE  /* over the limit of headers.max_bytes, or out of memory */
} tess__reply_line;

/* Set up with tess__reply_head_init; cleanup frees the headers. */
typedef struct tess__reply_head {
  int status;             /* of the last status line */
  int64_t content_length; /* -1: unknown */
  bool complete;          /* READY has been returned; what follows are trailers */
  bool chunked;           /* private */
  tess_metadata headers;
} tess__reply_head;

void tess__reply_head_init(tess__reply_head *head, size_t max_bytes);
void tess__reply_head_cleanup(tess__reply_head *head);
/* Ready for another response. */
void tess__reply_head_reset(tess__reply_head *head);
/* One line, with its line end or without. */
tess__reply_line tess__reply_head_line(tess__reply_head *head, const char *line, size_t size);

#endif
