/* SPDX-License-Identifier: Apache-2.0
 *
 * MatmulService.Multiply of a worker. See service.h.
 */
#ifndef TESSERA_WORKER_MULTIPLY_H
#define TESSERA_WORKER_MULTIPLY_H

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "worker/service.h"

tess_code worker_multiply(void *ctx, tess_call *call,
                          const Tessera__Matmul__V1__MatmulRequest *request,
                          Tessera__Matmul__V1__TileResult *response);

#endif
