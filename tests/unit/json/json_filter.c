/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversions for test_json_python.py, without end:
 *
 *   json_filter SET.binpb MESSAGE
 *
 * A request on stdin is a letter ('j': JSON to protobuf, 'p': the other way), a
 * length (4 bytes, little-endian) and so many bytes; an answer on stdout is the
 * code (1 byte), a length, and the result or the status's message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/json.h>
#include <tessera/schema_set.h>

static uint8_t *read_bytes(FILE *from, size_t size) {
  uint8_t *bytes = malloc(size + 1);
  if (bytes == NULL || fread(bytes, 1, size, from) != size) {
    exit(1);
  }
  return bytes;
}

static uint8_t *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    exit(2);
  }
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = read_bytes(file, *size);
  fclose(file);
  return bytes;
}

static void put_head(tess_code code, size_t size) {
  uint8_t head[5] = {(uint8_t)code};
  for (int i = 0; i < 4; i++) {
    head[1 + i] = (uint8_t)(size >> (8 * i));
  }
  fwrite(head, 1, sizeof head, stdout);
}

static void answer(const tess_message_schema *schema, const tess_json_options *options, int way,
                   tess_slice data) {
  tess_segments result;
  tess_status status = TESS_STATUS_INIT;
  tess_segments_init(&result, NULL, 0);
  tess_code code = way == 'j' ? tess_json_to_proto(schema, data, options, &result, &status)
                              : tess_proto_to_json(schema, data, options, &result, &status);
  if (code == TESS_OK) {
    put_head(code, result.total_bytes);
    for (size_t i = 0; i < result.count; i++) {
      fwrite(result.items[i].data, 1, result.items[i].size, stdout);
    }
  } else {
    const char *message = status.message != NULL ? status.message : "";
    put_head(code, strlen(message));
    fputs(message, stdout);
  }
  fflush(stdout);
  tess_status_cleanup(&status);
  tess_segments_cleanup(&result);
}

int main(int argc, char **argv) {
  size_t size;
  if (argc != 3) {
    return 2;
  }
  uint8_t *descriptors = read_file(argv[1], &size);
  tess_schema_set *set = tess_schema_set_new((tess_slice){descriptors, size}, NULL, NULL);
  const tess_message_schema *schema = set != NULL ? tess_schema_set_message(set, argv[2]) : NULL;
  if (schema == NULL) {
    return 2;
  }
  const tess_file_schema *files[] = {tess_schema_set_file(set)};
  const tess_json_options options = {.registry = files, .registry_count = 1};
  for (int way; (way = getchar()) != EOF;) {
    uint8_t *head = read_bytes(stdin, 4);
    size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    uint8_t *data = read_bytes(stdin, length);
    answer(schema, &options, way, (tess_slice){data, length});
    free(data);
    free(head);
  }
  tess_schema_set_free(set);
  free(descriptors);
  return 0;
}
