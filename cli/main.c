/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera: the command. Each subcommand has a file of its own.
 */
#include <stdio.h>
#include <string.h>

#include <tessera/version.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "program/descriptors.h"

static const char help_text[] =
    "Usage: tessera COMMAND ...\n"
    "\n"
    "  multiply A B -o C (--server URL | --worker URL ... | --local)\n"
    "                       multiplies two matrices in files (.npy, .mtx)\n"
    "  put FILE... (--server URL | --worker URL ...)\n"
    "                       gives matrices to who multiplies; prints names to call them by\n"
    "  blocks URL           tells which matrices a server or worker holds by name\n"
    "  plan M N K --worker URL ...\n"
    "                       tells how a product would be spread: tiles, bytes, memory, time\n"
    "  describe URL         tells what runs at a URL: kernels, limits, workers\n"
    "  top URL              shows live what a server or a worker does\n"
    "  mode URL [MODE]      tells or sets where a server computes: serial, proxy, adaptive\n"
    "  call URL/package.Service/Method [JSON]\n"
    "                       calls any unary method, JSON in and out\n"
    "  version\n"
    "  help [COMMAND]\n"
    "\n"
    "tessera COMMAND --help tells more.\n"
    "Exit status: 0 done, 1 the work failed, 2 wrong usage.\n";

static int print_help(int argc, char **argv);

static int print_version(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--help") != 0)
    return cli_wrong_usage("version takes no arguments");
  printf("tessera %s\n", TESS_VERSION);
  return CLI_DONE;
}

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"multiply", cli_multiply}, {"describe", cli_describe},   {"mode", cli_mode},
    {"put", cli_put},           {"blocks", cli_blocks},       {"call", cli_call},
    {"version", print_version}, {"--version", print_version}, {"help", print_help},
    {"--help", print_help},     {"-h", print_help},           {"plan", cli_plan},
    {"top", cli_top},
};

static int run_command(int argc, char **argv) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (strcmp(argv[0], commands[i].name) == 0) return commands[i].run(argc, argv);
  return cli_wrong_usage("no command '%s'; see tessera help", argv[0]);
}

static int print_help(int argc, char **argv) {
  if (argc > 2) return cli_wrong_usage("help takes one command");
  if (argc == 2 && strcmp(argv[1], "help") != 0) {
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return run_command(2, arguments);
  }
  fputs(help_text, stdout);
  return CLI_DONE;
}

int main(int argc, char **argv) {
  program_descriptors_keep();
  if (argc < 2) {
    fputs(help_text, stderr);
    return CLI_WRONG_USAGE;
  }
  int exit_code = run_command(argc - 1, argv + 1);
  if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == CLI_DONE)
    exit_code = cli_failed("standard output could not be written");
  return exit_code;
}
