/* SPDX-License-Identifier: Apache-2.0
 *
 * The engines of this build of tessera-server, best first. CMake writes the
 * table (engines.c.in).
 */
#ifndef TESSERA_SERVER_ENGINES_H
#define TESSERA_SERVER_ENGINES_H

#include "server/engine.h"

typedef struct server_engine {
  const char *name; /* NULL: the end of the table */
  const tess_engine_ops *ops;
  const void *image; /* for tess_engine_params */
  bool needs_file;   /* it reads the module from a file */
} server_engine;

extern const server_engine server_engines[];

#endif
