/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of generated tables. One runtime's headers fit into a translation unit,
 * so each list has a file of its own.
 */
#ifndef TESSERA_TESTS_GEN_TABLES_H
#define TESSERA_TESTS_GEN_TABLES_H

#include <tessera/service.h>

const tess_file_schema *const *nasty_schemas_all(size_t *count);
const tess_service *const *nasty_services_protobuf_c(size_t *count);
const tess_service *const *nasty_services_nanopb(size_t *count);
const tess_service *const *own_services_protobuf_c(size_t *count);
const tess_service *const *own_services_nanopb(size_t *count);

#endif
