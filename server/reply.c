/* SPDX-License-Identifier: Apache-2.0
 *
 * What the module answers, on its way to the client: a list of parts, one write
 * each. Large ones stay in the module's memory where it allows that; others are
 * copied and count against the budget.
 */
#include <stdlib.h>
#include <string.h>

#include "server/host_headers.h"
#include "server/host_internal.h"

/* A module that goes on writing although it was told to wait is cut off here. */
#define MAX_WAITING_WINDOWS 16

static size_t total_of(const tess_slice *pieces, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += pieces[i].size;
  return total;
}

/* With the bytes copied behind it, as one piece. */
static tess__reply_part *part_with_copy(const tess_slice *pieces, size_t count, bool last) {
  size_t bytes = total_of(pieces, count);
  tess__reply_part *part = malloc(sizeof *part + sizeof *part->pieces + bytes);
  if (part == NULL) return NULL;
  tess_slice *piece = (tess_slice *)(part + 1);
  uint8_t *data = (uint8_t *)(piece + 1);
  *piece = (tess_slice){data, bytes};
  for (size_t i = 0; i < count; i++) {
    if (pieces[i].size > 0) memcpy(data, pieces[i].data, pieces[i].size);
    data += pieces[i].size;
  }
  *part = (tess__reply_part){
      .pieces = piece, .piece_count = bytes > 0 ? 1 : 0, .bytes = bytes, .last = last};
  return part;
}

/* With the pieces themselves, which lie in the memory of the host's instance. */
static tess__reply_part *part_with_pieces(tess_module_host *host, const tess_slice *pieces,
                                          size_t count, bool last) {
  tess__reply_part *part = malloc(sizeof *part + count * sizeof *part->pieces);
  if (part == NULL) return NULL;
  *part = (tess__reply_part){.pieces = (tess_slice *)(part + 1),
                             .piece_count = count,
                             .bytes = total_of(pieces, count),
                             .kept = host->instance,
                             .last = last};
  memcpy(part->pieces, pieces, count * sizeof *pieces);
  tess__instance_pin(host, host->instance);
  return part;
}

static tess__reply_part *make_part(tess_module_host *host, const tess_slice *pieces, size_t count,
                                   bool last, bool keep) {
  size_t bytes = total_of(pieces, count);
  if (keep && bytes >= TESS__LARGE_BYTES) return part_with_pieces(host, pieces, count, last);
  if (!tess__charge(host, bytes)) return NULL;
  tess__reply_part *part = part_with_copy(pieces, count, last);
  if (part == NULL) {
    tess__uncharge(host, bytes);
  } else {
    part->charged = bytes;
  }
  return part;
}

/* lock held */
static void append(tess__request *request, tess__reply_part *part) {
  part->next = NULL;
  if (request->last != NULL) {
    request->last->next = part;
  } else {
    request->first = part;
  }
  request->last = part;
  request->waiting_bytes += part->bytes;
  if (part->last) request->finished = true;
  if (request->waker.wake != NULL) request->waker.wake(request->waker.ctx);
}

tess_code tess__reply_append_copy(tess__request *request, const tess_slice *pieces,
                                  size_t piece_count, bool last) {
  tess__reply_part *part = part_with_copy(pieces, piece_count, last);
  if (part == NULL) return TESS_RESOURCE_EXHAUSTED;
  append(request, part);
  return TESS_OK;
}

tess__reply_part *tess__reply_pop(tess__request *request) {
  tess__reply_part *part = request->first;
  if (part == NULL) return NULL;
  request->first = part->next;
  if (request->first == NULL) request->last = NULL;
  request->waiting_bytes -= part->bytes;
  return part;
}

