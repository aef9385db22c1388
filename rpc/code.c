/* SPDX-License-Identifier: Apache-2.0
 *
 * The 16 codes: their names and their HTTP statuses.
 * Source: https://connectrpc.com/docs/protocol#error-codes
 */
#include <tessera/status.h>

#include <string.h>

static const char *const names[] = {
    [TESS_OK] = "ok",
    [TESS_CANCELED] = "canceled",
    [TESS_UNKNOWN] = "unknown",
    [TESS_INVALID_ARGUMENT] = "invalid_argument",
    [TESS_DEADLINE_EXCEEDED] = "deadline_exceeded",
    [TESS_NOT_FOUND] = "not_found",
    [TESS_ALREADY_EXISTS] = "already_exists",
    [TESS_PERMISSION_DENIED] = "permission_denied",
    [TESS_RESOURCE_EXHAUSTED] = "resource_exhausted",
    [TESS_FAILED_PRECONDITION] = "failed_precondition",
    [TESS_ABORTED] = "aborted",
    [TESS_OUT_OF_RANGE] = "out_of_range",
    [TESS_UNIMPLEMENTED] = "unimplemented",
    [TESS_INTERNAL] = "internal",
    [TESS_UNAVAILABLE] = "unavailable",
    [TESS_DATA_LOSS] = "data_loss",
    [TESS_UNAUTHENTICATED] = "unauthenticated",
};
static const short http_statuses[] = {
    [TESS_OK] = 200,
    [TESS_CANCELED] = 499,
    [TESS_UNKNOWN] = 500,
    [TESS_INVALID_ARGUMENT] = 400,
    [TESS_DEADLINE_EXCEEDED] = 504,
    [TESS_NOT_FOUND] = 404,
    [TESS_ALREADY_EXISTS] = 409,
    [TESS_PERMISSION_DENIED] = 403,
    [TESS_RESOURCE_EXHAUSTED] = 429,
    [TESS_FAILED_PRECONDITION] = 400,
    [TESS_ABORTED] = 409,
    [TESS_OUT_OF_RANGE] = 400,
    [TESS_UNIMPLEMENTED] = 501,
    [TESS_INTERNAL] = 500,
    [TESS_UNAVAILABLE] = 503,
    [TESS_DATA_LOSS] = 500,
    [TESS_UNAUTHENTICATED] = 401,
};
enum { CODE_COUNT = TESS_UNAUTHENTICATED + 1 };
_Static_assert(sizeof names / sizeof names[0] == CODE_COUNT, "a name for each tess_code");
_Static_assert(sizeof http_statuses / sizeof http_statuses[0] == CODE_COUNT,
               "an HTTP status for each tess_code");

const char *tess_code_name(tess_code code) {
  return (int)code >= 0 && (int)code < CODE_COUNT ? names[code] : NULL;
}

tess_code tess_code_from_name(const char *name, size_t size, bool *found) {
  for (int code = 1; code < CODE_COUNT; code++)
    if (strlen(names[code]) == size && memcmp(names[code], name, size) == 0) {
      if (found != NULL) *found = true;
      return (tess_code)code;
    }
  if (found != NULL) *found = false;
  return TESS_UNKNOWN;
}

int tess_code_to_http(tess_code code) {
  return (int)code >= 0 && (int)code < CODE_COUNT ? http_statuses[code] : 500;
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
