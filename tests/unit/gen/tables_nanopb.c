/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include "grpc/health/v1/health.rpc.pb.h"
#include "grpc/reflection/v1/reflection.rpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.rpc.pb.h"
#include "nasty/odd-file.name.rpc.pb.h"
#include "nasty/two.rpc.pb.h"
#include "nasty/v1/reexport.rpc.pb.h"
#include "nasty/v1/services.rpc.pb.h"
#include "nasty/v1/types.rpc.pb.h"
#include "nopackage.rpc.pb.h"
#include "tessera/matmul/v1/matmul.rpc.pb.h"

static const tess_service *const nasty[] = {
    &nasty_v1_kinds_nanopb,
    &nasty_v1_idempotency_service_nanopb,
    &nasty_v1_words_nanopb,
    &nasty_v1_nothing_nanopb,
    &nasty_v1_two_words_nanopb,
    &nasty_v1_two_words__nanopb,
    &odd_pkg_v1api_odd_service_nanopb,
    &nasty_two_old_service_nanopb,
    &echo_nanopb,
};

static const tess_service *const own[] = {&tessera_matmul_v1_matmul_service_nanopb,
                                          &tessera_matmul_v1_controller_service_nanopb,
                                          &tessera_matmul_v1_block_service_nanopb,
                                          &grpc_health_v1_health_nanopb,
                                          &grpc_reflection_v1_server_reflection_nanopb,
                                          &grpc_reflection_v1alpha_server_reflection_nanopb};

const tess_service *const *nasty_services_nanopb(size_t *count) {
  *count = sizeof nasty / sizeof *nasty;
  return nasty;
}

const tess_service *const *own_services_nanopb(size_t *count) {
  *count = sizeof own / sizeof *own;
  return own;
}
