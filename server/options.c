/* SPDX-License-Identifier: Apache-2.0 */
#include "server/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/status.h>
#include <tessera/version.h>

#include "program/listen.h"
#include "program/memory.h"
#include "program/number.h"
#include "server/allow_list.h"

/* The module's own. */
#define DEFAULT_CACHE_BYTES ((uint64_t)512 << 20)
/* Of the module's memory, what it needs for itself: its stack, its tables, gaps. */
#define MODULE_OWN_SHARE 8u
/* Its default (wasm/config.c). */
#define MODULE_DEFAULT_INFLIGHT_BYTES ((uint64_t)1536 << 20)

static const char help_text[] =
    "Usage: tessera-server [--listen HOST:PORT] [--worker URL]... [OPTION]...\n"
    "Runs the WebAssembly server module: answers matrix products over HTTP, computing them\n"
    "itself or spreading their tiles over workers.\n"
    "\n"
    "  --listen HOST:PORT        where to listen; port 0 picks a free one (127.0.0.1:8080)\n"
    "  --worker URL              http(s)://HOST:PORT of a tessera-worker; once for each.\n"
    "                            dns+http://NAME:PORT: every address of the name, looked up\n"
    "                            again every 10 s and when a worker does not answer\n"
    "  --workers-file FILE       more workers, one URL a line, # begins a comment; read again\n"
    "                            when it changed and on SIGHUP: workers join and leave\n"
    "  --mode MODE               serial: compute here; proxy: on the workers; adaptive: here\n"
    "                            until that is too slow (adaptive, or serial without a worker)\n"
    "  --threshold-ms N          adaptive: what is too slow (200)\n"
    "  --tile-timeout-ms N       time for a worker to answer with a tile (60000)\n"
    "  --check MODE              of what workers return: never, always, or adaptive: all at "
    "first,\n"
    "                            then fewer, all again after a wrong one (adaptive); a product\n"
    "                            may ask for another\n"
    "  --engine NAME             what runs the module: jsc (JavaScriptCore), wasm2c (compiled\n"
    "                            ahead of time, without SIMD), native (no sandbox)\n"
    "  --module FILE             another module than the one installed; for jsc\n"
    "  --memory-limit N          most memory for the module (what it declares, 4G)\n"
    "  --max-message-bytes N     largest request and largest reply (1G)\n"
    "  --max-inflight-bytes N    bodies held at one time, in the host and in the module each;\n"
    "                            more is refused at once with resource_exhausted (3G; 1536M)\n"
    "  --cache-bytes N           operand blocks that the module keeps by name (PutBlock), beside\n"
    "                            those bodies and within its memory; 0 keeps none (512M, or an\n"
    "                            eighth of --memory-limit)\n"
    "  --max-connections N       connections open at a time (256)\n"
    "  --watchdog-ms N           longest that one call of the module may take (10000)\n"
    "  --cors ORIGIN             let pages of ORIGIN call this server; '*' for all\n"
    "  --grace-ms N              time for requests in progress after SIGTERM "
    "(10000)\n" PROGRAM_TLS_SERVER_HELP
    "  --tls-ca FILE             who signs the certificates of https workers (the system's\n"
    "                            signers)\n"
    "  --worker-cert FILE, --worker-key FILE\n"
    "                            what to show to workers that ask for a certificate (what is\n"
    "                            shown to clients)\n"
    "  --help, --version\n"
    "\n"
    "Sizes are bytes; K, M and G multiply by powers of 1024. The first line printed is\n"
    "'listening on http://HOST:PORT'; that is also where the page is. GET /livez, /readyz and\n"
    "/metrics answer there. SIGTERM and SIGINT: finish what is in progress, then exit with 0.\n"
    "Exit with 1: it could not start. With 2: wrong usage. With 3: the module did not return\n"
    "and its engine cannot stop it (jsc, native); everything was answered, start it again.\n";

