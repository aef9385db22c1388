/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of tess_tls_options that own their texts.
 */
#ifndef TESSERA_RPC_TLS_OPTIONS_H
#define TESSERA_RPC_TLS_OPTIONS_H

#include <tessera/tls.h>

/* False: out of memory, and *to is empty. */
bool tess__tls_options_copy(tess_tls_options *to, const tess_tls_options *from);
void tess__tls_options_cleanup(tess_tls_options *options);

#endif
