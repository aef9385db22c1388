/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin without its input and output: a serialized CodeGeneratorRequest in,
 * a serialized CodeGeneratorResponse out.
 *
 * Options (the request's parameter, "--tessera_opt=..."), comma-separated:
 *   runtime=protobuf-c   X.rpc.pb-c.h, X.rpc.pb-c.c
 *   runtime=nanopb       X.rpc.pb.h, X.rpc.pb.c      both may be given; without
 *                        either both are made
 *   schema=no            without X.schema.h, X.schema.c
 *
 * Threads: any, each with its own arguments.
 */
#ifndef TESSERA_PROTOC_GEN_PLUGIN_H
#define TESSERA_PROTOC_GEN_PLUGIN_H

#include <stdint.h>

#include "pool.h"

/* Appends the response. What is wrong with the request (it is none, the .proto,
 * the options) is told in the response; true then, too. False: *problem (static
 * text) says why there is no response: memory ran out. */
bool plugin_run(const uint8_t *request, size_t size, text *response, const char **problem);

#endif
