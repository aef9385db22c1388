/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of `tessera`. Each gets its own name in argv[0] and what follows,
 * and returns the exit code of the program (report.h).
 */
#ifndef TESSERA_CLI_COMMANDS_H
#define TESSERA_CLI_COMMANDS_H

int cli_multiply(int argc, char **argv);
int cli_describe(int argc, char **argv);
int cli_mode(int argc, char **argv);
int cli_put(int argc, char **argv);
int cli_blocks(int argc, char **argv);
int cli_call(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_top(int argc, char **argv);

#endif