void tess__reply_part_free(tess__request *request, tess__reply_part *part) {
  tess_module_host *host = request->host;
  if (part->kept != NULL) {
    pthread_mutex_lock(&host->lock);
    bool lives = part->kept == host->instance;
    if (--part->kept->pins == 0) pthread_cond_signal(&host->changed);
    if (lives && request->id != 0) {
      request->sent++;
      tess__event_post(host, &request->event, TESS__SENT);
    }
    pthread_mutex_unlock(&host->lock);
  }
  tess__uncharge(host, part->charged);
  free(part);
}

/* ---- the imports ---- */

/* After a part was queued. */
static void note_queued(tess__request *request, bool kept, bool complete) {
  tess_module_host *host = request->host;
  pthread_mutex_lock(&host->lock);
  if (kept) request->kept++;
  if (complete) request->replied = true;
  pthread_mutex_unlock(&host->lock);
}

static int32_t queue_part(tess__request *request, tess__reply_part *part) {
  bool kept = part->kept != NULL;
  /* Before the part can be sent: on_sent looks at it. */
  note_queued(request, kept, part->last);
  pthread_mutex_lock(&request->lock);
  bool gone = request->aborted;
  bool full = false;
  if (!gone) {
    append(request, part);
    full = request->waiting_bytes > request->host->options.stream_window_bytes && !part->last;
    if (full) request->wants_writable = true;
  }
  pthread_mutex_unlock(&request->lock);
  if (gone) {
    /* The module still hears on_sent if it was told KEPT; so tell it. */
    tess__reply_part_free(request, part);
    return kept ? TESS_ENGINE_KEPT : -1;
  }
  if (kept) return TESS_ENGINE_KEPT;
  return full ? 1 : 0;
}

/* The host has no memory for the module's reply: it answers itself. */
static int32_t fail_for_memory(tess__request *request) {
  note_queued(request, false, true);
  tess__request_fail(request, TESS_RESOURCE_EXHAUSTED, "no memory for the reply");
  return -1;
}

int32_t tess__reply_begin(tess__request *request, int32_t status, tess_slice headers,
                          const tess_slice *pieces, size_t piece_count, bool more, bool keep) {
  tess_metadata parsed;
  tess_metadata_init(&parsed, NULL, TESS__MAX_HEADER_BYTES);
  tess_code code = tess_host_headers_parse(headers, &parsed);
  if (code != TESS_OK || status < 200 || status > 599) {
    tess_metadata_cleanup(&parsed);
    note_queued(request, false, true);
    tess__request_fail(request, TESS_INTERNAL, "the module's reply is no HTTP reply");
    return -1;
  }
  tess__reply_part *part = make_part(request->host, pieces, piece_count, !more, keep);
  if (part == NULL) {
    tess_metadata_cleanup(&parsed);
    return fail_for_memory(request);
  }
  pthread_mutex_lock(&request->lock);
  bool begun = request->head_ready;
  if (!begun) {
    request->head_ready = true;
    request->status = status;
    request->reply_length = more ? -1 : (int64_t)part->bytes;
    tess_metadata old = request->reply_headers;
    request->reply_headers = parsed;
    parsed = old;
  }
  pthread_mutex_unlock(&request->lock);
  tess_metadata_cleanup(&parsed);
  if (!begun) return queue_part(request, part);
  if (part->kept != NULL) tess__instance_unpin(request->host, part->kept);
  tess__uncharge(request->host, part->charged);
  free(part);
  return -1;
}

int32_t tess__reply_continue(tess__request *request, const tess_slice *pieces, size_t piece_count,
                             bool more, bool keep) {
  pthread_mutex_lock(&request->lock);
  bool begun = request->head_ready && !request->finished;
  bool flooded =
      request->waiting_bytes / MAX_WAITING_WINDOWS > request->host->options.stream_window_bytes;
  pthread_mutex_unlock(&request->lock);
  if (!begun) return -1;
  tess__reply_part *part =
      flooded ? NULL : make_part(request->host, pieces, piece_count, !more, keep);
  if (part == NULL) return fail_for_memory(request);
  return queue_part(request, part);
}