enum {
  OPTION_LISTEN = 256,
  OPTION_WORKER,
  OPTION_WORKERS_FILE,
  OPTION_MODE,
  OPTION_THRESHOLD_MS,
  OPTION_TILE_TIMEOUT_MS,
  OPTION_CHECK,
  OPTION_ENGINE,
  OPTION_MODULE,
  OPTION_MEMORY_LIMIT,
  OPTION_MAX_MESSAGE_BYTES,
  OPTION_MAX_INFLIGHT_BYTES,
  OPTION_CACHE_BYTES,
  OPTION_MAX_CONNECTIONS,
  OPTION_WATCHDOG_MS,
  OPTION_CORS,
  OPTION_GRACE_MS,
  OPTION_WORKER_CERT,
  OPTION_WORKER_KEY,
  OPTION_HELP,
  OPTION_VERSION
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"worker", required_argument, NULL, OPTION_WORKER},
    {"workers-file", required_argument, NULL, OPTION_WORKERS_FILE},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"threshold-ms", required_argument, NULL, OPTION_THRESHOLD_MS},
    {"tile-timeout-ms", required_argument, NULL, OPTION_TILE_TIMEOUT_MS},
    {"check", required_argument, NULL, OPTION_CHECK},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"module", required_argument, NULL, OPTION_MODULE},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},
    {"max-message-bytes", required_argument, NULL, OPTION_MAX_MESSAGE_BYTES},
    {"max-inflight-bytes", required_argument, NULL, OPTION_MAX_INFLIGHT_BYTES},
    {"cache-bytes", required_argument, NULL, OPTION_CACHE_BYTES},
    {"max-connections", required_argument, NULL, OPTION_MAX_CONNECTIONS},
    {"watchdog-ms", required_argument, NULL, OPTION_WATCHDOG_MS},
    {"cors", required_argument, NULL, OPTION_CORS},
    {"grace-ms", required_argument, NULL, OPTION_GRACE_MS},
    PROGRAM_TLS_SERVER_OPTIONS,
    {"tls-ca", required_argument, NULL, PROGRAM_TLS_CA},
    {"worker-cert", required_argument, NULL, OPTION_WORKER_CERT},
    {"worker-key", required_argument, NULL, OPTION_WORKER_KEY},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* optarg is the option's number. */
static bool take_number(const char *name, program_unit unit, uint64_t min, uint64_t max,
                        uint64_t *to, FILE *err) {
  const program_number_option option = {name, unit, min, max};
  char why[PROGRAM_WHY_BYTES];
  if (program_number_take(&option, optarg, to, why)) return true;
  fprintf(err, "tessera-server: %s\n", why);
  return false;
}

static bool take_ms(const char *name, uint64_t min, int64_t *to, FILE *err) {
  uint64_t number = 0;
  if (!take_number(name, PROGRAM_MS, min, 86400000, &number, err)) return false;
  *to = (int64_t)number;
  return true;
}

static bool take_size(const char *name, uint64_t max, size_t *to, FILE *err) {
  uint64_t number = 0;
  if (!take_number(name, PROGRAM_BYTES, 4096, max, &number, err)) return false;
  *to = (size_t)number;
  return true;
}

/* One of the names, which end with NULL. */
static bool take_name(const char *what, const char *const *names, const char **to, FILE *err) {
  for (size_t i = 0; names[i] != NULL; i++) {
    if (strcmp(optarg, names[i]) != 0) continue;
    *to = names[i];
    return true;
  }
  fprintf(err, "tessera-server: no %s '%s'; there is", what, optarg);
  for (size_t i = 0; names[i] != NULL; i++)
    fprintf(err, "%s %s", i == 0 ? "" : ",", names[i]);
  fprintf(err, "\n");
  return false;
}

static size_t without_slashes(const char *url) {
  size_t size = strlen(url);
  while (size > 0 && url[size - 1] == '/')
    size--;
  return size;
}

static bool is_given(const server_options *options, const char *url) {
  size_t size = without_slashes(url);
  for (size_t i = 0; i < options->worker_count; i++) {
    const char *other = options->workers[i];
    if (without_slashes(other) == size && memcmp(other, url, size) == 0) return true;
  }
  return false;
}

static bool take_worker(server_options *options, FILE *err) {
  tess_status status = TESS_STATUS_INIT;
  const bool name = strncmp(optarg, "dns+", 4) == 0;
  bool good = tess_worker_url_check(name ? optarg + 4 : optarg, &status) == TESS_OK;
  if (good && !program_worker_url_is_plain(optarg)) {
    tess_status_set(&status, TESS_INVALID_ARGUMENT,
                    name ? "'%s' is no worker: a name that stands for addresses is "
                           "dns+http://NAME:PORT"
                         : "'%s' is no worker: write http://HOST:PORT, with a port from 1 to 65535",
                    optarg);
    good = false;
  }
  if (!good) {
    fprintf(err, "tessera-server: --worker: %s\n", status.message != NULL ? status.message : "?");
  } else if (options->worker_count == SERVER_MAX_WORKERS) {
    fprintf(err, "tessera-server: more than %d workers\n", SERVER_MAX_WORKERS);
    good = false;
  } else if (is_given(options, optarg)) {
    fprintf(err, "tessera-server: --worker %s is given twice\n", optarg);
    good = false;
  } else {
    options->workers[options->worker_count++] = optarg;
  }
  tess_status_cleanup(&status);
  return good;
}

