/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of protoc-c and nanopb inside a .proto that change the names of what
 * they generate. nanopb's .options files are not seen here.
 */
#ifndef TESSERA_PROTOC_GEN_FOREIGN_OPTIONS_H
#define TESSERA_PROTOC_GEN_FOREIGN_OPTIONS_H

#include "model.h"

/* Fill the file's protobuf_c_... and nanopb_... members. False: the options are
 * malformed, or memory ran out. */
bool foreign_file_options(const Google__Protobuf__FileOptions *options, pool *memory,
                          model_file *file);
bool foreign_message_options(const Google__Protobuf__MessageOptions *options, pool *memory,
                             bool *nanopb_skipped);

#endif
