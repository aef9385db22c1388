/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds generated tables against the FileDescriptorSet that protoc itself wrote
 * for the same files.
 */
#ifndef TESSERA_TESTS_GEN_TABLE_CHECKS_H
#define TESSERA_TESTS_GEN_TABLE_CHECKS_H

#include <tessera/service.h>

#include "google/protobuf/descriptor.pb-c.h"

typedef Google__Protobuf__FileDescriptorSet descriptor_set;

/* Reads a file that protoc --descriptor_set_out --include_imports wrote. Ends
 * the test when it cannot. */
descriptor_set *descriptor_set_read(const char *path);
void descriptor_set_free(descriptor_set *set);

/* Every message, field, enum and import of a file, and of what it imports.
 * Returns how many fields were compared. */
size_t check_file_schema(const descriptor_set *set, const tess_file_schema *schema);
/* Every method of a service: name, path, kind, idempotency, types. */
void check_service(const descriptor_set *set, const tess_service *service,
                   const tess_message_runtime *runtime);
/* All services of these files are among the given ones, and no others. */
void check_services_complete(const descriptor_set *set, const char *const *files, size_t file_count,
                             const tess_service *const *services, size_t service_count);

#endif
