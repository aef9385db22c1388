/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of C things, derived from names in a .proto: those that the message
 * generators (protoc-c, nanopb) give, which must be matched exactly, and ours.
 *
 * Results live in the pool; NULL when it is exhausted. Inputs are ASCII
 * identifiers, with dots in between where a full name is asked for.
 */
#ifndef TESSERA_PROTOC_GEN_NAMES_H
#define TESSERA_PROTOC_GEN_NAMES_H

#include "pool.h"

/* "foo.bar_baz.HTTPMessage" -> "Foo__BarBaz__HTTPMessage": protoc-c's struct. */
char *name_protobuf_c_struct(pool *memory, const char *full_name);
/* -> "foo__bar_baz__httpmessage": the stem of protoc-c's "...__descriptor". */
char *name_protobuf_c_lower(pool *memory, const char *full_name);
/* "foo.bar_baz.Msg" -> "foo_bar_baz_Msg": nanopb's struct. */
char *name_nanopb(pool *memory, const char *full_name);
/* "foo.bar_baz.Msg" -> "foo_bar__baz_Msg". Unlike nanopb's, it tells "a.b" from
 * "a_b": the stem of our tables. */
char *name_symbol(pool *memory, const char *full_name);
/* "my/file-name.proto" -> "my_file_x2d_name": the same for paths. */
char *name_path_symbol(pool *memory, const char *path);
/* "MatmulService" -> "matmul_service", "GetHTTPStatus" -> "get_http_status". */
char *name_snake(pool *memory, const char *name);
/* "tessera.matmul.v1", "MatmulService" -> "tessera_matmul_v1_matmul_service". */
char *name_snake_prefix(pool *memory, const char *package, const char *name);
/* The path without ".proto" (or ".protodevel"). */
char *name_strip_proto(pool *memory, const char *path);

/* A keyword of C or C++, or a macro of their headers: unfit as a struct member. */
bool name_is_reserved(const char *name);
bool name_is_identifier(const char *name);
/* Identifiers with dots between them; empty is allowed. */
bool name_is_package(const char *name);
/* May stand in #include "...". */
bool name_is_path(const char *path);

#endif
