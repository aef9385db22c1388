/* SPDX-License-Identifier: Apache-2.0
 *
 * tess_status: code, message, details; everything owned.
 */
#include "rpc/status.h"

#include "rpc/format.h"
#include "rpc/memory.h"

#include <string.h>

enum { MAX_DETAILS = 1024 };

static const tess_allocator *allocator_of(const tess_status *status) {
  return tess__allocator_or_default(status->allocator);
}

void tess_status_init(tess_status *status, const struct tess_allocator *allocator) {
  *status = (tess_status){.allocator = allocator};
}

void tess_status_reset(tess_status *status) {
  const tess_allocator *allocator = allocator_of(status);
  tess__free(allocator, status->message);
  for (size_t i = 0; i < status->detail_count; i++) {
    tess__free(allocator, status->details[i].type_name);
    tess__free(allocator, status->details[i].value);
  }
  tess__free(allocator, status->details);
  tess_status_init(status, status->allocator);
}

void tess_status_cleanup(tess_status *status) {
  tess_status_reset(status);
}

tess_code tess__status_vset(tess_status *status, tess_code code, const char *format, va_list args) {
  if (status == NULL) return code;
  const tess_allocator *allocator = allocator_of(status);
  /* The arguments may point into the old message: format first. */
  char *message = NULL;
  if (format != NULL) {
    va_list again;
    va_copy(again, args);
    size_t length = tess__vformat(NULL, 0, format, args);
    message = tess__alloc(allocator, length + 1);
    if (message != NULL) tess__vformat(message, length + 1, format, again);
    va_end(again);
  }
  tess_status_reset(status);
  status->code = code;
  status->message = message;
  return code;
}

tess_code tess_status_set(tess_status *status, tess_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tess__status_vset(status, code, format, args);
  va_end(args);
  return code;
}

tess_code tess__status_add_detail(tess_status *status, tess_slice type_name, tess_slice value) {
  const tess_allocator *allocator = allocator_of(status);
  if (status->detail_count >= MAX_DETAILS) return TESS_RESOURCE_EXHAUSTED;
  size_t bytes = (status->detail_count + 1) * sizeof *status->details;
  tess_status_detail *details = tess__realloc(allocator, status->details, bytes);
  if (details == NULL) return TESS_RESOURCE_EXHAUSTED;
  status->details = details;
  tess_status_detail detail = {
      .type_name = tess__strndup(allocator, type_name.data, type_name.size),
      .value = (uint8_t *)tess__strndup(allocator, value.data, value.size),
      .value_size = value.size,
  };
  if (detail.type_name == NULL || detail.value == NULL) {
    tess__free(allocator, detail.type_name);
    tess__free(allocator, detail.value);
    return TESS_RESOURCE_EXHAUSTED;
  }
  status->details[status->detail_count++] = detail;
  return TESS_OK;
}

tess_code tess_status_add_detail(tess_status *status, const char *type_name, const void *value,
                                 size_t value_size) {
  return tess__status_add_detail(status, (tess_slice){type_name, strlen(type_name)},
                                 (tess_slice){value, value_size});
}

tess_code tess_status_copy(tess_status *to, const tess_status *from) {
  tess_status_set(to, from->code, from->message != NULL ? "%s" : NULL, from->message);
  if (to->message == NULL && from->message != NULL) return TESS_RESOURCE_EXHAUSTED;
  for (size_t i = 0; i < from->detail_count; i++) {
    const tess_status_detail *detail = &from->details[i];
    tess_code code =
        tess_status_add_detail(to, detail->type_name, detail->value, detail->value_size);
    if (code != TESS_OK) return code;
  }
  return TESS_OK;
}