static bool take_option(server_options *options, const char *const *engines, int option,
                        FILE *err) {
  static const char *const modes[] = {"serial", "proxy", "adaptive", NULL};
  static const char *const checks[] = {"never", "always", "adaptive", NULL};
  uint64_t number = 0;
  switch (option) {
    case OPTION_LISTEN:
      return program_listen_take("tessera-server", optarg, &options->listen, err);
    case OPTION_WORKER:
      return take_worker(options, err);
    case OPTION_WORKERS_FILE:
      options->workers_file = optarg;
      return true;
    case OPTION_MODE:
      return take_name("mode", modes, &options->mode, err);
    case OPTION_THRESHOLD_MS:
      return take_ms("threshold-ms", 1, &options->threshold_ms, err);
    case OPTION_TILE_TIMEOUT_MS:
      return take_ms("tile-timeout-ms", 1, &options->tile_timeout_ms, err);
    case OPTION_CHECK:
      return take_name("check", checks, &options->check, err);
    case OPTION_ENGINE:
      return take_name("engine", engines, &options->engine, err);
    case OPTION_MODULE:
      options->module_file = optarg;
      return true;
    case OPTION_MEMORY_LIMIT:
      return take_number("memory-limit", PROGRAM_BYTES, 65536, (uint64_t)1 << 40,
                         &options->memory_limit, err);
    case OPTION_MAX_MESSAGE_BYTES:
      return take_size("max-message-bytes", UINT32_MAX - 1, &options->max_message_bytes, err);
    case OPTION_MAX_INFLIGHT_BYTES:
      return take_size("max-inflight-bytes", PTRDIFF_MAX, &options->max_inflight_bytes, err);
    case OPTION_CACHE_BYTES:
      if (!take_number("cache-bytes", PROGRAM_BYTES, 0, (uint64_t)1 << 40, &number, err))
        return false;
      options->cache_bytes = (int64_t)number;
      return true;
    case OPTION_MAX_CONNECTIONS:
      if (!take_number("max-connections", PROGRAM_COUNT, 1, 65536, &number, err)) return false;
      options->max_connections = (unsigned)number;
      return true;
    case OPTION_WATCHDOG_MS:
      return take_ms("watchdog-ms", 10, &options->watchdog_ms, err);
    case OPTION_CORS:
      options->cors_origin = optarg;
      return true;
    case OPTION_GRACE_MS:
      return take_ms("grace-ms", 0, &options->grace_ms, err);
    case OPTION_WORKER_CERT:
      options->worker_tls.certificate = optarg;
      return true;
    case OPTION_WORKER_KEY:
      options->worker_tls.key = optarg;
      return true;
    default:
      return program_tls_take(&options->tls, option, optarg);
  }
}

static void print_version(const char *const *engines, FILE *out) {
  fprintf(out, "tessera-server %s (engines:", TESS_VERSION);
  for (size_t i = 0; engines[i] != NULL; i++)
    fprintf(out, " %s", engines[i]);
  fprintf(out, ")\n");
}

/* What does not fit together. */
static bool check_together(const server_options *options, FILE *err) {
  const char *wrong = NULL;
  if (options->mode != NULL && strcmp(options->mode, "proxy") == 0 && options->worker_count == 0 &&
      options->workers_file == NULL) {
    wrong = "--mode proxy needs a --worker URL or a --workers-file";
  } else if (options->module_file != NULL && strcmp(options->engine, "jsc") != 0) {
    wrong = "--module is for the engine jsc; the others carry the module in the program";
  }
  if (wrong == NULL && options->memory_limit != 0 && options->cache_bytes > 0 &&
      (uint64_t)options->cache_bytes > options->memory_limit / 2)
    wrong = "--cache-bytes takes at most half of --memory-limit";
  if (wrong == NULL) wrong = program_tls_check(&options->tls);
  if (wrong == NULL &&
      (options->worker_tls.certificate == NULL) != (options->worker_tls.key == NULL))
    wrong = "--worker-cert and --worker-key belong together";
  if (wrong != NULL) fprintf(err, "tessera-server: %s; see --help\n", wrong);
  return wrong == NULL;
}

