/* SPDX-License-Identifier: Apache-2.0
 *
 * X.rpc.pb-c.c or X.rpc.pb.c: message types, method tables, and one thunk per
 * method. A thunk has the exact type of tess_method_handler and calls the typed
 * handler: no function is called through a pointer of another type, which
 * WebAssembly traps on.
 */
#include "emit.h"

static void emit_types(text *out, const model_file *file, const emit_runtime *runtime) {
  for (size_t i = 0; i < file->message_count; i++) {
    const model_message *message = &file->messages[i];
    if (!emit_has_message(message, runtime)) continue;
    text_addf(out, "const tess_message_type %s_type%s = {\n    \"%s\",\n    sizeof(%s),\n    ",
              message->symbol, runtime->suffix, message->full_name, emit_struct(message, runtime));
    if (runtime->nanopb) {
      text_addf(out, "%s_fields,\n", message->nanopb_name);
    } else {
      text_addf(out, "&%s__descriptor,\n", message->protobuf_c_lower);
    }
    text_addf(out, "    &%s,\n    &tess_schema_%s};\n\n", runtime->tess_runtime, message->symbol);
  }
}

static void emit_thunk(text *out, const model_service *service, const model_method *method) {
  bool unary = !method->client_streaming && !method->server_streaming;
  text_addf(out,
            "static tess_code %s_thunk(const void *handlers, void *ctx, tess_call *call,\n"
            "                          const void *request%s) {\n"
            "  const %s_handlers *typed = handlers;\n",
            method->call, unary ? ", void *response" : "", service->prefix);
  if (method->client_streaming) text_add(out, "  (void)request;\n");
  text_addf(out,
            "  if (!typed->%s)\n"
            "    return tess_status_set(tess_call_status(call), TESS_UNIMPLEMENTED,\n"
            "                           \"%s.%s is not implemented\");\n",
            method->member, service->full_name, method->proto->name);
  /* In parentheses, so that no macro of that name can expand. */
  text_addf(out, "  return (typed->%s)(ctx, call%s%s);\n}\n\n", method->member,
            method->client_streaming ? "" : ", request", unary ? ", response" : "");
}

static const char *kind(const model_method *method) {
  if (method->client_streaming)
    return method->server_streaming ? "TESS_BIDI_STREAM" : "TESS_CLIENT_STREAM";
  return method->server_streaming ? "TESS_SERVER_STREAM" : "TESS_UNARY";
}

static const char *idempotency(const model_method *method) {
  static const char *const names[] = {"TESS_IDEMPOTENCY_UNKNOWN", "TESS_NO_SIDE_EFFECTS",
                                      "TESS_IDEMPOTENT"};
  return names[method->idempotency];
}

static void emit_tables(text *out, const model_service *service, const emit_runtime *runtime) {
  text_addf(out, "const tess_method %s_methods%s[%zu] = {\n", service->prefix, runtime->suffix,
            service->method_count);
  for (size_t i = 0; i < service->method_count; i++) {
    const model_method *method = &service->methods[i];
    text_addf(out, "    {\"%s\", \"/%s/%s\",\n     %s, %s,\n     &%s_type%s,\n     &%s_type%s},\n",
              method->proto->name, service->full_name, method->proto->name, kind(method),
              idempotency(method), method->request->symbol, runtime->suffix,
              method->response->symbol, runtime->suffix);
  }
  text_add(out, "};\n\n");
  for (size_t i = 0; i < service->method_count; i++)
    emit_thunk(out, service, &service->methods[i]);
  text_addf(out, "const tess_method_handler %s_thunks%s[%zu] = {\n", service->prefix,
            runtime->suffix, service->method_count);
  for (size_t i = 0; i < service->method_count; i++) {
    const model_method *method = &service->methods[i];
    bool unary = !method->client_streaming && !method->server_streaming;
    text_addf(out, unary ? "    {%s_thunk, NULL},\n" : "    {NULL, %s_thunk},\n", method->call);
  }
  text_add(out, "};\n\n");
}

static void emit_service(text *out, const model_file *file, const model_service *service,
                         const emit_runtime *runtime) {
  bool any = service->method_count > 0;
  if (any) emit_tables(out, service, runtime);
  text_addf(out, "const tess_service %s%s = {\n    \"%s\", %s%s%s, %zu, &tess_file_%s};\n\n",
            service->prefix, runtime->suffix, service->full_name, any ? service->prefix : "NULL",
            any ? "_methods" : "", any ? runtime->suffix : "", service->method_count, file->symbol);
}

void emit_rpc_source(text *out, const model_file *file, const emit_runtime *runtime) {
  emit_banner(out, file);
  text_addf(out, "#include \"%s%s\"\n\n", file->stem, runtime->header_ext);
  text_addf(out, "#include \"%s.schema.h\"\n", file->stem);
  for (size_t i = 0; i < file->method_file_count; i++)
    text_addf(out, "#include \"%s%s\"\n", file->method_files[i]->stem, runtime->header_ext);
  text_add(out, "#include <stddef.h>\n\n");
  emit_types(out, file, runtime);
  for (size_t i = 0; i < file->service_count; i++)
    emit_service(out, file, &file->services[i], runtime);
}
