/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include "grpc/health/v1/health.rpc.pb-c.h"
#include "grpc/reflection/v1/reflection.rpc.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.rpc.pb-c.h"
#include "nasty/odd-file.name.rpc.pb-c.h"
#include "nasty/two.rpc.pb-c.h"
#include "nasty/v1/reexport.rpc.pb-c.h"
#include "nasty/v1/services.rpc.pb-c.h"
#include "nasty/v1/types.rpc.pb-c.h"
#include "nopackage.rpc.pb-c.h"
#include "protobuf_c_only/renamed.rpc.pb-c.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"

static const tess_service *const nasty[] = {
    &nasty_v1_kinds_pb_c,
    &nasty_v1_idempotency_service_pb_c,
    &nasty_v1_words_pb_c,
    &nasty_v1_nothing_pb_c,
    &nasty_v1_two_words_pb_c,
    &nasty_v1_two_words__pb_c,
    &odd_pkg_v1api_odd_service_pb_c,
    &nasty_two_old_service_pb_c,
    &echo_pb_c,
    &protobuf_c_only_renamed_service_pb_c,
};

static const tess_service *const own[] = {
    &tessera_matmul_v1_matmul_service_pb_c,     &tessera_matmul_v1_controller_service_pb_c,
    &tessera_matmul_v1_block_service_pb_c,      &grpc_health_v1_health_pb_c,
    &grpc_reflection_v1_server_reflection_pb_c, &grpc_reflection_v1alpha_server_reflection_pb_c};

const tess_service *const *nasty_services_protobuf_c(size_t *count) {
  *count = sizeof nasty / sizeof *nasty;
  return nasty;
}

const tess_service *const *own_services_protobuf_c(size_t *count) {
  *count = sizeof own / sizeof *own;
  return own;
}

/* ---- schemas, which belong to no runtime ---- */

#include "nasty/odd-file.name.schema.h"
#include "nasty/two.schema.h"
#include "nasty/v1/reexport.schema.h"
#include "nasty/v1/services.schema.h"
#include "nasty/v1/types.schema.h"
#include "nopackage.schema.h"
#include "protobuf_c_only/renamed.schema.h"

static const tess_file_schema *const schemas[] = {&tess_file_nasty_v1_types,
                                                  &tess_file_nasty_v1_reexport,
                                                  &tess_file_nasty_v1_services,
                                                  &tess_file_nasty_odd_x2d_file_x2e_name,
                                                  &tess_file_nasty_two,
                                                  &tess_file_nopackage,
                                                  &tess_file_protobuf__c__only_renamed};

const tess_file_schema *const *nasty_schemas_all(size_t *count) {
  *count = sizeof schemas / sizeof *schemas;
  return schemas;
}
