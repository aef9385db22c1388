/* SPDX-License-Identifier: Apache-2.0
 *
 * protoc-gen-tessera on any request: it answers, and either with files or with
 * an error.
 */
#include <stdlib.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  text out = {0};
  const char *problem = NULL;
  if (!plugin_run(data, size, &out, &problem)) abort();
  Google__Protobuf__Compiler__CodeGeneratorResponse *response =
      google__protobuf__compiler__code_generator_response__unpack(NULL, out.size,
                                                                  (const uint8_t *)out.data);
  if (!response || (response->error != NULL) != (response->n_file == 0)) abort();
  google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
  text_cleanup(&out);
  return 0;
}
