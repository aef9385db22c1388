/* SPDX-License-Identifier: Apache-2.0
 *
 * Our client against somebody else's server of InteropService: Connect, gRPC-Web
 * and its text form, protobuf and JSON, plain and gzip; each method kind, errors with
 * details, metadata, deadlines, cancellation, GET.
 *
 *   interop-client URL [--no-bidi] [--no-text]
 *
 * --no-bidi: the peer refuses bidi streams over HTTP/1.1 (connect-go and
 * connect-node do); what is then checked is that the refusal comes as an error.
 * --no-text: the peer does not speak grpc-web-text (those two do not).
 * Exit codes: 0 all checks passed, 1 not, 2 wrong usage.
 */
#include <tessera/client.h>
#include <tessera/compressors.h>
#include <tessera/json.h>
#include <tessera/transport_curl.h>
#include <tessera/transport_text.h>

#include "interop.rpc.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Tessera__Interop__V1__Request request_t;
typedef Tessera__Interop__V1__Reply reply_t;

#define METHOD(index) (&tessera_interop_v1_interop_service_methods_pb_c[index])
enum { CONNECT, WEB, WEB_TEXT };
enum { UNARY, GET, SERVER_STREAM, CLIENT_STREAM, BIDI };

static int passed, failed;
static const char *where;

static void check(bool good, const char *what, const tess_status *status) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  fprintf(stderr, "FAILED %s: %s", where, what);
  if (status != NULL && status->code != TESS_OK)
    fprintf(stderr, " (%s: %s)", tess_code_name(status->code),
            status->message != NULL ? status->message : "");
  fputc('\n', stderr);
}

/* ---- the message ---- */

/* A message with something in every field. */
typedef struct full {
  request_t request, nested;
  Tessera__Interop__V1__Request__CountsEntry count, *counts[1];
  Google__Protobuf__Timestamp at;
  int32_t list[4];
  uint8_t data[256];
} full;

static request_t *fill(full *f, const char *text) {
  request_t *r = &f->request;
  tessera__interop__v1__request__init(r);
  tessera__interop__v1__request__init(&f->nested);
  tessera__interop__v1__request__counts_entry__init(&f->count);
  google__protobuf__timestamp__init(&f->at);
  for (size_t i = 0; i < sizeof f->data; i++)
    f->data[i] = (uint8_t)i;
  const int32_t list[] = {0, -1, INT32_MAX, INT32_MIN};
  memcpy(f->list, list, sizeof list);
  f->count.key = (char *)(uintptr_t) "n\xc3\xbc" "mber";
  f->count.value = UINT64_MAX;
  f->counts[0] = &f->count;
  f->at.seconds = 1700000000;
  f->at.nanos = 123456000;
  f->nested.text = (char *)(uintptr_t)"inner \"quoted\" \xf0\x9f\xa7\xa9";
  r->text = (char *)(uintptr_t)text;
  r->data = (ProtobufCBinaryData){sizeof f->data, f->data};
  r->number = INT64_MIN + 1;
  r->real = -0.1;
  r->list = f->list;
  r->n_list = 4;
  r->counts = f->counts;
  r->n_counts = 1;
  r->choice_case = TESSERA__INTEROP__V1__REQUEST__CHOICE_NESTED;
  r->nested = &f->nested;
  r->color = TESSERA__INTEROP__V1__COLOR__COLOR_BLUE;
  r->at = &f->at;
  return r;
}

/* Field by field: unlike bytes, this holds whatever order the peer writes in. */
static bool same(const request_t *a, const request_t *b) {
  bool good = strcmp(a->text, b->text) == 0 && a->data.len == b->data.len &&
              (a->data.len == 0 || memcmp(a->data.data, b->data.data, a->data.len) == 0) &&
              a->number == b->number && a->real == b->real && a->n_list == b->n_list &&
              a->n_counts == b->n_counts && a->choice_case == b->choice_case &&
              a->color == b->color && (a->at == NULL) == (b->at == NULL);
  for (size_t i = 0; good && i < a->n_list; i++)
    good = a->list[i] == b->list[i];
  for (size_t i = 0; good && i < a->n_counts; i++)
    good = strcmp(a->counts[i]->key, b->counts[i]->key) == 0 &&
           a->counts[i]->value == b->counts[i]->value;
  if (good && a->at != NULL)
    good = a->at->seconds == b->at->seconds && a->at->nanos == b->at->nanos;
  if (good && a->choice_case == TESSERA__INTEROP__V1__REQUEST__CHOICE_NESTED)
    good = same(a->nested, b->nested);
  return good;
}

