/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of protobuf-c behind the codec seam.
 */
#include <string.h>

#include <tessera/codec.h>

#include "rpc/memory.h"
#include "rpc/protobuf_c_views.h"

/* Messages up to this size are encoded in one piece. */
#define SMALL_MESSAGE_BYTES 4096

static const ProtobufCMessageDescriptor *descriptor_of(const tess_message_type *type) {
  return type->descriptor;
}

/* ---- protobuf-c's allocator over ours ---- */

typedef struct memory {
  ProtobufCAllocator base;
  const tess_allocator *allocator; /* NULL: from the arena */
  tess_arena *arena;
  const void *keep; /* not freed: the caller's own struct */
  bool failed;      /* there was none, once */
} memory;

static void *memory_alloc(void *ctx, size_t size) {
  memory *from = ctx;
  void *made = from->arena != NULL ? tess_arena_alloc(from->arena, size)
                                   : tess__alloc(from->allocator, size);
  from->failed = from->failed || made == NULL;
  return made;
}

static void memory_free(void *ctx, void *ptr) {
  const memory *from = ctx;
  if (from->arena == NULL && ptr != from->keep) {
    tess__free(from->allocator, ptr);
  }
}

static memory *memory_init(memory *from, tess_arena *arena, const tess_allocator *allocator) {
  *from = (memory){
      {memory_alloc, memory_free, from}, tess__allocator_or_default(allocator), arena, NULL, false};
  return from;
}

/* ---- the runtime's functions ---- */

static void init(const tess_message_type *type, void *message) {
  protobuf_c_message_init(descriptor_of(type), message);
}

static void clear(const tess_message_type *type, const tess_allocator *allocator, void *message) {
  memory heap;
  memory_init(&heap, NULL, allocator)->keep = message;
  protobuf_c_message_free_unpacked(message, &heap.base);
  init(type, message);
}

static tess_code unpack(const tess_message_type *type, tess_slice data, memory *from, void *message,
                        tess_status *status) {
  /* NULL means malformed or no memory, and protobuf-c does not say which: the
   * allocator knows. */
  ProtobufCMessage *unpacked =
      protobuf_c_message_unpack(descriptor_of(type), &from->base, data.size, data.data);
  if (unpacked == NULL && from->failed) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: over the limit or out of memory",
                           type->full_name);
  }
  if (unpacked == NULL) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: malformed message", type->full_name);
  }
  memcpy(message, unpacked, type->size);
  memory_free(from, unpacked);
  return TESS_OK;
}

static tess_code decode(const tess_message_type *type, tess_slice data, tess_arena *arena,
                        const tess_allocator *allocator, void *message, tess_status *status) {
  tess__pbc_scan scan;
  tess_slice *views = NULL, source = data;
  memory from;
  init(type, message);
  tess_code code = tess__pbc_scan_message(descriptor_of(type), data, &scan, status);
  if (code != TESS_OK) {
    return code;
  }
  bool with_views = arena != NULL && scan.view_count > 0 && !scan.has_token;
  if (with_views &&
      tess__pbc_skeleton(descriptor_of(type), data, &scan, arena, &source, &views) != TESS_OK) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: out of memory", type->full_name);
  }
  memory_init(&from, arena, allocator);
  code = unpack(type, source, &from, message, status);
  if (code != TESS_OK) {
    init(type, message);
  } else if (with_views) {
    tess__pbc_put_views(message, views, scan.view_count);
  }
  return code;
}

/* ---- encoding: protobuf-c's buffer over segments ---- */

typedef struct sink {
  ProtobufCBuffer base;
  tess_segments *segments;
  tess_code code; /* the first error */
} sink;

/* protobuf-c hands over payloads where they lie in the message, and everything
 * else from its stack; a piece of this size can only be a payload. */
_Static_assert(TESS_SEGMENT_BORROW_BYTES >= 64, "protobuf-c's scratch buffers must be copied");

static void sink_append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data) {
  sink *to = (sink *)buffer;
  if (to->code == TESS_OK) {
    to->code = size >= TESS_SEGMENT_BORROW_BYTES ? tess_segments_borrow(to->segments, data, size)
                                                 : tess_segments_copy(to->segments, data, size);
  }
}

static tess_code encode(const tess_message_type *type, const void *message, tess_segments *segments,
                        tess_status *status) {
  size_t size = protobuf_c_message_get_packed_size(message);
  if (size <= SMALL_MESSAGE_BYTES) {
    uint8_t *to = size > 0 ? tess__segments_reserve(segments, size) : NULL;
    if (to != NULL) {
      protobuf_c_message_pack(message, to);
    }
    if (to != NULL || size == 0) {
      return TESS_OK;
    }
  } else {
    sink to = {{sink_append}, segments, TESS_OK};
    protobuf_c_message_pack_to_buffer(message, &to.base);
    if (to.code == TESS_OK) {
      return TESS_OK;
    }
  }
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                         "%s: %zu bytes are over the limit or out of memory", type->full_name,
                         size);
}

const tess_message_runtime tess_runtime_protobuf_c = {"protobuf-c", init, decode, encode, clear};
