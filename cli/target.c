/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many as the system follows. */
#define MAX_LINKS 40

tess_code cli_target_failed(tess_status *status, const char *path, int error) {
  tess_code code = error == ENOSPC || error == EDQUOT || error == EFBIG  ? TESS_RESOURCE_EXHAUSTED
                   : error == EACCES || error == EPERM || error == EROFS ? TESS_PERMISSION_DENIED
                   : error == ENOENT || error == ENOTDIR                 ? TESS_NOT_FOUND
                                                                         : TESS_UNAVAILABLE;
  return tess_status_set(status, code, "%s: %s", path, strerror(error));
}

/* Replaces the name of a link by what it points to. errno: why not. */
static bool follow(char name[PATH_MAX]) {
  char to[PATH_MAX];
  const ssize_t size = readlink(name, to, sizeof to);
  if (size < 0) return false;
  const size_t directory = size > 0 && to[0] == '/' ? 0 : cli_target_directory_size(name);
  if (size == 0 || directory + (size_t)size >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(name + directory, to, (size_t)size);
  name[directory + (size_t)size] = '\0';
  return true;
}

/* The name of a file that is not there, which links may lead to. */
static tess_code resolve_new(const char *path, char resolved[PATH_MAX], tess_status *status) {
  struct stat info;
  const size_t size = strlen(path);
  if (size >= PATH_MAX) return cli_target_failed(status, path, ENAMETOOLONG);
  memcpy(resolved, path, size + 1);
  for (int links = 0; lstat(resolved, &info) == 0 && S_ISLNK(info.st_mode); links++) {
    if (links == MAX_LINKS) return cli_target_failed(status, path, ELOOP);
    if (!follow(resolved)) return cli_target_failed(status, path, errno);
  }
  return TESS_OK;
}

FILE *cli_target_printed_to(const struct stat *file) {
  struct stat other;
  for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
    if (S_ISREG(file->st_mode) && fstat(fd, &other) == 0 && other.st_dev == file->st_dev &&
        other.st_ino == file->st_ino)
      return fd == STDOUT_FILENO ? stdout : stderr;
  return NULL;
}

tess_code cli_target_resolve(const char *path, char resolved[PATH_MAX], mode_t *mode,
                             tess_status *status) {
  struct stat info;
  if (stat(path, &info) == 0) {
    if (cli_target_printed_to(&info) != NULL)
      return tess_status_set(
          status, TESS_INVALID_ARGUMENT,
          "%s: is where this command prints to; the result needs a file of its own", path);
    if (!S_ISREG(info.st_mode))
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: is there and not a regular file",
                             path);
    *mode = info.st_mode & 07777;
    if (realpath(path, resolved) == NULL) return cli_target_failed(status, path, errno);
    return TESS_OK;
  }
  if (errno != ENOENT) return cli_target_failed(status, path, errno);
  mode_t mask = umask(0);
  umask(mask);
  *mode = 0666 & ~mask;
  return resolve_new(path, resolved, status);
}

size_t cli_target_directory_size(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

void cli_target_sync_directory(const char *path) {
  char directory[PATH_MAX];
  size_t size = cli_target_directory_size(path);
  if (size == 0) {
    directory[0] = '.';
    size = 1;
  } else {
    memcpy(directory, path, size);
  }
  directory[size] = '\0';
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return; /* readable or not, the change is done */
  (void)fsync(fd);
  close(fd);
}
