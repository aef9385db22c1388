/* SPDX-License-Identifier: Apache-2.0
 *
 * Status of a call: one of the 16 codes shared by gRPC and Connect, a message
 * for people, and typed details for programs.
 * Source: https://connectrpc.com/docs/protocol#error-codes and
 * https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
 *
 * A function that can fail returns a tess_code. Where more is worth telling it
 * also takes a tess_status owned by the caller, which may be NULL.
 */
#ifndef TESSERA_STATUS_H
#define TESSERA_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tess_allocator;

typedef enum tess_code {
  TESS_OK = 0,
  TESS_CANCELED = 1,
  TESS_UNKNOWN = 2,
  TESS_INVALID_ARGUMENT = 3,
  TESS_DEADLINE_EXCEEDED = 4,
  TESS_NOT_FOUND = 5,
  TESS_ALREADY_EXISTS = 6,
  TESS_PERMISSION_DENIED = 7,
  TESS_RESOURCE_EXHAUSTED = 8,
  TESS_FAILED_PRECONDITION = 9,
  TESS_ABORTED = 10,
  TESS_OUT_OF_RANGE = 11,
  TESS_UNIMPLEMENTED = 12,
  TESS_INTERNAL = 13,
  TESS_UNAVAILABLE = 14,
  TESS_DATA_LOSS = 15,
  TESS_UNAUTHENTICATED = 16,

  /* Not errors and never on the wire: answers of functions that cannot finish
   * yet. */
  TESS_LATER = -1,       /* a handler will reply in its own time */
  TESS_WOULD_BLOCK = -2, /* a queue is full: wait for the event that says go on */
  TESS_END = -3          /* a stream has no more messages */
} tess_code;

/* "invalid_argument", ...; "ok" for TESS_OK; NULL for anything else. Static. */
const char *tess_code_name(tess_code code);
/* The code of a name; TESS_UNKNOWN and *found = false where there is none. */
tess_code tess_code_from_name(const char *name, size_t size, bool *found);
/* HTTP status of a Connect unary error (Connect's table). */
int tess_code_to_http(tess_code code);
/* Code of an HTTP status that came without a Connect error body. */
tess_code tess_code_from_http(int http_status);

/* One google.protobuf.Any of an error. */
typedef struct tess_status_detail {
  char *type_name; /* fully qualified message name, without "type.googleapis.com/" */
  uint8_t *value;  /* the message in binary protobuf */
  size_t value_size;
} tess_status_detail;

/* Set it up with TESS_STATUS_INIT or tess_status_init, end with
 * tess_status_cleanup. Everything it points to it owns. */
typedef struct tess_status {
  tess_code code;
  char *message; /* UTF-8; NULL means none */
  tess_status_detail *details;
  size_t detail_count;
  const struct tess_allocator *allocator; /* NULL: malloc */
} tess_status;

#define TESS_STATUS_INIT {TESS_OK, NULL, NULL, 0, NULL}

void tess_status_init(tess_status *status, const struct tess_allocator *allocator);
void tess_status_cleanup(tess_status *status);
/* Back to TESS_OK, ready to be used again. */
void tess_status_reset(tess_status *status);
/* Sets code and message, dropping what was there, and returns the code, so that
 * `return tess_status_set(status, TESS_NOT_FOUND, "no block %s", name)` reads
 * well. The format knows %s %.*s %c %d %i %u %x %ld %lu %lld %llu %zu %zd %g %%
 * alone, the same natively and in WebAssembly. status == NULL is allowed. When
 * memory runs out the code is set and the message is lost. */
tess_code tess_status_set(tess_status *status, tess_code code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Appends a detail, copied. TESS_RESOURCE_EXHAUSTED when memory runs out. */
tess_code tess_status_add_detail(tess_status *status, const char *type_name, const void *value,
                                 size_t value_size);
/* Deep copy; *to must be initialised. */
tess_code tess_status_copy(tess_status *to, const tess_status *from);

#ifdef __cplusplus
}
#endif
#endif
