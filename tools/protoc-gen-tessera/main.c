/* SPDX-License-Identifier: Apache-2.0
 *
 * protoc-gen-tessera: called by protoc for --tessera_out. See plugin.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tessera/version.h>
#include <unistd.h>

#include "plugin.h"
#include "stream.h"

int main(int argc, char **argv) {
  if (argc > 1) {
    bool version = strcmp(argv[1], "--version") == 0;
    fprintf(version ? stdout : stderr, "%s\n",
            version
                ? "protoc-gen-tessera " TESS_VERSION
                : "protoc-gen-tessera: a plugin of protoc; use protoc --tessera_out=DIR X.proto");
    return version ? 0 : 2;
  }
  text request = {0}, response = {0};
  const char *problem = NULL;
  bool ok = stream_read_all(STDIN_FILENO, &request);
  if (!ok) problem = strerror(errno);
  ok = ok && plugin_run((const uint8_t *)request.data, request.size, &response, &problem);
  if (ok && !stream_write_all(STDOUT_FILENO, &response)) {
    problem = strerror(errno);
    ok = false;
  }
  if (!ok) fprintf(stderr, "protoc-gen-tessera: %s\n", problem);
  text_cleanup(&request);
  text_cleanup(&response);
  return ok ? 0 : 1;
}
