/* SPDX-License-Identifier: Apache-2.0
 *
 * Extensions are unknown fields to protobuf-c, which keeps them: packed again
 * and read as a message that has fields in their place (generator_options.proto)
 * they become visible.
 */
#include "foreign_options.h"

#include "generator_options.pb-c.h"

static uint8_t *repack(const ProtobufCMessage *message, pool *memory, size_t *size) {
  *size = protobuf_c_message_get_packed_size(message);
  uint8_t *bytes = pool_alloc(memory, *size, 1);
  if (bytes) protobuf_c_message_pack(message, bytes);
  return bytes;
}

bool foreign_file_options(const Google__Protobuf__FileOptions *options, pool *memory,
                          model_file *file) {
  if (!options || options->base.n_unknown_fields == 0) return true;
  size_t size;
  uint8_t *bytes = repack(&options->base, memory, &size);
  if (!bytes) return false;
  Tessera__ProtocGen__ForeignFileOptions *foreign =
      tessera__protoc_gen__foreign_file_options__unpack(NULL, size, bytes);
  if (!foreign) return false;
  if (foreign->protobuf_c) {
    file->protobuf_c_no_generate = foreign->protobuf_c->no_generate;
    if (foreign->protobuf_c->c_package)
      file->protobuf_c_package = pool_printf(memory, "%s", foreign->protobuf_c->c_package);
  }
  if (foreign->nanopb) {
    file->nanopb_mangle_names = foreign->nanopb->mangle_names;
    if (foreign->nanopb->package)
      file->nanopb_package = pool_printf(memory, "%s", foreign->nanopb->package);
  }
  tessera__protoc_gen__foreign_file_options__free_unpacked(foreign, NULL);
  return true;
}

bool foreign_message_options(const Google__Protobuf__MessageOptions *options, pool *memory,
                             bool *nanopb_skipped) {
  *nanopb_skipped = false;
  if (!options || options->base.n_unknown_fields == 0) return true;
  size_t size;
  uint8_t *bytes = repack(&options->base, memory, &size);
  if (!bytes) return false;
  Tessera__ProtocGen__ForeignMessageOptions *foreign =
      tessera__protoc_gen__foreign_message_options__unpack(NULL, size, bytes);
  if (!foreign) return false;
  *nanopb_skipped = foreign->nanopb && foreign->nanopb->skip_message;
  tessera__protoc_gen__foreign_message_options__free_unpacked(foreign, NULL);
  return true;
}
