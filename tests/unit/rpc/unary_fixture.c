/* SPDX-License-Identifier: Apache-2.0 */
#include "unary_fixture.h"

#include <check.h>
#include <string.h>

const char hi[5] = "\x0a\x02hi";

void set_up_with(fixture *f, tess_client_options options, size_t max_piece_bytes,
                 bool with_server) {
  if (with_server) {
    f->server = tess_server_new(NULL);
    echo_register(f->server, &f->state);
  }
  f->transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = with_server ? tess_server_http_handler(f->server) : canned_handler(&f->canned),
      .max_piece_bytes = max_piece_bytes});
  options.transport = f->transport;
  if (options.base_url == NULL) options.base_url = "http://h:1";
  tess_status_init(&f->status, NULL);
  f->client = tess_client_new(&options, &f->status);
  ck_assert_ptr_nonnull(f->client);
}

void set_up(fixture *f, bool with_server) {
  memset(f, 0, sizeof *f);
  set_up_with(f, (tess_client_options){0}, 0, with_server);
}

void tear_down(fixture *f) {
  tess_client_free(f->client);
  f->transport->ops->free(f->transport);
  tess_server_free(f->server);
  tess_status_cleanup(&f->status);
}

tess_code echo(fixture *f, const tess_call_options *options, echo_response *response) {
  static char text[] = "hi";
  echo_request request;
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  return tessera_test_v1_echo_service_echo(f->client, options, &request, response, &f->status);
}
