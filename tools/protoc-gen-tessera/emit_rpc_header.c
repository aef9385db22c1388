/* SPDX-License-Identifier: Apache-2.0
 *
 * X.rpc.pb-c.h or X.rpc.pb.h: tables as extern constants; typed handlers and
 * typed calls as static inline functions over the library's untyped ones.
 */
#include "emit.h"

#include "source_comments.h"

/* What every function below writes about. */
typedef struct context {
  text *out;
  const model_service *service;
  const model_method *method;
  size_t index;
  const char *request, *response; /* structs */
  const char *suffix;
} context;

static const char *kind_name(const model_method *method) {
  if (method->client_streaming) return method->server_streaming ? "bidi" : "client stream";
  return method->server_streaming ? "server stream" : "unary";
}

static bool is_unary(const model_method *method) {
  return !method->client_streaming && !method->server_streaming;
}

/* ---- server side ---- */

static void emit_handler(const context *c) {
  const model_method *method = c->method;
  source_comment_write(c->out, "  ", method->comment, method->deprecated ? "Deprecated." : NULL);
  text_addf(c->out, "  tess_code (*%s)(void *ctx, tess_call *call", method->member);
  if (!method->client_streaming) text_addf(c->out, ",\n      const %s *request", c->request);
  if (is_unary(method)) text_addf(c->out, ",\n      %s *response", c->response);
  text_add(c->out, ");\n");
}

static void emit_handlers(text *out, const model_service *service, const emit_runtime *runtime) {
  source_comment_write(
      out, "", service->comment,
      service->method_count == 0
          ? "Handlers of this service, which has no methods."
          : "Handlers: one per method, see <tessera/server.h>; NULL answers unimplemented.");
  text_addf(out, "typedef struct %s_handlers {\n", service->prefix);
  for (size_t i = 0; i < service->method_count; i++) {
    const model_method *method = &service->methods[i];
    emit_handler(&(context){out, service, method, i, emit_struct(method->request, runtime),
                            emit_struct(method->response, runtime), runtime->suffix});
  }
  if (service->method_count == 0) text_add(out, "  char unused;\n");
  text_addf(out, "} %s_handlers;\n\n", service->prefix);
  text_addf(out,
            "/* Before serving. handlers and ctx stay in place as long as the server. */\n"
            "static inline tess_code %s_register(\n"
            "    tess_server *server, const %s_handlers *handlers,\n"
            "    void *ctx) {\n"
            "  return tess_server_add(server, &%s%s,\n"
            "                         %s%s%s, handlers, ctx);\n}\n\n",
            service->prefix, service->prefix, service->prefix, runtime->suffix,
            service->method_count > 0 ? service->prefix : "NULL",
            service->method_count > 0 ? "_thunks" : "",
            service->method_count > 0 ? runtime->suffix : "");
}

/* What a handler that answered TESS_LATER sends. */
static void emit_server_sends(const context *c) {
  const model_method *method = c->method;
  if (is_unary(method)) {
    text_addf(c->out,
              "/* The reply of a handler that returned TESS_LATER; the call ends. */\n"
              "static inline void %s_reply(\n"
              "    tess_call *call, const %s *response) {\n"
              "  tess_call_reply(call, response);\n}\n\n",
              method->call, c->response);
  } else {
    text_addf(c->out,
              "/* One message to the client; tess_call_finish ends the stream. */\n"
              "static inline tess_code %s_send(\n"
              "    tess_call *call, const %s *message) {\n"
              "  return tess_call_send(call, message);\n}\n\n",
              method->call, c->response);
  }
}

/* ---- client side ---- */

#define METHOD_REF "&%s_methods%s[%zu]"

