/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags: made of the bytes, compared with If-None-Match.
 * Source: RFC 9110, 8.8.3 and 13.1.2.
 */
#ifndef TESSERA_RPC_ETAG_H
#define TESSERA_RPC_ETAG_H

#include <tessera/memory.h>

enum { TESS__ETAG_BYTES = 40 };

/* With its quotes; tells versions apart, guards nothing. */
void tess__etag_make(char tag[TESS__ETAG_BYTES], tess_slice data);
/* list: an If-None-Match header: "*", or tags, weak or not. */
bool tess__etag_matches(const char *list, const char *tag);

#endif
