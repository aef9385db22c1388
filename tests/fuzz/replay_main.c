/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target over the files of its corpus, where libFuzzer is not at
 * hand: program DIRECTORY|FILE... Fails when there is nothing to replay.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FILE_BYTES = 16 * 1024 * 1024 };

/* Replays one file. The copy has no slack, so that sanitizers see an overrun. */
static int replay_file(const char *path, long size) {
  if (size < 0 || size > MAX_FILE_BYTES) {
    fprintf(stderr, "%s: too large to replay\n", path);
    return -1;
  }
  FILE *file = fopen(path, "rb");
  uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
  int result = -1;
  if (file == NULL || data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
    fprintf(stderr, "%s: cannot be read\n", path);
  } else {
    LLVMFuzzerTestOneInput(data, (size_t)size);
    result = 1;
  }
  free(data);
  if (file != NULL) fclose(file);
  return result;
}

/* Number of inputs replayed; -1 on error. */
static int replay(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) {
    perror(path);
    return -1;
  }
  if (!S_ISDIR(info.st_mode)) return replay_file(path, (long)info.st_size);
  DIR *directory = opendir(path);
  if (directory == NULL) {
    perror(path);
    return -1;
  }
  int total = 0;
  for (struct dirent *entry; total >= 0 && (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    char child[4096];
    int length = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
    int count = length > 0 && (size_t)length < sizeof child ? replay(child) : -1;
    total = count < 0 ? -1 : total + count;
  }
  closedir(directory);
  return total;
}

int main(int argc, char **argv) {
  int total = 0;
  for (int i = 1; i < argc; i++) {
    int count = replay(argv[i]);
    if (count < 0) return 1;
    total += count;
  }
  printf("replayed %d inputs\n", total);
  return total > 0 ? 0 : 1;
}
