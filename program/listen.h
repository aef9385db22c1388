/* SPDX-License-Identifier: Apache-2.0
 *
 * The option --listen of a program that serves.
 */
#ifndef TESSERA_PROGRAM_LISTEN_H
#define TESSERA_PROGRAM_LISTEN_H

#include <stdbool.h>
#include <stdio.h>

/* *listen becomes text. False: it is none, which was told to err. */
bool program_listen_take(const char *program, const char *text, const char **listen, FILE *err);

#endif
