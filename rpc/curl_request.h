/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside transport_curl.c: one request as libcurl sees it, from the core's terms to
 * an easy handle's options, and what curl calls while it runs. The only file that
 * includes curl/curl.h.
 *
 * Threads: as transport_curl.c says, field by field.
 */
#ifndef TESSERA_RPC_CURL_REQUEST_H
#define TESSERA_RPC_CURL_REQUEST_H

#include <curl/curl.h>
#include <stdatomic.h>

#include <tessera/transport_curl.h>

#include "rpc/due.h"
#include "rpc/http_reply_head.h"

enum { TESS__CURL_MAX_BUFFER_BYTES = 2 << 20 }; /* CURLOPT_UPLOAD_BUFFERSIZE: curl's maximum */

/* Does curl say when a request gets a connection? */
#define TESS__CURL_TELLS_TAKEN (LIBCURL_VERSION_NUM >= 0x075000)

typedef struct tess__curl_request {
  struct tess__curl_request *next_command; /* in transport->commands, when queued */
  struct tess__curl_request *next_spare;
  tess_http_outgoing *outgoing; /* NULL: not in use, or left behind */
  bool queued, want_start, want_resume;
  _Atomic bool want_cancel;

  /* driver */
  struct tess__curl_request *previous, *next; /* in transport->active, or ->behind */
  CURL *easy;
  bool active, in_multi;
  bool receive_paused; /* on_body said so */
  bool ended;          /* complete, but on_end is held back until resume */
  bool body_over;      /* next_body said END */
  tess_slice piece;    /* what is left of the current piece of body */
  tess__reply_head head;
  tess_code failure; /* our own reason for making curl fail */
  const char *failure_text;
  tess__due deadline;
  /* Queued while curl looks its host's name up: until when it may. To take it from curl
   * meanwhile would wait for that. */
  tess__due lookup;
  tess__due_queue *lookups;   /* where that goes */
  int64_t connect_timeout_ms; /* as the options say */
  int64_t peer_timeout_ms;
  char error[CURL_ERROR_SIZE];

  /* of the thread that starts it, then of the driver */
  char *text; /* header lines */
  size_t text_capacity;
  struct curl_slist *lines;
  size_t line_capacity;
  char *small_body;
  size_t small_body_capacity;
  char *connect_to; /* "::address:port" */
  size_t connect_to_capacity;
  struct curl_slist connect_to_line;
} tess__curl_request;

/* NULL: see *result. options->tls is not looked at; options (complete), tls and lookups
 * outlive the request. */
tess__curl_request *tess__curl_request_new(const tess_transport_curl_options *options,
                                           const tess_tls_options *tls, tess__due_queue *lookups,
                                           CURLcode *result);
void tess__curl_request_free(tess__curl_request *request);
/* Sets the handle up for request->outgoing. */
CURLcode tess__curl_request_prepare(tess__curl_request *request,
                                    const tess_transport_curl_options *options);
/* Nobody waits for it any more, and its name is still being looked up: curl ends it when
 * that has ended, without a connection. */
void tess__curl_request_leave(tess__curl_request *request);
tess_code tess__curl_code(CURLcode rc);
/* Why a request ended so, for people. Static, or the request's. */
const char *tess__curl_why(const tess__curl_request *request, CURLcode rc);

#endif
