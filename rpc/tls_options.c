/* SPDX-License-Identifier: Apache-2.0
 *
 * See tls_options.h.
 */
#include "rpc/tls_options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool copy_text(const char **to, const char *from) {
  *to = from != NULL ? strdup(from) : NULL;
  return from == NULL || *to != NULL;
}

bool tess__tls_options_copy(tess_tls_options *to, const tess_tls_options *from) {
  memset(to, 0, sizeof *to);
  to->require_client_certificate = from->require_client_certificate;
  bool ok = copy_text(&to->certificate_file, from->certificate_file);
  ok = copy_text(&to->certificate_pem, from->certificate_pem) && ok;
  ok = copy_text(&to->key_file, from->key_file) && ok;
  ok = copy_text(&to->key_pem, from->key_pem) && ok;
  ok = copy_text(&to->ca_file, from->ca_file) && ok;
  ok = copy_text(&to->ca_pem, from->ca_pem) && ok;
  if (!ok) tess__tls_options_cleanup(to);
  return ok;
}

void tess__tls_options_cleanup(tess_tls_options *options) {
  free((char *)(uintptr_t)options->certificate_file);
  free((char *)(uintptr_t)options->certificate_pem);
  free((char *)(uintptr_t)options->key_file);
  free((char *)(uintptr_t)options->key_pem);
  free((char *)(uintptr_t)options->ca_file);
  free((char *)(uintptr_t)options->ca_pem);
  memset(options, 0, sizeof *options);
}
