/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of workers in a file: one URL a line, blank lines and what follows a '#'
 * ignored. It is taken as a whole or not at all.
 *
 *   program_worker_list list = {0};
 *   if (!program_worker_list_read(&list, path, why, sizeof why)) report(why);
 *   ... list.urls[0 .. list.count - 1] ...
 *   program_worker_list_cleanup(&list);
 *
 * Bounds: PROGRAM_MAX_WORKERS lines with a URL of at most PROGRAM_MAX_WORKER_URL
 * bytes; a file of at most 1 MiB. Threads: none.
 */
#ifndef TESSERA_PROGRAM_WORKER_LIST_H
#define TESSERA_PROGRAM_WORKER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_MAX_WORKERS 1024
#define PROGRAM_MAX_WORKER_URL 255

typedef struct program_worker_list {
  const char **urls; /* in order, each once, without slashes at the end */
  size_t count;
  char *text; /* private */
} program_worker_list;

/* Is this a worker's URL? "http://HOST[:PORT][/PREFIX]" or https; or "dns+http://...", where
 * the name stands for all its addresses. The one place where command lines and lists decide
 * that. A server's module host takes fewer characters in a path (server/allow_list.h). */
bool program_worker_url_is_plain(const char *url);

/* False: why says which line is wrong ("line 3: ..."); the list is empty then. */
bool program_worker_list_parse(program_worker_list *list, const char *text, size_t size, char *why,
                               size_t why_size);
/* The same for a file; why begins with its name. */
bool program_worker_list_read(program_worker_list *list, const char *path, char *why,
                              size_t why_size);
void program_worker_list_cleanup(program_worker_list *list);
bool program_worker_list_has(const program_worker_list *list, const char *url);

/* What a file looked like at the last look: it changed where this did. */
typedef struct program_file_mark {
  uint64_t device, inode, size;
  int64_t changed_s, changed_ns;
} program_file_mark;

/* True: it looks otherwise than *mark, which is brought up to date. A file that is not
 * there looks like zeros. */
bool program_file_changed(program_file_mark *mark, const char *path);

#endif