/* ---- checks ---- */

static void check_unary(tess_client *client, int method, const request_t *request,
                        const char *http_method) {
  tess_status status = TESS_STATUS_INIT;
  reply_t reply;
  tess_code code = tess_client_unary(client, METHOD(method), NULL, request, &reply, &status);
  check(code == TESS_OK && reply.n_requests == 1 && same(request, reply.requests[0]),
        "a message comes back as it went", &status);
  if (code == TESS_OK && http_method != NULL)
    check(strcmp(reply.http_method, http_method) == 0, "it travelled as GET or POST", &status);
  if (code == TESS_OK) tess_client_clear_response(client, METHOD(method), &reply);
  tess_status_cleanup(&status);
}

static void check_large(tess_client *client) {
  static uint8_t noise[1 << 20];
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof noise; i++)
    noise[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
  request_t request;
  tessera__interop__v1__request__init(&request);
  request.data = (ProtobufCBinaryData){sizeof noise, noise};
  check_unary(client, UNARY, &request, NULL);
}

/* Two values of x-interop come back as headers and as trailers, binary ones too. */
static void check_metadata(tess_client *client, int method) {
  tess_metadata headers, replied, trailers;
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_init(&replied, NULL, 0);
  tess_metadata_init(&trailers, NULL, 0);
  tess_metadata_add(&headers, "x-interop", "one");
  tess_metadata_add(&headers, "x-interop", "two, three");
  tess_metadata_add_binary(&headers, "x-interop-bin", "\0\xff\x01", 3);
  tess_call_options options = {
      .headers = &headers, .response_headers = &replied, .response_trailers = &trailers};
  tess_status status = TESS_STATUS_INIT;
  request_t request;
  tessera__interop__v1__request__init(&request);
  reply_t reply;
  if (METHOD(method)->stream_kind == TESS_UNARY) {
    if (tess_client_unary(client, METHOD(method), &options, &request, &reply, &status) == TESS_OK)
      tess_client_clear_response(client, METHOD(method), &reply);
  } else {
    request.replies = 1;
    tess_client_stream *stream = tess_client_stream_open(client, METHOD(method), &options, &status);
    if (stream != NULL) {
      tess_client_stream_write(stream, &request, &status);
      tess_client_stream_done_writing(stream, &status);
      while (tess_client_stream_read(stream, &reply, &status) == TESS_OK)
        tess_client_clear_response(client, METHOD(method), &reply);
      tess_client_stream_close(stream);
    }
  }
  check(status.code == TESS_OK, "a call with metadata succeeds", &status);
  const tess_metadata *both[] = {&replied, &trailers};
  const char *names[][2] = {{"x-reply", "x-reply-bin"}, {"x-trailer", "x-trailer-bin"}};
  for (int i = 0; i < 2; i++) {
    /* A peer may join values of a name by commas: RFC 9110, section 5.3. */
    char joined[64] = "";
    size_t size = 0;
    const tess_metadata_entry *entry = tess_metadata_find(both[i], names[i][0], 0);
    while (entry != NULL) {
      size += (size_t)snprintf(joined + size, sizeof joined - size, "%s%s", size > 0 ? ", " : "",
                               entry->value);
      entry = tess_metadata_find(both[i], names[i][0], (size_t)(entry - both[i]->entries) + 1);
    }
    check(strcmp(joined, "one, two, three") == 0,
          i == 0 ? "headers come back" : "trailers come back", NULL);
    tess_arena arena;
    tess_slice bytes = {NULL, 0};
    tess_arena_init(&arena, NULL, 0);
    entry = tess_metadata_find(both[i], names[i][1], 0);
    check(entry != NULL && tess_metadata_decode_binary(entry, &arena, &bytes) == TESS_OK &&
              bytes.size == 3 && memcmp(bytes.data, "\0\xff\x01", 3) == 0,
          "binary metadata comes back", NULL);
    tess_arena_cleanup(&arena);
  }
  tess_status_cleanup(&status);
  tess_metadata_cleanup(&headers);
  tess_metadata_cleanup(&replied);
  tess_metadata_cleanup(&trailers);
}

