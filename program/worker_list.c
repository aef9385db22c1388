/* SPDX-License-Identifier: Apache-2.0 */
#include "program/worker_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)

static bool starts_with(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* All of it of these characters; size > 0. */
static bool is_made_of(const char *text, size_t size, const char *others) {
  for (size_t i = 0; i < size; i++)
    if (!is_alnum(text[i]) && strchr(others, text[i]) == NULL) return false;
  return size > 0;
}

/* ":PORT", or nothing. */
static bool is_port(const char *text, size_t size) {
  if (size == 0) return true;
  unsigned port = 0;
  if (text[0] != ':' || size < 2 || size > 6) return false;
  for (size_t i = 1; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    port = port * 10 + (unsigned)(text[i] - '0');
  }
  return port >= 1 && port <= 65535;
}

/* "HOST[:PORT]"; an IPv6 address stands in brackets. */
static bool is_authority(const char *text, size_t size) {
  size_t host = 0;
  if (size > 0 && text[0] == '[') {
    while (host < size && text[host] != ']')
      host++;
    if (host == size || !is_made_of(text + 1, host - 1, ":.")) return false;
    host++;
  } else {
    while (host < size && text[host] != ':')
      host++;
    if (!is_made_of(text, host, "-._~")) return false;
  }
  return is_port(text + host, size - host);
}

/* "", or "/..." without a part that is "." or "..", which a client would resolve. */
static bool is_path(const char *text) {
  for (const char *c = text; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~' || strchr("@?#%\\\"", *c) != NULL) return false;
  while (*text == '/') {
    const size_t size = strcspn(++text, "/");
    if ((size == 1 || size == 2) && strspn(text, ".") == size) return false;
    text += size;
  }
  return true;
}

bool program_worker_url_is_plain(const char *url) {
  if (strlen(url) > PROGRAM_MAX_WORKER_URL) return false;
  const bool name = starts_with(url, "dns+");
  if (name) url += 4;
  const char *host = NULL;
  if (starts_with(url, "http://")) host = url + 7;
  if (starts_with(url, "https://") && !name) host = url + 8;
  if (host == NULL) return false;
  const size_t size = strcspn(host, "/");
  return is_authority(host, size) && is_path(host + size);
}

bool program_worker_list_has(const program_worker_list *list, const char *url) {
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->urls[i], url) == 0) return true;
  return false;
}

/* Cuts what does not belong to the URL; "" where there is none. */
static char *trim_line(char *line) {
  line[strcspn(line, "#")] = '\0';
  while (*line == ' ' || *line == '\t')
    line++;
  size_t size = strlen(line);
  while (size > 0 && strchr(" \t\r", line[size - 1]) != NULL)
    size--;
  while (size > 0 && line[size - 1] == '/')
    size--;
  line[size] = '\0';
  return line;
}

static const char *take_line(program_worker_list *list, const char *url) {
  if (*url == '\0') return NULL;
  if (!program_worker_url_is_plain(url)) return "no URL like http://HOST:PORT";
  if (program_worker_list_has(list, url)) return "the URL is there twice";
  if (list->count == PROGRAM_MAX_WORKERS) return "more than 1024 workers";
  list->urls[list->count++] = url;
  return NULL;
}

bool program_worker_list_parse(program_worker_list *list, const char *text, size_t size, char *why,
                               size_t why_size) {
  *list = (program_worker_list){0};
  const void *nul = size > 0 ? memchr(text, '\0', size) : NULL;
  if (nul != NULL) {
    snprintf(why, why_size, "it holds bytes that are no text");
    return false;
  }
  list->text = malloc(size + 1);
  list->urls = malloc(PROGRAM_MAX_WORKERS * sizeof *list->urls);
  if (list->text == NULL || list->urls == NULL) {
    program_worker_list_cleanup(list);
    snprintf(why, why_size, "no memory");
    return false;
  }
  if (size > 0) memcpy(list->text, text, size);
  list->text[size] = '\0';
  unsigned number = 1;
  for (char *line = list->text, *next; line != NULL; line = next, number++) {
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    const char *wrong = take_line(list, trim_line(line));
    if (wrong == NULL) continue;
    snprintf(why, why_size, "line %u: %s", number, wrong);
    program_worker_list_cleanup(list);
    return false;
  }
  return true;
}

/* NULL: errno, or 0 where it is too large. Free it. */
static char *read_file(const char *path, size_t *size) {
  /* What is no file could keep its reader waiting for ever. */
  struct stat info;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return NULL;
  const bool is_file = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  FILE *file = is_file ? fdopen(fd, "rb") : NULL;
  if (file == NULL) {
    const int error = is_file ? errno : S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    close(fd);
    errno = error;
    return NULL;
  }
  char *text = malloc(MAX_FILE_BYTES + 1);
  *size = text != NULL ? fread(text, 1, MAX_FILE_BYTES + 1, file) : 0;
  int error = text == NULL ? ENOMEM : ferror(file) != 0 ? EIO : 0;
  fclose(file);
  errno = error;
  if (error == 0 && *size <= MAX_FILE_BYTES) return text;
  free(text);
  return NULL;
}

bool program_worker_list_read(program_worker_list *list, const char *path, char *why,
                              size_t why_size) {
  *list = (program_worker_list){0};
  size_t size = 0;
  char *text = read_file(path, &size);
  if (text == NULL) {
    snprintf(why, why_size, "%s: %s", path,
             errno == 0        ? "larger than 1 MiB"
             : errno == EINVAL ? "not a regular file"
                               : strerror(errno));
    return false;
  }
  char what[128];
  bool good = program_worker_list_parse(list, text, size, what, sizeof what);
  if (!good) snprintf(why, why_size, "%s: %s", path, what);
  free(text);
  return good;
}

void program_worker_list_cleanup(program_worker_list *list) {
  free(list->urls);
  free(list->text);
  *list = (program_worker_list){0};
}

bool program_file_changed(program_file_mark *mark, const char *path) {
  struct stat now;
  program_file_mark looks = {0};
  if (stat(path, &now) == 0)
    looks = (program_file_mark){(uint64_t)now.st_dev, (uint64_t)now.st_ino, (uint64_t)now.st_size,
                                now.st_mtim.tv_sec, now.st_mtim.tv_nsec};
  bool changed = looks.device != mark->device || looks.inode != mark->inode ||
                 looks.size != mark->size || looks.changed_s != mark->changed_s ||
                 looks.changed_ns != mark->changed_ns;
  *mark = looks;
  return changed;
}
