/* SPDX-License-Identifier: Apache-2.0
 *
 * protoc-gen-c-messages: protoc-c's plugin, for the messages and enums alone.
 *
 *   protoc --plugin=protoc-gen-c=protoc-gen-c-messages --c_out=DIR X.proto
 *
 * It runs protoc-gen-c, unchanged, and mends three things on the way:
 * - Schemas with proto3 `optional`: protoc-gen-c can generate such fields (each
 *   is a oneof of one, "_name") but does not say so, and protoc then refuses. The
 *   flag is added to its response.
 * - Services: its code for them is of no use here, and does not compile where a
 *   method is named like a word of C. They are taken out of its request.
 * - Groups, with which it crashes, and fields whose names its code cannot take: they
 *   are refused here, by name (c_members.h).
 *
 * PROTOC_GEN_C in the environment names another program to run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c_members.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "stream.h"
#include "wire_depth.h"

#ifndef PROTOC_GEN_C
#define PROTOC_GEN_C "protoc-gen-c"
#endif

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_proto;

/* For the names of one run: those of all files together. */
#define MAX_NAMES_BYTES ((size_t)256 << 20)

static int fail(const char *what) {
  fprintf(stderr, "protoc-gen-c-messages: %s: %s\n", what, strerror(errno));
  return 1;
}

/* The request goes through an unlinked file, so that neither side of a pipe can
 * wait for the other. */
static int request_file(const text *request) {
  FILE *file = tmpfile();
  if (!file) return -1;
  int fd = dup(fileno(file));
  fclose(file);
  if (fd >= 0 && (!stream_write_all(fd, request) || lseek(fd, 0, SEEK_SET) != 0)) {
    close(fd);
    return -1;
  }
  return fd;
}

/* The child's exit status when there is no such program. */
#define CANNOT_RUN 127

/* False: what went wrong is on stderr. */
static bool run(const char *program, int in, text *response) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) return fail("pipe"), false;
  pid_t child = fork();
  if (child < 0) {
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return fail("fork"), false;
  }
  if (child == 0) {
    if (dup2(in, STDIN_FILENO) < 0 || dup2(pipe_fds[1], STDOUT_FILENO) < 0) _exit(CANNOT_RUN);
    close(in);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    execlp(program, program, (char *)NULL);
    _exit(CANNOT_RUN);
  }
  close(pipe_fds[1]);
  bool ok = stream_read_all(pipe_fds[0], response);
  int read_errno = errno;
  close(pipe_fds[0]);
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail("waitpid"), false;
  errno = read_errno;
  if (!ok) {
    fail(program);
  } else if (WIFSIGNALED(status)) {
    fprintf(stderr, "protoc-gen-c-messages: %s ended by signal %d\n", program, WTERMSIG(status));
  } else if (WEXITSTATUS(status) == CANNOT_RUN) {
    fprintf(stderr, "protoc-gen-c-messages: cannot run %s\n", program);
  } else if (WEXITSTATUS(status) != 0) {
    fprintf(stderr, "protoc-gen-c-messages: %s ended with %d\n", program, WEXITSTATUS(status));
  }
  return ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Puts the packed form of a message in the place of the text. */
static bool repack(const ProtobufCMessage *message, text *out) {
  size_t size = protobuf_c_message_get_packed_size(message);
  uint8_t *bytes = malloc(size + 1);
  if (!bytes) return false;
  protobuf_c_message_pack(message, bytes);
  text_cleanup(out);
  text_add_bytes(out, (const char *)bytes, size);
  free(bytes);
  return !out->failed;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const text *in) {
  const uint8_t *data = (const uint8_t *)in->data;
  errno = EPROTO;
  if (!wire_depth_within(type, data, in->size, 64)) return NULL;
  return protobuf_c_message_unpack(type, NULL, in->size, data);
}

static bool is_generated(const request_proto *request, const char *name) {
  for (size_t i = 0; name && i < request->n_file_to_generate; i++)
    if (strcmp(request->file_to_generate[i], name) == 0) return true;
  return false;
}

/* False: what protoc-gen-c cannot do is on stderr. */
static bool check(const request_proto *request) {
  pool memory;
  pool_init(&memory, MAX_NAMES_BYTES);
  const char *problem = NULL;
  for (size_t i = 0; !problem && i < request->n_proto_file; i++)
    if (is_generated(request, request->proto_file[i]->name))
      problem = c_members_problem(&memory, request->proto_file[i]);
  if (!problem && memory.failed) problem = "out of memory";
  if (problem) fprintf(stderr, "protoc-gen-c-messages: %s\n", problem);
  pool_cleanup(&memory);
  return !problem;
}

/* Checks the request and takes its services out. False: what went wrong is on stderr. */
static bool prepare(text *request) {
  ProtobufCMessage *message =
      unpack(&google__protobuf__compiler__code_generator_request__descriptor, request);
  if (!message) return fail("the request on stdin"), false;
  request_proto *typed = (request_proto *)message;
  bool ok = check(typed);
  for (size_t i = 0; i < typed->n_proto_file; i++) {
    Google__Protobuf__FileDescriptorProto *file = typed->proto_file[i];
    for (size_t j = 0; j < file->n_service; j++)
      google__protobuf__service_descriptor_proto__free_unpacked(file->service[j], NULL);
    file->n_service = 0;
  }
  if (ok && !repack(message, request)) {
    fail("the request");
    ok = false;
  }
  protobuf_c_message_free_unpacked(message, NULL);
  return ok;
}

static bool add_feature(text *response) {
  ProtobufCMessage *message =
      unpack(&google__protobuf__compiler__code_generator_response__descriptor, response);
  if (!message) return false;
  Google__Protobuf__Compiler__CodeGeneratorResponse *typed =
      (Google__Protobuf__Compiler__CodeGeneratorResponse *)message;
  typed->has_supported_features = true;
  typed->supported_features |=
      GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
  bool ok = repack(message, response);
  protobuf_c_message_free_unpacked(message, NULL);
  return ok;
}

int main(void) {
  const char *program = getenv("PROTOC_GEN_C");
  if (!program || !*program) program = PROTOC_GEN_C;
  text request = {0}, response = {0};
  if (!stream_read_all(STDIN_FILENO, &request)) return fail("stdin");
  if (!prepare(&request)) {
    text_cleanup(&request);
    return 1;
  }
  int in = request_file(&request);
  text_cleanup(&request);
  if (in < 0) return fail("temporary file");
  int result = 0;
  if (!run(program, in, &response)) {
    result = 1;
  } else if (!add_feature(&response)) {
    result = fail("the response of protoc-gen-c");
  } else if (!stream_write_all(STDOUT_FILENO, &response)) {
    result = fail("stdout");
  }
  close(in);
  text_cleanup(&response);
  return result;
}
