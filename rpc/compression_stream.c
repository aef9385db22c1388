/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/compression_stream.h"

#include "rpc/output.h"

static tess_code too_large(const char *name, size_t max_bytes, tess_chunk *out,
                           tess_status *status) {
  out->size = max_bytes + 1;
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: larger than %zu bytes", name,
                         max_bytes);
}

/* One piece, as far as it goes. TESS_END: the coding is complete. */
static tess_code run_piece(const char *name, tess__stream_step step, void *state, tess_slice *in,
                           bool last, size_t max_bytes, tess__output *output, tess_chunk *out,
                           tess_status *status) {
  for (;;) {
    size_t room, written = 0, before = in->size;
    uint8_t *to = tess__output_room(output, &room);
    if (to == NULL) {
      return output->size >= output->max_bytes
                 ? too_large(name, max_bytes, out, status)
                 : tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    }
    tess__stream_result result = step(state, in, last, to, room, &written);
    tess__output_commit(output, written);
    if (max_bytes != 0 && output->size > max_bytes) {
      return too_large(name, max_bytes, out, status);
    }
    if (result == TESS__STREAM_NO_MEMORY) {
      return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (result == TESS__STREAM_WRONG) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "not valid %s data", name);
    }
    if (result == TESS__STREAM_DONE) {
      return TESS_END;
    }
    if (in->size == 0 && !last) {
      return TESS_OK;
    }
    if (written == 0 && in->size == before) { /* it wants input that will not come */
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s data is cut off", name);
    }
  }
}

tess_code tess__stream_run(const char *name, tess__stream_step step, void *state,
                           const tess_slice *pieces, size_t piece_count, size_t max_bytes,
                           const tess_allocator *allocator, tess_chunk *out, tess_status *status) {
  static const tess_slice nothing = {"", 0};
  tess__output output;
  tess_code code = TESS_OK;
  size_t left = 0;
  /* One byte beyond the limit tells "too large" from "just as large". */
  tess__output_init(&output, allocator, max_bytes != 0 ? max_bytes + 1 : 0);
  if (piece_count == 0) {
    pieces = &nothing;
    piece_count = 1;
  }
  for (size_t i = 0; i < piece_count && code == TESS_OK; i++) {
    tess_slice in = pieces[i];
    code = run_piece(name, step, state, &in, i + 1 == piece_count, max_bytes, &output, out, status);
    left = in.size + (code == TESS_END ? piece_count - i - 1 : 0);
  }
  if (code == TESS_END && left > 0) {
    code = tess_status_set(status, TESS_INVALID_ARGUMENT, "bytes behind the %s data", name);
  } else if (code == TESS_END) {
    code = tess__output_take(&output, out)
               ? TESS_OK
               : tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess__output_cleanup(&output);
  return code;
}
