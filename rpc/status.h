/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core itself calls to fill a tess_status.
 */
#ifndef TESSERA_RPC_STATUS_H
#define TESSERA_RPC_STATUS_H

#include <tessera/memory.h>
#include <tessera/status.h>

#include <stdarg.h>

/* tess_status_set for functions that take a format themselves. */
tess_code tess__status_vset(tess_status *status, tess_code code, const char *format, va_list args);
/* tess_status_add_detail with a name that no NUL ends. */
tess_code tess__status_add_detail(tess_status *status, tess_slice type_name, tess_slice value);

#endif
