/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a result goes, and what the system says when it cannot. Threads: any.
 */
#ifndef TESSERA_CLI_TARGET_H
#define TESSERA_CLI_TARGET_H

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <tessera/status.h>

/* The code for an errno, with "path: why" as its message. status may be NULL. */
tess_code cli_target_failed(tess_status *status, const char *path, int error);

/* Where the result really goes: through links to what they point to, whether that is there
 * or not. mode: of the file that is there, or what a new file gets.
 * TESS_INVALID_ARGUMENT: something is there that is not a regular file, or is printed to. */
tess_code cli_target_resolve(const char *path, char resolved[PATH_MAX], mode_t *mode,
                             tess_status *status);
/* The stream that goes to this regular file, stdout or stderr; NULL: neither. */
FILE *cli_target_printed_to(const struct stat *file);
/* Bytes of the directory part, with its slash; 0 for a plain name. */
size_t cli_target_directory_size(const char *path);
/* A name that was made, changed or removed is on the disk once its directory is. */
void cli_target_sync_directory(const char *path);

#endif
