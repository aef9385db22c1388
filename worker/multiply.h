/* SPDX-License-Identifier: Apache-2.0
 *
 * MatmulService.Multiply and MultiplyTiles of a worker. See service.h. ctx is
 * the worker_service.
 */
#ifndef TESSERA_WORKER_MULTIPLY_H
#define TESSERA_WORKER_MULTIPLY_H

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "worker/service.h"

/* The product in one reply. */
tess_code worker_multiply(void *ctx, tess_call *call,
                          const Tessera__Matmul__V1__MatmulRequest *request,
                          Tessera__Matmul__V1__TileResult *response);
/* Strips of rows, each sent when it is computed; the last one carries stats. */
tess_code worker_multiply_tiles(void *ctx, tess_call *call,
                                const Tessera__Matmul__V1__MatmulRequest *request);

#endif
