/* SPDX-License-Identifier: Apache-2.0
 *
 * The 16 codes: their names and their HTTP statuses.
 * Source: https://connectrpc.com/docs/protocol#error-codes
 */
#include <tessera/status.h>

#include <string.h>

typedef struct code_row {
  const char *name;
  int http_status;
} code_row;

static const code_row rows[] = {
    [TESS_OK] = {"ok", 200},
    [TESS_CANCELED] = {"canceled", 499},
    [TESS_UNKNOWN] = {"unknown", 500},
    [TESS_INVALID_ARGUMENT] = {"invalid_argument", 400},
    [TESS_DEADLINE_EXCEEDED] = {"deadline_exceeded", 504},
    [TESS_NOT_FOUND] = {"not_found", 404},
    [TESS_ALREADY_EXISTS] = {"already_exists", 409},
    [TESS_PERMISSION_DENIED] = {"permission_denied", 403},
    [TESS_RESOURCE_EXHAUSTED] = {"resource_exhausted", 429},
    [TESS_FAILED_PRECONDITION] = {"failed_precondition", 400},
    [TESS_ABORTED] = {"aborted", 409},
    [TESS_OUT_OF_RANGE] = {"out_of_range", 400},
    [TESS_UNIMPLEMENTED] = {"unimplemented", 501},
    [TESS_INTERNAL] = {"internal", 500},
    [TESS_UNAVAILABLE] = {"unavailable", 503},
    [TESS_DATA_LOSS] = {"data_loss", 500},
    [TESS_UNAUTHENTICATED] = {"unauthenticated", 401},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(ROW_COUNT == TESS_UNAUTHENTICATED + 1, "one row for each tess_code");

const char *tess_code_name(tess_code code) {
  return (int)code >= 0 && (int)code < ROW_COUNT ? rows[code].name : NULL;
}

tess_code tess_code_from_name(const char *name, size_t size, bool *found) {
  for (int code = 1; code < ROW_COUNT; code++)
    if (strlen(rows[code].name) == size && memcmp(rows[code].name, name, size) == 0) {
      if (found != NULL) *found = true;
      return (tess_code)code;
    }
  if (found != NULL) *found = false;
  return TESS_UNKNOWN;
}

int tess_code_to_http(tess_code code) {
  return (int)code >= 0 && (int)code < ROW_COUNT ? rows[code].http_status : 500;
}

tess_code tess_code_from_http(int http_status) {
  switch (http_status) {
    case 200:
      return TESS_OK;
    case 400:
      return TESS_INTERNAL;
    case 401:
      return TESS_UNAUTHENTICATED;
    case 403:
      return TESS_PERMISSION_DENIED;
    case 404:
      return TESS_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return TESS_UNAVAILABLE;
    default:
      return TESS_UNKNOWN;
  }
}
