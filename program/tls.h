/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS on a command line. Put the options into the program's table (PROGRAM_TLS_...
 * are rows and codes of getopt_long), hand each to program_tls_take, and look at
 * the whole once with program_tls_check_...
 *
 *   listening programs: --tls-cert FILE --tls-key FILE
 *                       [--tls-client-ca FILE [--require-client-cert]]
 *   clients:            [--tls-ca FILE] [--tls-cert FILE --tls-key FILE]
 *
 * Threads: none. Strings stay the command line's.
 */
#ifndef TESSERA_PROGRAM_TLS_H
#define TESSERA_PROGRAM_TLS_H

#include <stdbool.h>

#include <tessera/tls.h>

typedef struct program_tls {
  const char *certificate; /* files; NULL: not given */
  const char *key;
  const char *ca;        /* who signs the servers that we call */
  const char *client_ca; /* who signs the clients that call us */
  bool require_client_certificate;
} program_tls;

enum {
  PROGRAM_TLS_CERT = 0x7100,
  PROGRAM_TLS_KEY,
  PROGRAM_TLS_CA,
  PROGRAM_TLS_CLIENT_CA,
  PROGRAM_TLS_REQUIRE
};

/* Rows of a table of struct option (<getopt.h>). */
#define PROGRAM_TLS_CLIENT_OPTIONS                               \
  {"tls-ca", required_argument, NULL, PROGRAM_TLS_CA},           \
      {"tls-cert", required_argument, NULL, PROGRAM_TLS_CERT}, { \
    "tls-key", required_argument, NULL, PROGRAM_TLS_KEY          \
  }
#define PROGRAM_TLS_SERVER_OPTIONS                                         \
  {"tls-cert", required_argument, NULL, PROGRAM_TLS_CERT},                 \
      {"tls-key", required_argument, NULL, PROGRAM_TLS_KEY},               \
      {"tls-client-ca", required_argument, NULL, PROGRAM_TLS_CLIENT_CA}, { \
    "require-client-cert", no_argument, NULL, PROGRAM_TLS_REQUIRE          \
  }

/* For --help. */
#define PROGRAM_TLS_CLIENT_HELP                                                      \
  "  --tls-ca FILE             https: who signs the other side's certificate (the\n" \
  "                            system's signers)\n"                                  \
  "  --tls-cert FILE, --tls-key FILE\n"                                              \
  "                            https: the certificate to show, where one is asked for\n"
#define PROGRAM_TLS_SERVER_HELP                                                           \
  "  --tls-cert FILE, --tls-key FILE\n"                                                   \
  "                            listen on https with this certificate (its chain behind\n" \
  "                            it) and key, in PEM; SIGHUP reads them again\n"            \
  "  --tls-client-ca FILE      ask clients for certificates that these signed\n"          \
  "  --require-client-cert     refuse clients without one\n"

/* True: the option was one of ours and is taken. */
bool program_tls_take(program_tls *tls, int option, char *value);
/* What does not fit together, in words; NULL: all is well. */
const char *program_tls_check(const program_tls *tls);

/* Does a program with these options listen on https? */
bool program_tls_listens(const program_tls *tls);
/* Valid as long as the strings. */
tess_tls_options program_tls_server(const program_tls *tls);
tess_tls_options program_tls_client(const program_tls *tls);

#endif
