/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server offers, told to whoever asks: server reflection
 * (grpc.reflection.v1 and v1alpha, the service behind `grpcurl` and `buf curl
 * --reflect`), and GET /descriptors.binpb, all of it as one google.protobuf.
 * FileDescriptorSet (`buf curl --schema URL/descriptors.binpb`, `tessera
 * call`). Both are fed by the descriptors that generated code carries.
 *
 *   my_service_register(server, &handlers, ctx);   // all services first
 *   tess_reflection *reflection = tess_reflection_new(server, NULL, &status);
 *   http_options.handler =
 *       tess_reflection_http_handler(reflection, tess_server_http_handler(server));
 *   ...
 *   tess_server_free(server);
 *   tess_reflection_free(reflection);
 *
 * Reflection is a bidi stream: over HTTP/1.1 a client sends all its questions and
 * then reads the answers. It tells the world what the descriptors hold, which is
 * names, types and options, no comments: leave it out where that is a secret.
 *
 * Threads: constant once it is made. Link with tessera-services.
 */
#ifndef TESSERA_REFLECTION_H
#define TESSERA_REFLECTION_H

#include <tessera/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_reflection tess_reflection;

/* The ending tells buf what it gets. */
#define TESS_DESCRIPTORS_PATH "/descriptors.binpb"

/* Zero means the default. */
typedef struct tess_reflection_options {
  /* Services beside those of the server, which somebody else answers; name and
   * file of each are used. */
  const tess_service *const *services;
  size_t service_count;
  /* Files beside those of the services: extensions, messages inside an Any, and
   * what others import for their options alone and is left out otherwise
   * (google/protobuf/descriptor.proto for those who declare options). */
  const tess_file_schema *const *files;
  size_t file_count;
  const tess_allocator *allocator; /* kept by pointer */
} tess_reflection_options;

/* Describes every service that was added to the server so far, and adds
 * grpc.reflection.v1 and v1alpha to it. A service without a file (tess_service)
 * is listed, and no more. options may be NULL. NULL: TESS_ALREADY_EXISTS (it has
 * reflection), TESS_INVALID_ARGUMENT (a descriptor is malformed),
 * TESS_RESOURCE_EXHAUSTED. */
tess_reflection *tess_reflection_new(tess_server *server, const tess_reflection_options *options,
                                     tess_status *status);
/* After tess_server_free and the last call. */
void tess_reflection_free(tess_reflection *reflection);

/* Answers GET and HEAD of TESS_DESCRIPTORS_PATH, with an ETag; all else goes to
 * `next`. One per reflection. Lives as long as the reflection and `next`. */
tess_http_handler tess_reflection_http_handler(tess_reflection *reflection, tess_http_handler next);
/* The FileDescriptorSet itself; what a file imports stands before it. */
tess_slice tess_reflection_descriptors(const tess_reflection *reflection);

#ifdef __cplusplus
}
#endif
#endif
