/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory that this process may use: of the machine, or of its control groups where
 * that is less. Threads: any.
 */
#ifndef TESSERA_PROGRAM_MEMORY_H
#define TESSERA_PROGRAM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* At least 64 MiB. */
uint64_t program_memory_bytes(void);
/* Can so much be kept? False: no, which was told to err; option: without its dashes. */
bool program_memory_holds(const char *program, const char *option, uint64_t bytes, FILE *err);
/* The least limit of this process's control groups, of version 2 or 1; UINT64_MAX: none.
 * root: "", or a folder in place of /, for tests. */
uint64_t program_memory_group_limit(const char *root);

#endif
