/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as the ABI carries them, "name: value\r\n" for each, and back.
 * Pure.
 */
#ifndef TESSERA_SERVER_HOST_HEADERS_H
#define TESSERA_SERVER_HOST_HEADERS_H

#include <tessera/metadata.h>

/* A new text (free() it), not NUL-terminated; *size 0 and a text that is still
 * to be freed for no headers. NULL: no memory. */
char *tess_host_headers_text(const tess_metadata *headers, size_t *size);

/* Appends the headers of the text. Those that belong to HTTP's framing
 * (content-length, transfer-encoding, connection, ...) are left out: the host
 * writes its own. TESS_INVALID_ARGUMENT: not a list of headers;
 * TESS_RESOURCE_EXHAUSTED. */
tess_code tess_host_headers_parse(tess_slice text, tess_metadata *headers);

#endif
