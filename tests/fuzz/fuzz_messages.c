/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of the product as they come from the wire, in both runtimes: the first
 * byte chooses runtime, type, and arena or heap; the rest is the message. Views of
 * the input are read to their ends, and what was decoded is encoded, decoded and
 * encoded again: the second time gives the same bytes.
 */
#include <tessera/codec.h>
#include <tessera/memory.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const tess_message_type tessera_matmul_v1_MatmulRequest_type_pb_c;
extern const tess_message_type tessera_matmul_v1_TileResult_type_pb_c;
extern const tess_message_type tessera_matmul_v1_DescribeResponse_type_pb_c;
extern const tess_message_type tessera_matmul_v1_Matrix_type_pb_c;
extern const tess_message_type tessera_matmul_v1_MatmulRequest_type_nanopb;
extern const tess_message_type tessera_matmul_v1_TileResult_type_nanopb;
extern const tess_message_type tessera_matmul_v1_DescribeResponse_type_nanopb;
extern const tess_message_type tessera_matmul_v1_Matrix_type_nanopb;

static const tess_message_type *const types[] = {
    &tessera_matmul_v1_MatmulRequest_type_pb_c,    &tessera_matmul_v1_MatmulRequest_type_nanopb,
    &tessera_matmul_v1_TileResult_type_pb_c,       &tessera_matmul_v1_TileResult_type_nanopb,
    &tessera_matmul_v1_DescribeResponse_type_pb_c, &tessera_matmul_v1_DescribeResponse_type_nanopb,
    &tessera_matmul_v1_Matrix_type_pb_c,           &tessera_matmul_v1_Matrix_type_nanopb,
};

/* The bytes of a message that was decoded, or NULL. */
static uint8_t *encode(const tess_message_type *type, const void *message, size_t *size) {
  tess_segments segments;
  tess_segments_init(&segments, NULL, 0);
  if (type->runtime->encode(type, message, &segments, NULL) != TESS_OK) abort();
  uint8_t *bytes = malloc(segments.total_bytes + 1);
  if (bytes == NULL) abort();
  *size = 0;
  for (size_t i = 0; i < segments.count; i++) {
    if (segments.items[i].size == 0) continue;
    memcpy(bytes + *size, segments.items[i].data, segments.items[i].size);
    *size += segments.items[i].size;
  }
  tess_segments_cleanup(&segments);
  return bytes;
}

/* NULL: not a message. */
static uint8_t *decode_and_encode(const tess_message_type *type, bool in_arena, const uint8_t *data,
                                  size_t size, size_t *encoded_size) {
  tess_arena arena;
  tess_arena_init(&arena, NULL, 1 << 22);
  /* Exact, so that a read past the end is seen. */
  uint8_t *exact = malloc(size > 0 ? size : 1);
  void *message = malloc(type->size);
  if (exact == NULL || message == NULL) abort();
  if (size > 0) memcpy(exact, data, size);
  uint8_t *encoded = NULL;
  tess_code code = type->runtime->decode(type, (tess_slice){exact, size}, in_arena ? &arena : NULL,
                                         NULL, message, NULL);
  if (code == TESS_OK)
    encoded = encode(type, message, encoded_size);
  else if (code != TESS_INVALID_ARGUMENT && code != TESS_RESOURCE_EXHAUSTED)
    abort();
  if (!in_arena) type->runtime->clear(type, NULL, message);
  tess_arena_cleanup(&arena);
  free(message);
  free(exact);
  return encoded;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  const tess_message_type *type = types[data[0] & 7];
  bool in_arena = (data[0] & 8) != 0;
  size_t first_size = 0, second_size = 0;
  uint8_t *first = decode_and_encode(type, in_arena, data + 1, size - 1, &first_size);
  if (first == NULL) return 0;
  uint8_t *second = decode_and_encode(type, !in_arena, first, first_size, &second_size);
  if (second == NULL || second_size != first_size || memcmp(first, second, first_size) != 0)
    abort();
  free(first);
  free(second);
  return 0;
}
