/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera call: any unary method of any service, JSON in and out. The messages
 * travel as binary protobuf; what they look like comes from a descriptor set, from
 * the contract that this program was built with, or from the peer itself.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/json.h>
#include <tessera/schema_set.h>

#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/schema_source.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"

#define MAX_REPLY_BYTES ((size_t)1 << 30)
#define MAX_FILE_BYTES ((size_t)1 << 30)

static const char help_text[] =
    "Usage: tessera call [OPTION]... URL/package.Service/Method [JSON | @FILE | -]\n"
    "Calls a unary method: the request as JSON (default {}; - reads standard input), the\n"
    "response as JSON on standard output.\n"
    "\n"
    "  --descriptor-set FILE  what the messages look like, as written by\n"
    "                         protoc --include_imports --descriptor_set_out=FILE ...\n"
    "                         Without it the peer is asked: GET URL/descriptors.binpb, then\n"
    "                         server reflection\n"
    "  --header 'NAME: VALUE' metadata; repeat it for more\n"
    "  --timeout MS           give up after so many milliseconds\n" PROGRAM_TLS_CLIENT_HELP;

/* ---- the call ---- */

typedef struct call {
  const char *set_file;
  int64_t timeout_ms;
  tess_metadata headers;
  program_tls tls;
  cli_remote remote;
  char *url;         /* ours; cut before the path */
  const char *path;  /* "/package.Service/Method" */
  tess_slice json;   /* the request */
  char *json_memory; /* ours, or NULL */
  tess_schema_set *set;
  tess_schema_method method;
  tess_json_options json_options;
  const tess_file_schema *registry[1];
} call;

/* The last two segments of the argument are the path. */
static bool split_url(call *c, const char *argument) {
  c->url = strdup(argument);
  if (c->url == NULL) return false;
  char *method = strrchr(c->url, '/');
  if (method == NULL || method == c->url || method[1] == '\0') return false;
  *method = '\0';
  char *service = strrchr(c->url, '/');
  *method = '/';
  if (service == NULL || service[1] == '/' || service == c->url || service[-1] == '/') return false;
  c->path = argument + (service - c->url);
  *service = '\0';
  return true;
}

static char *read_all(const char *name, size_t *size) {
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
  char *bytes = NULL;
  size_t room = 0;
  *size = 0;
  if (file == NULL) return NULL;
  do {
    if (*size == room) {
      room = room == 0 ? 65536 : room * 2;
      char *grown = room <= MAX_FILE_BYTES ? realloc(bytes, room) : NULL;
      if (grown == NULL) {
        free(bytes);
        bytes = NULL;
        break;
      }
      bytes = grown;
    }
    *size += fread(bytes + *size, 1, room - *size, file);
  } while (!feof(file) && !ferror(file));
  if (bytes != NULL && ferror(file)) {
    free(bytes);
    bytes = NULL;
  }
  if (file != stdin) fclose(file);
  return bytes;
}

static bool read_request(call *c, const char *argument) {
  if (argument == NULL || (argument[0] != '@' && strcmp(argument, "-") != 0)) {
    const char *text = argument != NULL ? argument : "{}";
    c->json = (tess_slice){text, strlen(text)};
    return true;
  }
  size_t size;
  c->json_memory = read_all(argument[0] == '@' ? argument + 1 : "-", &size);
  c->json = (tess_slice){c->json_memory, size};
  return c->json_memory != NULL;
}

static tess_code take_from_set(call *c, const char *whose, tess_status *status) {
  const tess_schema_method *method = tess_schema_set_method(c->set, c->path);
  if (method == NULL)
    return tess_status_set(status, TESS_NOT_FOUND, "%s declares no method %s", whose, c->path + 1);
  c->method = *method;
  c->registry[0] = tess_schema_set_file(c->set);
  return TESS_OK;
}

static tess_code find_in_file(call *c, tess_status *status) {
  size_t size;
  char *bytes = read_all(c->set_file, &size);
  if (bytes == NULL)
    return tess_status_set(status, TESS_NOT_FOUND, "%s cannot be read", c->set_file);
  c->set = tess_schema_set_new((tess_slice){bytes, size}, NULL, status);
  free(bytes);
  return c->set != NULL ? take_from_set(c, c->set_file, status) : status->code;
}

static bool find_built_in(call *c) {
  const tess_service *const services[] = {&tessera_matmul_v1_matmul_service_pb_c,
                                          &tessera_matmul_v1_controller_service_pb_c};
  for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
    for (size_t k = 0; k < services[i]->method_count; k++) {
      const tess_method *method = &services[i]->methods[k];
      if (strcmp(method->path, c->path) != 0) continue;
      c->method = (tess_schema_method){method->path, method->stream_kind, method->idempotency,
                                       method->request->schema, method->response->schema};
      c->registry[0] = services[i]->file;
      return true;
    }
  }
  return false;
}

