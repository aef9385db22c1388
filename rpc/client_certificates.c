/* SPDX-License-Identifier: Apache-2.0 */
#include <tessera/client_certificates.h>

#include <string.h>

/* path: "/package.Service/Method"; name: the service, or service and method. */
static bool is_named(const char *path, const char *name) {
  size_t size = strlen(name);
  return strncmp(path + 1, name, size) == 0 && (path[1 + size] == '/' || path[1 + size] == '\0');
}

static bool applies(const tess_client_certificate_rule *rule, const tess_method *method) {
  for (size_t i = 0; i < rule->name_count; i++)
    if (is_named(method->path, rule->names[i])) return true;
  return rule->name_count == 0;
}

static tess_code before(void *ctx, tess_call *call) {
  const tess_client_certificate_rule *rule = ctx;
  const tess_method *method = tess_call_method(call);
  const char *subject = tess_call_client_subject(call);
  if (!applies(rule, method)) return TESS_OK;
  if (subject == NULL)
    return tess_status_set(tess_call_status(call), TESS_UNAUTHENTICATED,
                           "%s needs a client certificate", method->path + 1);
  if (rule->allows != NULL && !rule->allows(rule->ctx, method, subject))
    return tess_status_set(tess_call_status(call), TESS_PERMISSION_DENIED,
                           "%s is not for this client", method->path + 1);
  return TESS_OK;
}

tess_code tess_server_demand_client_certificates(tess_server *server,
                                                 const tess_client_certificate_rule *rule) {
  const tess_server_interceptor interceptor = {.before = before, .ctx = (void *)(uintptr_t)rule};
  return tess_server_add_interceptor(server, &interceptor);
}
