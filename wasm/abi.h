/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between the Tessera server module (a WebAssembly file) and its
 * host (tessera-server, Node, a browser). Both sides include this file; the
 * JavaScript hosts repeat its numbers and a test compares them.
 *
 * Only i32 and f64 cross the border. A pointer is an offset into the module's
 * exported `memory`, unsigned; a length is in bytes. Text is UTF-8 without a
 * terminating NUL. Header lists are text: "name: value\r\n" for each header,
 * names in lower case.
 *
 * The module never blocks and never waits: the host calls an on_... export when
 * something happened, then loop() until it says that nothing is due. Every
 * export runs for a bounded time: a few milliseconds, and what it takes to copy and
 * to decode the message that it was given. Elements as bytes are left where they lie;
 * `values` are read one by one, a GB of them in seconds.
 * One thread at a time; imports may be called from inside any export, and must
 * not call an export themselves.
 *
 * A trap (or an export that never returns) ends the instance: the host answers
 * what was in flight with `internal`, makes a new instance and goes on.
 */
#ifndef TESSERA_WASM_ABI_H
#define TESSERA_WASM_ABI_H

#include <stdint.h>

/* Raised on every incompatible change; abi_version() returns it. */
#define TESS_ABI_VERSION 1

/* The name of the import module: (import "tessera" "http_post" ...). */
#define TESS_ABI_MODULE "tessera"

/* One piece of a body: { u32 pointer, u32 length } in the module's memory. */
typedef struct tess_abi_iov {
  uint32_t data;
  uint32_t size;
} tess_abi_iov;
_Static_assert(sizeof(tess_abi_iov) == 8, "the JavaScript hosts read 8 bytes per piece");

enum tess_abi_log_level {
  TESS_ABI_LOG_DEBUG = 0,
  TESS_ABI_LOG_INFO = 1,
  TESS_ABI_LOG_WARNING = 2,
  TESS_ABI_LOG_ERROR = 3
};

/* http_reply and http_reply_more: more pieces follow. */
#define TESS_ABI_REPLY_MORE 1

/* http_reply and http_reply_more, where the module exports on_sent: the pieces
 * are still in use. */
#define TESS_ABI_KEPT 2

/* loop(): nothing is due before the next event. */
#define TESS_ABI_WAIT_FOR_EVENT (-1.0)

/* on_response: no HTTP response came; the body says why, for people. */
#define TESS_ABI_STATUS_UNREACHABLE 0
#define TESS_ABI_STATUS_TIMEOUT (-1)
#define TESS_ABI_STATUS_TOO_LARGE (-2)

/* A header of http_post that is the host's own, and is not sent on: the most bytes of the
 * response's body that the module takes. The host reads no more, and says that the response
 * is TESS_ABI_STATUS_TOO_LARGE; an error (an HTTP status other than 200) may be longer than an
 * answer can be, and over the limit is TESS_ABI_STATUS_UNREACHABLE. (A host that does not know it
 * sends it on, which does no harm, and reads as much as it takes itself.) */
#define TESS_ABI_MAX_RESPONSE_BYTES "tessera-max-response-bytes"

/* ---- imports: what the host does for the module ----
 *
 * i32 http_post(url, url_len, headers, headers_len, iov, iov_count, timeout_ms: f64)
 *     POSTs the pieces, copied before this returns, with Content-Length. The
 *     result is a handle > 0, answered once by on_response unless cancelled;
 *     or < 0: refused (the URL is not allowed, too many requests in flight).
 *     timeout_ms <= 0: none.
 * void http_cancel(handle)
 *     Ends the request and closes its connection. on_response does not come.
 * i32 http_reply(request, status, headers, headers_len, iov, iov_count, flags)
 *     Answers on_request; the pieces are copied before this returns. Without
 *     TESS_ABI_REPLY_MORE the reply is complete and `request` is forgotten.
 *     < 0: there is no such request any more (the client went away).
 * i32 http_reply_more(request, iov, iov_count, flags)
 *     Continues a reply. 1: taken, but the client is slow: send no more until
 *     on_writable(request). 0: taken. < 0: as above.
 * f64 now_ms()
 *     Monotonic clock.
 * void log(level, text, text_len)
 * void random(pointer, len)
 *     Fills with cryptographically strong random bytes.
 *
 * ---- exports: what the module does for the host ----
 *
 * memory
 * i32 abi_version()
 * i32 alloc(size)          a block of at least `size` bytes, 16-byte aligned; 0: no memory
 * void free(pointer)
 * i32 configure(text, len)
 *     Once, after instantiation. Lines "key=value": mode=serial|proxy|adaptive,
 *     worker=URL (repeated), max_message_bytes, max_inflight_bytes, cache_bytes,
 *     threshold_ms, tile_timeout_ms, check=never|always|adaptive, engine=NAME, control_key=WORD
 *     (in the header tessera-control-key of the host's own requests: SetWorkers may
 *     then name any worker). Unknown keys are refused. 0: ready; else < 0 and a line
 *     in log. Takes the text (a block from alloc).
 * i32 on_request(id, method, method_len, path, path_len, headers, headers_len, body, body_len)
 *     A request, complete with its body. id > 0 is the host's. `path` may carry
 *     a query. The module takes all four blocks (from alloc; a block of length 0
 *     may be 0). Always answered through http_reply, at once or later, unless
 *     on_cancel comes first. < 0: no memory; the host answers 503.
 * void on_response(handle, status, headers, headers_len, body, body_len)
 *     The answer to http_post. Takes both blocks.
 * void on_cancel(id)       the client of this request went away
 * void on_writable(id)     http_reply_more may go on
 * f64 loop()
 *     Does a bounded amount of work. Returns in how many ms it wants to be
 *     called again (0: at once), or TESS_ABI_WAIT_FOR_EVENT.
 * i32 stats(pointer, len)
 *     Writes Prometheus text, cut at len; returns its length.
 *
 * ---- exports that may be missing ----
 *
 * void on_sent(id)
 *     A module that exports this lets large bodies lie still, for hosts that can
 *     read its memory while it works: the pieces of http_post then stay valid and
 *     unchanged until on_response for its handle was called or http_cancel has
 *     returned; and http_reply and http_reply_more may answer TESS_ABI_KEPT, which
 *     means that the pieces must stay so until on_sent(id), which comes once for
 *     each such answer, on_cancel or not. A host that copies never does that.
 */

#endif
