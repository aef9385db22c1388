/* SPDX-License-Identifier: Apache-2.0
 *
 * Schemas for which protoc-gen-c writes code that does not compile, or crashes: found
 * before it runs, so that the error names the file and the field.
 */
#ifndef TESSERA_PROTOC_GEN_C_MEMBERS_H
#define TESSERA_PROTOC_GEN_C_MEMBERS_H

#include "google/protobuf/descriptor.pb-c.h"
#include "pool.h"

/* What is wrong with the file's messages, in the pool; NULL: nothing, or the pool
 * failed. The file does not nest without end (wire_depth.h). */
const char *c_members_problem(pool *memory, const Google__Protobuf__FileDescriptorProto *file);

#endif
