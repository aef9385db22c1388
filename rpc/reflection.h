/* SPDX-License-Identifier: Apache-2.0
 *
 * The reflection object, as its own files see it.
 */
#ifndef TESSERA_RPC_REFLECTION_H
#define TESSERA_RPC_REFLECTION_H

#include <tessera/reflection.h>

#include "rpc/descriptor_index.h"
#include "rpc/etag.h"
#include "rpc/text.h"

struct tess_reflection {
  const tess_allocator *allocator;
  tess__descriptor_index index;
  const char **services; /* full names, in order */
  size_t service_count;
  tess__text set; /* FileDescriptorSet */
  char etag[TESS__ETAG_BYTES];
  tess_http_handler next; /* reflection_http.c */
};

#endif