static void emit_unary_calls(const context *c) {
  const model_method *method = c->method;
  source_comment_write(c->out, "", method->comment, method->deprecated ? "Deprecated." : NULL);
  text_addf(c->out,
            "static inline tess_code %s(\n"
            "    tess_client *client, const tess_call_options *options,\n"
            "    const %s *request,\n"
            "    %s *response, tess_status *status) {\n"
            "  return tess_client_unary(client, " METHOD_REF
            ",\n"
            "                           options, request, response, status);\n"
            "}\n\n",
            method->call, c->request, c->response, c->service->prefix, c->suffix, c->index);
  text_addf(
      c->out,
      "/* Without waiting: request and response stay in place until done(ctx, status). */\n"
      "static inline tess_code %s_start(\n"
      "    tess_client *client, const tess_call_options *options,\n"
      "    const %s *request,\n"
      "    %s *response,\n"
      "    void (*done)(void *ctx, const tess_status *status), void *ctx,\n"
      "    tess_client_call **call, tess_status *status) {\n"
      "  return tess_client_unary_start(client, " METHOD_REF
      ",\n"
      "                                 options, request, response, done, ctx, call, status);\n"
      "}\n\n",
      method->call, c->request, c->response, c->service->prefix, c->suffix, c->index);
}

static void emit_blocking_stream(const context *c) {
  const model_method *method = c->method;
  source_comment_write(c->out, "", method->comment, method->deprecated ? "Deprecated." : NULL);
  if (method->client_streaming) {
    text_addf(c->out,
              "static inline tess_client_stream *%s_open(\n"
              "    tess_client *client, const tess_call_options *options, tess_status *status) {\n"
              "  return tess_client_stream_open(client, " METHOD_REF
              ",\n"
              "                                 options, status);\n"
              "}\n\n",
              method->call, c->service->prefix, c->suffix, c->index);
    text_addf(c->out,
              "static inline tess_code %s_write(\n"
              "    tess_client_stream *stream, const %s *message,\n"
              "    tess_status *status) {\n"
              "  return tess_client_stream_write(stream, message, status);\n}\n\n",
              method->call, c->request);
    text_addf(c->out,
              "/* No more messages from here. */\n"
              "static inline tess_code %s_done_writing(\n"
              "    tess_client_stream *stream, tess_status *status) {\n"
              "  return tess_client_stream_done_writing(stream, status);\n}\n\n",
              method->call);
  } else {
    text_addf(c->out,
              "/* Sends the request; then read until TESS_END or an error, and close. */\n"
              "static inline tess_client_stream *%s_open(\n"
              "    tess_client *client, const tess_call_options *options,\n"
              "    const %s *request, tess_status *status) {\n"
              "  tess_client_stream *stream = tess_client_stream_open(\n"
              "      client, " METHOD_REF
              ", options, status);\n"
              "  if (stream && (tess_client_stream_write(stream, request, status) != TESS_OK ||\n"
              "                 tess_client_stream_done_writing(stream, status) != TESS_OK)) {\n"
              "    tess_client_stream_close(stream);\n"
              "    stream = NULL;\n"
              "  }\n"
              "  return stream;\n}\n\n",
              method->call, c->request, c->service->prefix, c->suffix, c->index);
  }
  text_addf(c->out,
            "/* TESS_OK: *message is filled, clear it (..._response_clear). TESS_END: no more. */\n"
            "static inline tess_code %s_read(\n"
            "    tess_client_stream *stream, %s *message,\n"
            "    tess_status *status) {\n"
            "  return tess_client_stream_read(stream, message, status);\n}\n\n"
            "static inline void %s_close(\n"
            "    tess_client_stream *stream) {\n"
            "  tess_client_stream_close(stream);\n}\n\n",
            method->call, c->response, method->call);
}

static void emit_event_stream(const context *c) {
  const model_method *method = c->method;
  text_addf(c->out,
            "/* With events in place of waiting: on_message gets a const %s *.\n"
            " * Send%s with ..._call_send. */\n"
            "static inline tess_code %s_start(\n"
            "    tess_client *client, const tess_call_options *options,\n"
            "    const tess_client_stream_events *events, void *ctx,\n"
            "    tess_client_call **call, tess_status *status) {\n"
            "  return tess_client_stream_start(client, " METHOD_REF
            ",\n"
            "                                  options, events, ctx, call, status);\n"
            "}\n\n",
            c->response, method->client_streaming ? "" : " the one request", method->call,
            c->service->prefix, c->suffix, c->index);
  text_addf(c->out,
            "static inline tess_code %s_call_send(\n"
            "    tess_client_call *call, const %s *message) {\n"
            "  return tess_client_stream_send(call, message);\n}\n\n",
            method->call, c->request);
}