static tess_code find_at_peer(call *c, tess_status *status) {
  const char *end = strrchr(c->path, '/');
  char *service = strndup(c->path + 1, (size_t)(end - c->path - 1));
  if (service == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  c->set = cli_schema_ask(&c->remote, service, &c->headers, c->timeout_ms, status);
  free(service);
  return c->set != NULL ? take_from_set(c, c->url, status) : status->code;
}

static tess_code find_method(call *c, tess_status *status) {
  tess_code code = TESS_OK;
  if (c->set_file != NULL)
    code = find_in_file(c, status);
  else if (!find_built_in(c))
    code = find_at_peer(c, status);
  if (code == TESS_OK && c->method.stream_kind != TESS_UNARY)
    code = tess_status_set(status, TESS_UNIMPLEMENTED, "%s is a stream; call takes unary methods",
                           c->path + 1);
  c->json_options = (tess_json_options){.registry = c->registry, .registry_count = 1};
  return code;
}

static tess_slice joined(const tess_segments *segments, tess_arena *arena) {
  char *bytes = tess_arena_alloc(arena, segments->total_bytes + 1), *at = bytes;
  for (size_t i = 0; bytes != NULL && i < segments->count; i++) {
    memcpy(at, segments->items[i].data, segments->items[i].size);
    at += segments->items[i].size;
  }
  return (tess_slice){bytes, bytes != NULL ? segments->total_bytes : 0};
}

static tess_code send(call *c, const tess_slice *request, tess_slice *response, tess_arena *arena,
                      tess_status *status) {
  const tess_message_type type = {"message", sizeof(tess_slice), NULL, &tess_runtime_bytes, NULL};
  const tess_method method = {"", c->path, TESS_UNARY, c->method.idempotency, &type, &type};
  const tess_call_options options = {
      .timeout_ms = c->timeout_ms, .headers = &c->headers, .arena = arena};
  return cli_remote_call(&c->remote, &method, &options, request, response, status);
}

static tess_code run(call *c, tess_status *status) {
  tess_segments request, response;
  tess_arena arena;
  tess_slice reply = {"", 0};
  tess_segments_init(&request, NULL, 0);
  tess_segments_init(&response, NULL, 0);
  tess_arena_init(&arena, NULL, 0);
  tess_code code = cli_remote_open(&c->remote, c->url, &c->tls, MAX_REPLY_BYTES, status);
  c->remote.timeout_is_flag = true;
  if (code == TESS_OK) code = find_method(c, status);
  if (code == TESS_OK)
    code = tess_json_to_proto(c->method.request, c->json, &c->json_options, &request, status);
  if (code == TESS_OK) {
    tess_slice bytes = joined(&request, &arena);
    code = bytes.data != NULL ? send(c, &bytes, &reply, &arena, status)
                              : tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  if (code == TESS_OK)
    code = tess_proto_to_json(c->method.response, reply, &c->json_options, &response, status);
  if (code == TESS_OK) {
    tess_slice text = joined(&response, &arena);
    fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
  }
  cli_remote_close(&c->remote);
  tess_arena_cleanup(&arena);
  tess_segments_cleanup(&response);
  tess_segments_cleanup(&request);
  return code;
}

/* ---- the command ---- */

static bool add_header(call *c, const char *text) {
  const char *colon = strchr(text, ':');
  if (colon == NULL) return false;
  const char *value = colon + 1 + strspn(colon + 1, " ");
  return tess_metadata_add_n(&c->headers, text, (size_t)(colon - text), value, strlen(value)) ==
         TESS_OK;
}

static int parse(call *c, int argc, char **argv, bool *helped) {
  static const struct option long_options[] = {{"descriptor-set", required_argument, NULL, 'd'},
                                               {"header", required_argument, NULL, 'H'},
                                               {"timeout", required_argument, NULL, 't'},
                                               PROGRAM_TLS_CLIENT_OPTIONS,
                                               {"help", no_argument, NULL, 'h'},
                                               {NULL, 0, NULL, 0}};
  int option;
  int code = -1;
  optind = 1;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":hH:", long_options, NULL)) != -1) {
    switch (option) {
      case 'd':
        c->set_file = optarg;
        break;
      case 'H':
        if (!add_header(c, optarg))
          return cli_wrong_usage("--header takes 'name: value', not '%s'", optarg);
        break;
      case 't':
        code = cli_take_ms("timeout", optarg, &c->timeout_ms);
        if (code >= 0) return code;
        break;
      case 'h':
        *helped = true;
        fputs(help_text, stdout);
        return CLI_DONE;
      case ':':
        return cli_wrong_usage("option '%s' needs a value", argv[optind - 1]);
      default:
        if (program_tls_take(&c->tls, option, optarg)) break;
        return cli_wrong_usage("unknown option '%s'; see tessera call --help", argv[optind - 1]);
    }
  }
  const char *wrong = program_tls_check(&c->tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  if (argc - optind < 1 || argc - optind > 2)
    return cli_wrong_usage("call takes URL/package.Service/Method and a request in JSON");
  if (!split_url(c, argv[optind]))
    return cli_wrong_usage("'%s' is not URL/package.Service/Method", argv[optind]);
  const int wrong_url = cli_check_url("", c->url);
  if (wrong_url >= 0) return wrong_url;
  if (!read_request(c, argc - optind == 2 ? argv[optind + 1] : NULL))
    return cli_failed("%s cannot be read", argv[optind + 1]);
  return CLI_DONE;
}

int cli_call(int argc, char **argv) {
  tess_status status = TESS_STATUS_INIT;
  bool helped = false;
  call c = {0};
  tess_metadata_init(&c.headers, NULL, 0);
  int exit_code = parse(&c, argc, argv, &helped);
  if (exit_code == CLI_DONE && !helped && run(&c, &status) != TESS_OK)
    exit_code = cli_failed("%s", cli_status_text(&status));
  tess_schema_set_free(c.set);
  free(c.json_memory);
  free(c.url);
  tess_metadata_cleanup(&c.headers);
  tess_status_cleanup(&status);
  return exit_code;
}