static void check_failure(const tess_status *status) {
  check(status->code == TESS_RESOURCE_EXHAUSTED && status->message != NULL &&
            strcmp(status->message, "gone: 100% \xc3\xa9") == 0,
        "an error has its code and message", status);
  bool good = status->detail_count == 1 &&
              strcmp(status->details[0].type_name, "tessera.interop.v1.Failure") == 0;
  Tessera__Interop__V1__Failure *detail =
      good ? tessera__interop__v1__failure__unpack(NULL, status->details[0].value_size,
                                                   status->details[0].value)
           : NULL;
  check(detail != NULL && detail->code == TESS_RESOURCE_EXHAUSTED, "an error has its detail", NULL);
  tessera__interop__v1__failure__free_unpacked(detail, NULL);
}

/* Sends `count` requests and reads all replies. failing: the stream ends with the
 * failure that the first request asks for. */
static void check_stream(tess_client *client, int method, size_t count, uint32_t replies,
                         bool failing) {
  full f[3];
  Tessera__Interop__V1__Failure failure;
  tessera__interop__v1__failure__init(&failure);
  failure.code = TESS_RESOURCE_EXHAUSTED;
  failure.message = (char *)(uintptr_t)"gone: 100% \xc3\xa9";
  static const char *const texts[] = {"first", "second", "third"};
  tess_status status = TESS_STATUS_INIT;
  tess_client_stream *stream = tess_client_stream_open(client, METHOD(method), NULL, &status);
  bool sent = stream != NULL;
  for (size_t i = 0; i < count; i++) {
    request_t *request = fill(&f[i], texts[i]);
    request->replies = replies;
    if (failing) request->failure = &failure;
    sent = sent && tess_client_stream_write(stream, request, &status) == TESS_OK;
  }
  sent = sent && tess_client_stream_done_writing(stream, &status) == TESS_OK;
  uint32_t got = 0;
  bool good = true;
  reply_t reply;
  while (stream != NULL && tess_client_stream_read(stream, &reply, &status) == TESS_OK) {
    size_t requests = got == 0 ? count : 0;
    good = good && reply.index == got && reply.n_requests == requests;
    for (size_t i = 0; good && i < requests; i++)
      good = same(&f[i].request, reply.requests[i]);
    tess_client_clear_response(client, METHOD(method), &reply);
    got++;
  }
  tess_client_stream_close(stream);
  uint32_t expected = METHOD(method)->stream_kind == TESS_CLIENT_STREAM ? !failing : replies;
  check(sent && good && got == expected, "all replies of a stream come, in order", &status);
  if (failing)
    check_failure(&status);
  else
    check(status.code == TESS_OK, "a stream ends well", &status);
  tess_status_cleanup(&status);
}

static void check_errors(tess_client *client) {
  request_t request;
  tessera__interop__v1__request__init(&request);
  Tessera__Interop__V1__Failure failure;
  tessera__interop__v1__failure__init(&failure);
  failure.code = TESS_RESOURCE_EXHAUSTED;
  failure.message = (char *)(uintptr_t)"gone: 100% \xc3\xa9";
  request.failure = &failure;
  tess_status status = TESS_STATUS_INIT;
  reply_t reply;
  tess_client_unary(client, METHOD(UNARY), NULL, &request, &reply, &status);
  check_failure(&status);

  request_t slow;
  tessera__interop__v1__request__init(&slow);
  slow.delay_ms = 20000;
  tess_call_options soon = {.timeout_ms = 200};
  tess_client_unary(client, METHOD(UNARY), &soon, &slow, &reply, &status);
  check(status.code == TESS_DEADLINE_EXCEEDED, "a deadline ends a call", &status);

  tess_method nothing = *METHOD(UNARY);
  nothing.path = "/tessera.interop.v1.InteropService/Nothing";
  tess_client_unary(client, &nothing, NULL, &request, &reply, &status);
  check(status.code == TESS_UNIMPLEMENTED, "an unknown method is unimplemented", &status);
  tess_status_cleanup(&status);
}

/* Leaves a long stream after its first reply. */
static void check_leaving(tess_client *client) {
  request_t request;
  tessera__interop__v1__request__init(&request);
  request.replies = 100000;
  tess_status status = TESS_STATUS_INIT;
  reply_t reply;
  tess_client_stream *stream =
      tess_client_stream_open(client, METHOD(SERVER_STREAM), NULL, &status);
  bool good = stream != NULL && tess_client_stream_write(stream, &request, &status) == TESS_OK &&
              tess_client_stream_done_writing(stream, &status) == TESS_OK &&
              tess_client_stream_read(stream, &reply, &status) == TESS_OK;
  if (good) tess_client_clear_response(client, METHOD(SERVER_STREAM), &reply);
  tess_client_stream_close(stream);
  check(good, "a stream can be left", &status);
  tess_status_cleanup(&status);
}