server_options_result server_options_parse(server_options *options, const char *const *engines,
                                           int argc, char **argv, FILE *out, FILE *err) {
  *options = (server_options){.listen = "127.0.0.1:8080",
                              .engine = engines[0],
                              .max_message_bytes = (size_t)1 << 30,
                              .cache_bytes = -1,
                              .threshold_ms = -1,
                              .tile_timeout_ms = -1,
                              .watchdog_ms = 10000,
                              .grace_ms = 10000};
  optind = 0; /* start anew, whatever a former call left */
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    switch (option) {
      case OPTION_HELP:
        fputs(help_text, out);
        return SERVER_OPTIONS_EXIT;
      case OPTION_VERSION:
        print_version(engines, out);
        return SERVER_OPTIONS_EXIT;
      case ':':
        fprintf(err, "tessera-server: %s needs a value; see --help\n", argv[optind - 1]);
        return SERVER_OPTIONS_WRONG;
      case '?':
        fprintf(err, "tessera-server: unknown option '%s'; see --help\n", argv[optind - 1]);
        return SERVER_OPTIONS_WRONG;
      default:
        if (!take_option(options, engines, option, err)) return SERVER_OPTIONS_WRONG;
    }
  }
  if (optind < argc) {
    fprintf(err, "tessera-server: unexpected argument '%s'; see --help\n", argv[optind]);
    return SERVER_OPTIONS_WRONG;
  }
  options->worker_tls.ca = options->tls.ca;
  if (options->worker_tls.certificate == NULL && options->worker_tls.key == NULL) {
    options->worker_tls.certificate = options->tls.certificate;
    options->worker_tls.key = options->tls.key;
  }
  if (options->cache_bytes < 0 && options->memory_limit / 8 < DEFAULT_CACHE_BYTES &&
      options->memory_limit != 0)
    options->cache_bytes = (int64_t)(options->memory_limit / 8);
  if (options->cache_bytes > 0 &&
      !program_memory_holds("tessera-server", "cache-bytes", (uint64_t)options->cache_bytes, err))
    return SERVER_OPTIONS_WRONG;
  return check_together(options, err) ? SERVER_OPTIONS_RUN : SERVER_OPTIONS_WRONG;
}

/* What products in the module may hold: not more than its memory has room for beside
 * its own. 0: the module's default. */
static uint64_t module_inflight_bytes(const server_options *options) {
  uint64_t room = options->memory_limit - options->memory_limit / MODULE_OWN_SHARE;
  if (options->memory_limit == 0) return options->max_inflight_bytes;
  uint64_t wanted = options->max_inflight_bytes != 0 ? options->max_inflight_bytes
                                                     : MODULE_DEFAULT_INFLIGHT_BYTES;
  return wanted < room ? wanted : room;
}

bool server_options_workers_change(const server_options *options) {
  if (options->workers_file != NULL) return true;
  for (size_t i = 0; i < options->worker_count; i++)
    if (strncmp(options->workers[i], "dns+", 4) == 0) return true;
  return false;
}

char *server_options_config(const server_options *options, const char *engine,
                            const char *const *workers, size_t worker_count,
                            const char *control_key) {
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  if (to == NULL) return NULL;
  fprintf(to, "engine=%s\n", engine);
  if (options->mode != NULL)
    fprintf(to, "mode=%s\n", options->mode);
  else if (server_options_workers_change(options)) /* there may be none at first */
    fprintf(to, "mode=adaptive\n");
  if (options->check != NULL) fprintf(to, "check=%s\n", options->check);
  if (control_key[0] != '\0') fprintf(to, "control_key=%s\n", control_key);
  for (size_t i = 0; i < worker_count; i++) {
    fprintf(to, "worker=%s\n", workers[i]);
  }
  fprintf(to, "max_message_bytes=%zu\n", options->max_message_bytes);
  uint64_t inflight = module_inflight_bytes(options);
  if (inflight != 0) fprintf(to, "max_inflight_bytes=%" PRIu64 "\n", inflight);
  if (options->cache_bytes >= 0) fprintf(to, "cache_bytes=%" PRId64 "\n", options->cache_bytes);
  if (options->threshold_ms >= 0) fprintf(to, "threshold_ms=%" PRId64 "\n", options->threshold_ms);
  if (options->tile_timeout_ms >= 0) {
    fprintf(to, "tile_timeout_ms=%" PRId64 "\n", options->tile_timeout_ms);
  }
  bool failed = ferror(to) != 0;
  if (fclose(to) == 0 && !failed) return text;
  free(text);
  return NULL;
}
