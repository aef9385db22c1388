/* SPDX-License-Identifier: Apache-2.0
 *
 * protoc-gen-c-optional: protoc-c's plugin for schemas with proto3 `optional`.
 *
 *   protoc --plugin=protoc-gen-c=protoc-gen-c-optional --c_out=DIR X.proto
 *
 * protoc-gen-c can generate such fields (each is a oneof of one, "_name") but
 * does not say so, and protoc then refuses. This program runs it, unchanged,
 * and adds the flag to its response. PROTOC_GEN_C in the environment names
 * another one to run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "stream.h"
#include "wire_depth.h"

#ifndef PROTOC_GEN_C
#define PROTOC_GEN_C "protoc-gen-c"
#endif

static int fail(const char *what) {
  fprintf(stderr, "protoc-gen-c-optional: %s: %s\n", what, strerror(errno));
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

static bool run(const char *program, int in, text *response) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) return false;
  pid_t child = fork();
  if (child < 0) {
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return false;
  }
  if (child == 0) {
    if (dup2(in, STDIN_FILENO) < 0 || dup2(pipe_fds[1], STDOUT_FILENO) < 0) _exit(127);
    close(in);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    execlp(program, program, (char *)NULL);
    _exit(127);
  }
  close(pipe_fds[1]);
  bool ok = stream_read_all(pipe_fds[0], response);
  int read_errno = errno;
  close(pipe_fds[0]);
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return false;
  errno = read_errno;
  if (ok && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
    errno = WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOENT : ECHILD;
    ok = false;
  }
  return ok;
}

/* Says in the response that proto3 optional is understood. */
static bool add_feature(text *response) {
  const ProtobufCMessageDescriptor *type =
      &google__protobuf__compiler__code_generator_response__descriptor;
  const uint8_t *data = (const uint8_t *)response->data;
  errno = EPROTO;
  if (!wire_depth_within(type, data, response->size, 64)) return false;
  Google__Protobuf__Compiler__CodeGeneratorResponse *message =
      google__protobuf__compiler__code_generator_response__unpack(NULL, response->size, data);
  if (!message) return false;
  message->has_supported_features = true;
  message->supported_features |=
      GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
  size_t size = google__protobuf__compiler__code_generator_response__get_packed_size(message);
  uint8_t *bytes = malloc(size);
  if (bytes) {
    google__protobuf__compiler__code_generator_response__pack(message, bytes);
    text_cleanup(response);
    text_add_bytes(response, (const char *)bytes, size);
  }
  google__protobuf__compiler__code_generator_response__free_unpacked(message, NULL);
  free(bytes);
  errno = ENOMEM;
  return bytes && !response->failed;
}

int main(void) {
  const char *program = getenv("PROTOC_GEN_C");
  if (!program || !*program) program = PROTOC_GEN_C;
  text request = {0}, response = {0};
  if (!stream_read_all(STDIN_FILENO, &request)) return fail("stdin");
  int in = request_file(&request);
  text_cleanup(&request);
  if (in < 0) return fail("temporary file");
  int result = 0;
  if (!run(program, in, &response)) {
    result = fail(program);
  } else if (!add_feature(&response)) {
    result = fail("the response of protoc-gen-c");
  } else if (!stream_write_all(STDOUT_FILENO, &response)) {
    result = fail("stdout");
  }
  close(in);
  text_cleanup(&response);
  return result;
}
