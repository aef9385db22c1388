/* SPDX-License-Identifier: Apache-2.0
 *
 * Comments of a .proto, and how they become comments in C.
 */
#ifndef TESSERA_PROTOC_GEN_SOURCE_COMMENTS_H
#define TESSERA_PROTOC_GEN_SOURCE_COMMENTS_H

#include <stdint.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "pool.h"

/* The comment before a declaration, else the one behind it; NULL: none. `path`
 * is that of SourceCodeInfo.Location. Borrowed from info. */
const char *source_comment(const Google__Protobuf__SourceCodeInfo *info, const int32_t *path,
                           size_t path_size);
/* Writes a block comment, each line behind `indent`: whatever the text holds, it
 * neither ends the comment nor makes a compiler warn. Nothing for NULL or blank
 * text. `more` (or NULL) is a last paragraph. */
void source_comment_write(text *out, const char *indent, const char *comment, const char *more);

#endif