static void check_bidi(tess_client *client, bool refused) {
  if (!refused) {
    check_stream(client, BIDI, 3, 4, false);
    check_stream(client, BIDI, 2, 1, true);
    check_metadata(client, BIDI);
    return;
  }
  tess_status status = TESS_STATUS_INIT;
  request_t request;
  tessera__interop__v1__request__init(&request);
  reply_t reply;
  tess_client_stream *stream = tess_client_stream_open(client, METHOD(BIDI), NULL, &status);
  if (stream != NULL) {
    tess_client_stream_write(stream, &request, NULL);
    tess_client_stream_done_writing(stream, NULL);
    tess_code code = tess_client_stream_read(stream, &reply, &status);
    check(code != TESS_OK && code != TESS_END, "a refused bidi stream is an error", &status);
  }
  tess_client_stream_close(stream);
  tess_status_cleanup(&status);
}

/* ---- the program ---- */

/* One kind of client: all checks. False: there is no client. */
static bool check_kind(tess_transport *transport, const char *url, int kind, bool json, bool gzip,
                       bool no_bidi) {
  static const char *const kinds[] = {"Connect", "gRPC-Web", "gRPC-Web text"};
  char name[64];
  snprintf(name, sizeof name, "%s %s%s", kinds[kind], json ? "JSON" : "protobuf",
           gzip ? " gzip" : "");
  where = name;
  tess_client_options options = {
      .transport = transport,
      .base_url = url,
      .protocol = kind == CONNECT ? TESS_PROTOCOL_CONNECT : TESS_PROTOCOL_GRPC_WEB,
      .codec = json ? &tess_codec_json.codec : NULL,
      .send_compressor = gzip ? &tess_compressor_gzip : NULL,
      .use_get = true,
      .min_compress_bytes = 1};
  tess_client *client = tess_client_new(&options, NULL);
  if (client == NULL || (gzip && tess_client_add_compressor(client, &tess_compressor_gzip)))
    return false;
  full f;
  request_t empty;
  tessera__interop__v1__request__init(&empty);
  check_unary(client, UNARY, fill(&f, "one"), "POST");
  check_unary(client, UNARY, &empty, NULL);
  check_unary(client, GET, fill(&f, "got"), kind == CONNECT ? "GET" : "POST");
  check_large(client);
  check_stream(client, SERVER_STREAM, 1, 5, false);
  check_stream(client, SERVER_STREAM, 1, 0, false);
  check_stream(client, SERVER_STREAM, 1, 2, true);
  check_stream(client, CLIENT_STREAM, 3, 1, false);
  check_stream(client, CLIENT_STREAM, 2, 1, true);
  check_metadata(client, UNARY);
  check_metadata(client, SERVER_STREAM);
  check_metadata(client, CLIENT_STREAM);
  check_errors(client);
  check_leaving(client);
  check_bidi(client, no_bidi);
  tess_client_free(client);
  return true;
}

int main(int argc, char **argv) {
  bool no_bidi = false, no_text = false, good = argc >= 2;
  for (int i = 2; i < argc; i++) {
    no_bidi = no_bidi || strcmp(argv[i], "--no-bidi") == 0;
    no_text = no_text || strcmp(argv[i], "--no-text") == 0;
    good = good && strncmp(argv[i], "--no-", 5) == 0;
  }
  if (!good) {
    fputs("usage: interop-client URL [--no-bidi] [--no-text]\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  tess_status status = TESS_STATUS_INIT;
  tess_transport *transport = tess_transport_curl_new(NULL, &status);
  if (transport == NULL) return 1;
  tess_transport *text = tess_transport_text_new(transport, NULL);
  if (text == NULL) return 1;
  for (int kind = CONNECT; kind <= (no_text ? WEB : WEB_TEXT); kind++)
    for (int form = 0; form < 4; form++)
      if (!check_kind(kind == WEB_TEXT ? text : transport, argv[1], kind, form & 1, form & 2,
                      no_bidi)) {
        fputs("interop-client: there is no such client\n", stderr);
        return 1;
      }
  text->ops->free(text);
  transport->ops->free(transport);
  tess_status_cleanup(&status);
  printf("interop-client: %d checks passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
