/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding: of grpc-message (gRPC's rule: space to '~' but '%' stay as
 * they are), of URL queries, and the fields of a query string.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, RFC 3986.
 */
#ifndef TESSERA_RPC_PERCENT_H
#define TESSERA_RPC_PERCENT_H

#include "rpc/text.h"

void tess__percent_encode_message(tess__text *out, const char *text, size_t size);
void tess__percent_encode_query(tess__text *out, const char *text, size_t size);
/* Decodes in place and returns the new length. An invalid escape stays as it is.
 * plus_is_space: as in queries. */
size_t tess__percent_decode(char *text, size_t size, bool plus_is_space);

/* Value of the first field with this name in a query ("a=b&c"), still escaped.
 * False: there is none. */
bool tess__query_field(const char *query, const char *name, tess_slice *value);

#endif