static void emit_client(const context *c) {
  if (is_unary(c->method)) {
    emit_unary_calls(c);
  } else {
    emit_blocking_stream(c);
    emit_event_stream(c);
  }
  text_addf(c->out,
            "/* Frees what a response that was decoded without an arena points to. */\n"
            "static inline void %s_response_clear(\n"
            "    tess_client *client, %s *response) {\n"
            "  tess_client_clear_response(client, " METHOD_REF
            ", response);\n"
            "}\n\n",
            c->method->call, c->response, c->service->prefix, c->suffix, c->index);
}

/* ---- the file ---- */

static void emit_service(text *out, const model_service *service, const emit_runtime *runtime) {
  text_addf(out, "/* ======== %s ======== */\n\n", service->full_name);
  text_addf(out, "extern const tess_service %s%s;\n", service->prefix, runtime->suffix);
  if (service->method_count > 0) {
    text_addf(out, "extern const tess_method %s_methods%s[%zu];\n", service->prefix,
              runtime->suffix, service->method_count);
    text_addf(out, "extern const tess_method_handler %s_thunks%s[%zu];\n", service->prefix,
              runtime->suffix, service->method_count);
  }
  text_add(out, "\n");
  emit_handlers(out, service, runtime);
  for (size_t i = 0; i < service->method_count; i++) {
    const model_method *method = &service->methods[i];
    context c = {out,
                 service,
                 method,
                 i,
                 emit_struct(method->request, runtime),
                 emit_struct(method->response, runtime),
                 runtime->suffix};
    text_addf(out, "/* ---- %s (%s) ---- */\n\n", method->proto->name, kind_name(method));
    emit_client(&c);
    emit_server_sends(&c);
  }
}

static void emit_includes(text *out, const model_file *file, const emit_runtime *runtime) {
  text_add(out, "#include <tessera/client.h>\n#include <tessera/server.h>\n\n");
  text_addf(out, "#include \"%s%s\"\n", file->stem, runtime->message_ext);
  for (size_t i = 0; i < file->method_file_count; i++)
    text_addf(out, "#include \"%s%s\"\n", file->method_files[i]->stem, runtime->message_ext);
}

void emit_rpc_header(text *out, const model_file *file, const emit_runtime *runtime) {
  emit_banner(out, file);
  text_addf(out,
            "/* Typed calls and handlers over %s. The other runtime's header has the\n"
            " * same names for its own types: include one of them in a translation unit.\n"
            " * Tables end in %s, so that both runtimes link into one program. */\n",
            runtime->option, runtime->suffix);
  text_addf(out, "#ifndef TESS_%s_%s\n#define TESS_%s_%s\n", file->symbol, runtime->guard,
            file->symbol, runtime->guard);
  text_addf(out,
            "#ifdef TESS_%s_%s\n#error \"one runtime's header per translation unit\"\n#endif\n\n",
            file->symbol, runtime->other_guard);
  emit_includes(out, file, runtime);
  text_add(out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  size_t types = 0;
  for (size_t i = 0; i < file->message_count; i++) {
    if (!emit_has_message(&file->messages[i], runtime)) continue;
    if (types++ == 0)
      text_add(out, "/* For functions that take any message (<tessera/codec.h>). */\n");
    text_addf(out, "extern const tess_message_type %s_type%s;\n", file->messages[i].symbol,
              runtime->suffix);
  }
  if (types > 0) text_add(out, "\n");
  for (size_t i = 0; i < file->service_count; i++)
    emit_service(out, &file->services[i], runtime);
  text_add(out, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
