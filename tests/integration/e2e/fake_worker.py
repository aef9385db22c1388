# SPDX-License-Identifier: Apache-2.0
"""Workers that fail in every way a peer can: each answers Multiply wrongly, and
Describe as a good one would. Served from threads of the test."""
import http.server
import socket
import threading
import time

from harness import DESCRIBE, MULTIPLY, array_of, pb, set_matrix


def honest(request):
    a, b = array_of(request.a).astype("float64"), array_of(request.b).astype("float64")
    if request.transpose_a:
        a = a.T
    if request.transpose_b:
        b = b.T
    result = pb.TileResult(worker="fake", kernel="fake", product_id=request.product_id)
    set_matrix(result.c, (a @ b).astype(array_of(request.a).dtype))
    result.tile.CopyFrom(request.tile)
    if not request.HasField("tile"):
        result.tile.rows, result.tile.cols = result.c.rows, result.c.cols
    return result


def garbage(_):
    return b"\xff" * 1000


def empty(_):
    return b""


def wrong_shape(request):
    result = honest(request)
    result.c.rows += 1
    result.c.data += bytes(result.c.cols * (len(result.c.data) // ((result.c.rows - 1) * result.c.cols)))
    return result


def wrong_size(request):
    result = honest(request)
    result.c.data = result.c.data[:-1]
    return result


def too_much(request):
    result = honest(request)
    result.c.data += bytes(8)
    return result


def with_padding(request):
    """The right tile, in a message that is far larger than any that holds it can be."""
    result = honest(request)
    result.c.padding = bytes(1 << 20)
    return result


def without_end(_):
    raise Endless


def wrong_dtype(request):
    result = honest(request)
    result.c.dtype = pb.DTYPE_FLOAT64 if result.c.dtype == pb.DTYPE_FLOAT32 else pb.DTYPE_FLOAT32
    return result


def wrong_tile(request):
    result = honest(request)
    result.tile.row += 1
    return result


def no_matrix(request):
    result = honest(request)
    result.ClearField("c")
    return result


def cut_short(request):
    return honest(request).SerializeToString()[:-10]


class Endless(Exception):
    """200 with protobuf, in chunks, until the client has enough."""


class Reply(Exception):
    """Something other than 200 with protobuf."""

    def __init__(self, status, content_type, body):
        super().__init__(status)
        self.reply = (status, content_type, body)


def http_500(_):
    raise Reply(500, "text/html", b"<h1>proxy on fire</h1>")


def html_200(_):
    raise Reply(200, "text/html", b"<h1>welcome to the hotel's network</h1>")


def resource_exhausted(_):
    raise Reply(429, "application/json", b'{"code":"resource_exhausted","message":"full"}')


def commands_the_terminal(_):
    raise Reply(400, "application/json",
                b'{"code":"invalid_argument","message":"go \\u001b]0;title\\u0007\\u009b2J"}')


def error_garbage(_):
    raise Reply(503, "application/json", b'{"code":')


def hangs_up(_):
    raise ConnectionError


def never(_):
    time.sleep(60)
    raise ConnectionError


LIES = [garbage, empty, wrong_shape, wrong_size, too_much, with_padding, without_end,
        wrong_dtype, wrong_tile, no_matrix, cut_short, http_500, html_200, resource_exhausted, error_garbage, hangs_up, never]


class FakeWorker:
    """Answers Multiply with answer(request), below a path. Use as a context manager."""

    def __init__(self, answer, path=""):
        fake = self
        self.answer = answer
        self.asked = 0
        self.endless_bytes = 0  # sent by without_end

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, content_type, body):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def endless(self):
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "application/proto")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
                while True:
                    self.wfile.write(chunk)
                    fake.endless_bytes += 1 << 20

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == path + DESCRIBE:
                    message = pb.DescribeResponse(name="tessera-worker", cores=1,
                                                  max_message_bytes=1 << 30)
                    message.kernels.add(name="fake", dtypes=[pb.DTYPE_FLOAT32, pb.DTYPE_FLOAT64])
                    self.reply(200, "application/proto", message.SerializeToString())
                    return
                if self.path != path + MULTIPLY:
                    self.reply(404, "application/json", b'{"code":"unimplemented"}')
                    return
                fake.asked += 1
                try:
                    answer_ = answer(pb.MatmulRequest.FromString(body))
                    if not isinstance(answer_, bytes):
                        answer_ = answer_.SerializeToString()
                    self.reply(200, "application/proto", answer_)
                except Endless:
                    self.endless()
                except Reply as other:
                    self.reply(*other.reply)
                except ConnectionError:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

        class Http(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                pass  # clients that went away

        self.http = Http(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}{path}"
        # shutdown() waits until it looks around.
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
