/* SPDX-License-Identifier: Apache-2.0
 *
 * Response heads: a text buffer with a bound, the status line, the date. A head
 * and a small body leave in one write, so both are put together here.
 */
#ifndef TESSERA_RPC_HTTP_SERVER_HEAD_H
#define TESSERA_RPC_HTTP_SERVER_HEAD_H

#include <tessera/metadata.h>

/* Bytes on their way out. data belongs to the buffer; over max_bytes or out of
 * memory `failed` is set and stays. Zero it, set max_bytes; free data at the end. */
typedef struct tess__out {
  char *data;
  size_t size;
  size_t capacity;
  size_t max_bytes;
  bool failed;
} tess__out;

/* Room for `size` more bytes, or false. */
bool tess__out_reserve(tess__out *out, size_t size);
void tess__out_bytes(tess__out *out, const void *data, size_t size);
void tess__out_text(tess__out *out, const char *text);
void tess__out_number(tess__out *out, uint64_t value);
void tess__out_hex(tess__out *out, uint64_t value);

/* "OK"; "Unknown" for a status that has no name. */
const char *tess__http_reason(int status);

/* "HTTP/1.1 200 OK\r\nDate: ...\r\n". seconds: CLOCK_REALTIME. */
void tess__out_status(tess__out *out, int status, int64_t seconds);
/* One line for each entry, save those that frame the message, which the adapter
 * writes itself (Content-Length, Transfer-Encoding, Connection, Date, ...). */
void tess__out_headers(tess__out *out, const tess_metadata *headers);

#endif
