/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant text in messages of protobuf-c: the generated structs have char *,
 * though encoding writes to nothing.
 */
#ifndef TESSERA_WORKER_TEXT_H
#define TESSERA_WORKER_TEXT_H

static inline char *worker_text(const char *text) {
  union {
    const char *in;
    char *out;
  } cast = {text};
  return cast.out;
}

#endif
