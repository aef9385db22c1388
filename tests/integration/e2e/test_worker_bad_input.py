# SPDX-License-Identifier: Apache-2.0
"""tessera-worker and every kind of bad request: its code, and a good answer after it."""
import json
import socket
import time

import numpy as np

import harness
from harness import BadRequests, Client, MULTIPLY, Case, integers, pb, request_of


class BadInput(BadRequests, Case):
    @classmethod
    def setUpClass(cls):
        cls.worker = harness.worker("--max-message-bytes", "8M")
        cls.addClassCleanup(cls.worker.kill)

    def setUp(self):
        super().setUp()
        self.client = Client(self.worker.url)
        self.addCleanup(self.client.close)

    def test_truncated_protobuf(self):
        body = self.request.SerializeToString()
        for size in (1, 2, 5, len(body) // 2, len(body) - 1):
            self.refused("invalid_argument", 400, body[:size])

    def test_garbage(self):
        self.refused("invalid_argument", 400, b"\xff" * 100)
        self.refused("invalid_argument", 400, b"\x0a")

    def test_empty_request(self):
        self.refused("invalid_argument", 400, b"")

    def test_a_gigabyte_claimed_in_a_kilobyte(self):
        field = bytes([0x0a])  # a: length-delimited
        self.refused("invalid_argument", 400, field + b"\x80\x80\x80\x80\x04" + bytes(1000))
        self.refused("invalid_argument", 400, field + b"\xff" * 9 + b"\x01" + bytes(1000))

    def test_mismatched_shapes(self):
        harness.set_matrix(self.request.b, integers(self.rng, 4, 3))
        self.refused("invalid_argument", 400)

    def test_data_of_the_wrong_length(self):
        for data in (b"", bytes(23), bytes(25), bytes(48)):
            self.request.a.data = data
            self.refused("invalid_argument", 400)

    def test_overflowing_shapes(self):
        for rows, cols in ((2 ** 32 - 1, 2 ** 32 - 1), (2 ** 31, 2 ** 31), (65536, 65536)):
            self.request.a.rows, self.request.a.cols = rows, cols
            self.refused("invalid_argument", 400)

    def test_data_and_values(self):
        self.request.a.values.extend([1.0] * 6)
        self.refused("invalid_argument", 400)

    def test_values_of_the_wrong_count(self):
        self.request.a.data = b""
        self.request.a.values.extend([1.0] * 7)
        self.refused("invalid_argument", 400)

    def test_dtypes(self):
        self.request.a.dtype = pb.DTYPE_UNSPECIFIED
        self.refused("invalid_argument", 400)
        for dtype in (pb.DTYPE_FLOAT16, pb.DTYPE_INT8):
            self.request.a.dtype = dtype
            self.refused("unimplemented", 501)
        harness.set_matrix(self.request.a, integers(self.rng, 2, 3, "float64"))
        self.refused("invalid_argument", 400)

    def test_unknown_dtype(self):
        body = self.request.SerializeToString() + pb.MatmulRequest().SerializeToString()
        matrix = bytes([0x0a, 0x03, 0x18, 0xe8, 0x07])  # a { dtype: 1000 }, merged into a
        self.refused("unimplemented", 501, body + matrix)

    def test_a_block_that_is_not_held(self):
        self.request.a.ClearField("data")
        self.request.a.block.sha256 = bytes(32)
        self.refused("not_found", 404)

    def test_beta_without_c_and_c_of_another_shape(self):
        self.request.scaling.alpha, self.request.scaling.beta = 1, 1
        self.refused("invalid_argument", 400)
        harness.set_matrix(self.request.c, integers(self.rng, 4, 2))
        self.refused("invalid_argument", 400)

    def test_a_scalar_too_large_for_float32(self):
        self.request.scaling.alpha = 1e300
        self.refused("invalid_argument", 400)

    def test_product_id_that_is_not_utf8(self):
        self.refused("invalid_argument", 400,
                     self.request.SerializeToString() + bytes([0x42, 0x02, 0xc3, 0x28]))

    def test_a_result_larger_than_a_reply(self):
        a, b = np.ones((2000, 1), "float32"), np.ones((1, 2000), "float32")
        self.refused("resource_exhausted", 429, request_of(a, b))

    def test_a_body_over_the_limit(self):
        a = np.ones((2000, 2000), "float32")
        with Client(self.worker.url) as client:
            try:
                self.fails("resource_exhausted", 429, client.multiply, a, a)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused from its Content-Length, before it was sent
        self.still_answers(self.client)

    def test_unknown_paths(self):
        for path in ("/tessera.matmul.v1.MatmulService/Divide", "/no.such.Service/Multiply", "/x",
                     "/"):
            status, _, _ = self.client.post(path, b"")
            self.assertEqual(status, 404, path)
        self.still_answers(self.client)

    def test_wrong_verb(self):
        for method in ("PUT", "DELETE", "PATCH"):
            status, headers, _ = self.client.post(MULTIPLY, b"", method=method)
            self.assertEqual(status, 405, method)
        self.still_answers(self.client)

    def test_wrong_content_type(self):
        body = self.request.SerializeToString()
        for kind in ("text/plain", "application/x-protobuf", "application/grpc", ""):
            status, _, _ = self.client.post(MULTIPLY, body, {"Content-Type": kind})
            self.assertEqual(status, 415, kind)
        self.still_answers(self.client)

    def test_unknown_compression(self):
        status, _, reply = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                            {"Content-Encoding": "rot13"})
        self.assertEqual((status, json.loads(reply)["code"]), (501, "unimplemented"))
        self.still_answers(self.client)

    def test_bad_timeout(self):
        for value in ("soon", "-1", "12345678901"):
            status, _, reply = self.client.post(MULTIPLY, self.request.SerializeToString(),
                                                {"Connect-Timeout-Ms": value})
            self.assertEqual((status, json.loads(reply)["code"]), (400, "invalid_argument"), value)
        self.still_answers(self.client)

    def raw(self, data, seconds=10):
        """Sends bytes, closes that side, returns what comes."""
        with socket.create_connection((self.worker.host, self.worker.port), seconds) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            received = b""
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return received
                received += piece

    def test_a_body_that_ends_early(self):
        head = (f"POST {MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto\r\n"
                "Content-Length: 4000000\r\n\r\n").encode()
        self.assertNotIn(b"HTTP/1.1 200", self.raw(head + bytes(1000)))
        self.still_answers(self.client)

    def test_half_sent_heads_keep_nobody_waiting(self):
        open_ones = []
        try:
            for _ in range(20):
                peer = socket.create_connection((self.worker.host, self.worker.port), 10)
                peer.sendall(b"POST /tessera.matmul.v1.MatmulService/Mul")
                open_ones.append(peer)
            started = time.monotonic()
            with Client(self.worker.url) as client:
                self.still_answers(client)
            self.assertLess(time.monotonic() - started, 5)
        finally:
            for peer in open_ones:
                peer.close()

    def test_nothing_of_http(self):
        self.raw(b"\x00\x01\x02\x03\r\n\r\n")
        self.raw(b"GET\r\n\r\n")
        with Client(self.worker.url) as client:
            self.still_answers(client)


if __name__ == "__main__":
    harness.main()
