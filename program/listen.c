/* SPDX-License-Identifier: Apache-2.0 */
#include "program/listen.h"

#include <tessera/http_server.h>

bool program_listen_take(const char *program, const char *text, const char **listen, FILE *err) {
  tess_status status = TESS_STATUS_INIT;
  bool good = tess_http_server_listen_check(text, &status) == TESS_OK;
  if (!good)
    fprintf(err, "%s: --listen: %s\n", program, status.message != NULL ? status.message : "?");
  tess_status_cleanup(&status);
  *listen = text;
  return good;
}
