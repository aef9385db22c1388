# SPDX-License-Identifier: Apache-2.0
"""What worker and server offer beside products: health that is watched and knows
when the program drains, descriptors for whoever asks, TLS with certificates that
change, deadlines while a request is on its way. The other side is Google's
protobuf, protoc, Python's ssl and openssl, none of which shares code with ours."""
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool

import harness
from harness import Case, Client, HEALTH, RpcError, eventually, exact, health_pb, integers, \
    run_tessera

WATCH = "/grpc.health.v1.Health/Watch"
DESCRIPTORS = "/descriptors.binpb"
SERVING, NOT_SERVING = 1, 2


def server(*options):
    """Without an engine that makes code: sanitizers look into all of it. (The module
    under JavaScriptCore: tests/integration/buf-curl.)"""
    return harness.server("--engine", "native", *options)


def both(test):
    """Runs the test against a worker and against a server."""
    def run(self):
        for name, start in (("worker", harness.worker), ("server", server)):
            with self.subTest(program=name):
                test(self, start)
    run.__name__ = test.__name__
    return run


def get(url, headers=None, context=None):
    """Returns (status, headers, body)."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def half_a_request(program, headers="", length=100, context=None):
    """A connection whose request stops in mid-body."""
    peer = socket.create_connection((program.host, program.port), timeout=60)
    if context:
        peer = context.wrap_socket(peer, server_hostname=program.host)
    peer.sendall(f"POST {harness.MULTIPLY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/proto"
                 f"\r\n{headers}Content-Length: {length}\r\n\r\nhalf".encode())
    return peer


def in_progress(program):
    """Requests that the program is at, the one that asks among them."""
    return int(re.search(rb"(?m)^tessera_http_requests_in_progress (\d+)$", get(program.url + "/metrics")[2])[1])


def is_not_ready(program):
    try:
        return get(program.url + "/readyz")[0] == 503
    except OSError:  # closed as idle, just when it began to drain
        return False


class Health(Case):
    @both
    def test_list_in_json(self, start):
        with start() as program:
            request = urllib.request.Request(
                program.url + "/grpc.health.v1.Health/List", data=b"{}",
                headers={"Content-Type": "application/json"})
            statuses = json.load(urllib.request.urlopen(request, timeout=30))["statuses"]
            self.assertEqual(statuses[""], {"status": "SERVING"})
            self.assertEqual(statuses["tessera.matmul.v1.MatmulService"], {"status": "SERVING"})

    @both
    def test_watchers_hear_that_it_drains(self, start):
        with start("--grace-ms", "4000") as program:
            heard, first, failed = [], threading.Event(), []

            def watch():
                try:
                    with Client(program.url) as client:
                        for reply in client.stream(WATCH, health_pb.HealthCheckRequest(),
                                                   health_pb.HealthCheckResponse):
                            heard.append(reply.status)
                            first.set()
                except RpcError as error:
                    failed.append(error.code)

            thread = threading.Thread(target=watch)
            thread.start()
            self.assertTrue(first.wait(20))
            self.assertEqual(heard, [SERVING])
            with half_a_request(program):  # holds the end back, once it is read
                eventually(lambda: in_progress(program) == 3, what="a stream, a half and a whole request")
                program.process.send_signal(signal.SIGTERM)
                thread.join(20)
                self.assertEqual((heard, failed), ([SERVING, NOT_SERVING], ["unavailable"]))
                # Watchers hear it first; then the rest is closed to new work.
                eventually(lambda: is_not_ready(program), what="draining")
                with Client(program.url) as client:
                    reply = client.call(HEALTH, health_pb.HealthCheckRequest(),
                                        health_pb.HealthCheckResponse)
                    self.assertEqual(reply.status, NOT_SERVING)
                with Client(program.url) as client:
                    status, _, _ = client.post(harness.DESCRIBE, b"")
                    self.assertEqual(status, 503)
            self.assertEqual(program.process.wait(30), 0)

    @both
    def test_watchers_do_not_hold_the_end_back(self, start):
        with start("--grace-ms", "60000") as program:
            watchers = [Client(program.url) for _ in range(5)]
            for client in watchers:
                stream = client.stream(WATCH, health_pb.HealthCheckRequest(),
                                       health_pb.HealthCheckResponse)
                self.assertEqual(next(stream).status, SERVING)
            began = time.monotonic()
            self.assertEqual(program.stop(40), 0)
            self.assertLess(time.monotonic() - began, 30)
            for client in watchers:
                client.close()


class Descriptors(Case):
    @both
    def test_the_set(self, start):
        with start() as program:
            status, headers, body = get(program.url + DESCRIPTORS)
            self.assertEqual(status, 200)
            files = descriptor_pb2.FileDescriptorSet.FromString(body).file
            # A pool takes a file only after all it imports, and checks every type.
            pool = descriptor_pool.DescriptorPool()
            for file in files:
                pool.Add(file)
            for service in ("tessera.matmul.v1.MatmulService", "grpc.health.v1.Health",
                            "grpc.reflection.v1.ServerReflection"):
                self.assertTrue(pool.FindServiceByName(service).methods)
            mine = next(f for f in files if f.name == "tessera/matmul/v1/matmul.proto")
            theirs = descriptor_pb2.FileDescriptorProto()
            harness.pb.DESCRIPTOR.CopyToProto(theirs)
            for message in mine.message_type:  # which protoc leaves out for Python
                for part in [message, *message.nested_type]:
                    for field in part.field:
                        field.ClearField("json_name")
            self.assertEqual(mine, theirs)
            self.assertEqual(get(program.url + DESCRIPTORS, {"If-None-Match": headers["ETag"]})[0],
                             304)

    @both
    def test_protoc_reads_replies_with_it(self, start):
        with start() as program, tempfile.NamedTemporaryFile() as file:
            file.write(get(program.url + DESCRIPTORS)[2])
            file.flush()
            with Client(program.url) as client:
                reply = client.call_bytes(harness.DESCRIBE, b"")
            text = subprocess.run(
                ["protoc", f"--descriptor_set_in={file.name}",
                 "--decode=tessera.matmul.v1.DescribeResponse", "tessera/matmul/v1/matmul.proto"],
                input=reply, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()
            self.assertIn('version: "0.1.0"', text)


class NoEndpoint(http.server.BaseHTTPRequestHandler):
    """Passes everything on but GET, and reflection only where `reflects`."""
    protocol_version = "HTTP/1.1"
    target, reflects, asked = None, True, None

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.asked.append(self.path)
        body = self.read_body()
        if "reflection" in self.path and not self.reflects:
            return self.do_GET()
        upstream = http.client.HTTPConnection(*self.target, timeout=30)
        headers = {k: v for k, v in self.headers.items()
                   if k.lower() not in ("host", "transfer-encoding", "content-length", "expect")}
        upstream.request("POST", self.path, body, headers)
        reply = upstream.getresponse()
        data = reply.read()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.headers["Content-Type"])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        upstream.close()
        return None

    def read_body(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


class Call(Case):
    """tessera call knows nothing of the health service: it asks."""

    def call(self, url, *options, service="grpc.health.v1.Health/Check"):
        return run_tessera("call", *options, f"{url}/{service}", "{}")

    @both
    def test_it_asks_the_endpoint(self, start):
        with start() as program:
            result = self.call(program.url)
            self.assertEqual((result.returncode, result.stdout), (0, '{"status":"SERVING"}\n'),
                             result.stderr)
            result = self.call(program.url, service="no.such.Service/Method")
            self.assertEqual(result.returncode, 1)
            self.assertIn("declares no method no.such.Service/Method", result.stderr)
            result = self.call(program.url, service="grpc.health.v1.Health/Watch")
            self.assertIn("is a stream", result.stderr)

    @both
    def test_without_an_endpoint_it_reflects(self, start):
        with start() as program:
            asked = []
            handler = type("Handler", (NoEndpoint,), {
                "target": (program.host, program.port), "asked": asked})
            proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            thread = threading.Thread(target=proxy.serve_forever, args=(0.02,))
            thread.start()
            try:
                url = f"http://127.0.0.1:{proxy.server_port}"
                result = self.call(url)
                self.assertEqual((result.returncode, result.stdout),
                                 (0, '{"status":"SERVING"}\n'), result.stderr)
                self.assertEqual(asked, [DESCRIPTORS,
                                         "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                         HEALTH])
                result = self.call(url, service="no.such.Service/Method")
                self.assertEqual(result.returncode, 1)
                self.assertIn("offers no service no.such.Service", result.stderr)
                handler.reflects = False
                result = self.call(url)
                self.assertEqual(result.returncode, 1)
                self.assertIn("--descriptor-set FILE", result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
            finally:
                proxy.shutdown()
                thread.join(20)
                proxy.server_close()


class Signer:
    """A folder with a signer and what it signed, made by openssl."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.ca = self.path("ca.pem")
        self.openssl("req", "-x509", "-subj", f"/CN={name}", "-days", "2", "-out", self.ca,
                     "-keyout", self.path("ca.key"), *self.key())

    def path(self, name):
        return os.path.join(self.folder, f"{self.name}-{name}")

    @staticmethod
    def key():
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sign(self, name):
        """Returns (certificate, key)."""
        certificate, key = self.path(name + ".pem"), self.path(name + ".key")
        with open(self.path("ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1")
        self.openssl("req", "-subj", f"/CN={name}", "-out", self.path("csr"), "-keyout", key,
                     *self.key())
        self.openssl("x509", "-req", "-in", self.path("csr"), "-CA", self.ca, "-CAkey",
                     self.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
                     self.path("ext"), "-out", certificate)
        return certificate, key


class Tls(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tessera-tls-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.signer, self.other = Signer(self.folder, "one"), Signer(self.folder, "two")
        self.cert, self.key = self.signer.sign("server")
        self.mine = self.signer.sign("me")

    def fails_with(self, word, *arguments):
        result = run_tessera(*arguments)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(word, result.stderr)

    def works(self, *arguments):
        result = run_tessera(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_every_command(self):
        """tessera -> https server -> https workers that demand certificates."""
        a, b = integers(self.rng, 40, 30, "float64"), integers(self.rng, 30, 20, "float64")
        names = [os.path.join(self.folder, name) for name in ("a.npy", "b.npy", "c.npy")]
        np.save(names[0], a)
        np.save(names[1], b)
        trust = ("--tls-ca", self.signer.ca)
        show = ("--tls-cert", self.mine[0], "--tls-key", self.mine[1])
        with harness.worker("--tls-cert", self.cert, "--tls-key", self.key, "--tls-client-ca",
                            self.signer.ca, "--require-client-cert") as worker, \
             server("--tls-cert", self.cert, "--tls-key", self.key, *trust, "--worker",
                    worker.url, "--mode", "proxy", "--worker-cert", self.mine[0],
                    "--worker-key", self.mine[1]) as program:
            self.assertTrue(worker.url.startswith("https://"))
            self.assertTrue(program.url.startswith("https://"))
            for where in (("--server", program.url), ("--worker", worker.url, *show)):
                told = self.works("multiply", *names[:2], "-o", names[2], *where, *trust)
                np.testing.assert_array_equal(np.load(names[2]), exact(a, b))
                self.assertIn("1 tile", told)
                os.unlink(names[2])
            # The tile went over the wire, or the server would have said 0.
            self.assertIn(" 0 by the server",
                          self.works("multiply", *names[:2], "-o", names[2], "--server",
                                     program.url, *trust))
            self.assertIn("tessera-server", self.works("describe", program.url, *trust))
            self.assertEqual(self.works("mode", program.url, "serial", *trust),
                             "serial (was proxy)\n")
            self.assertEqual(self.works("call", *trust, *show,
                                        worker.url + "/grpc.health.v1.Health/Check"),
                             '{"status":"SERVING"}\n')
            # Who is not believed, and who does not believe.
            self.fails_with("--tls-ca", "describe", program.url)
            self.fails_with("--tls-ca", "describe", program.url, "--tls-ca", self.other.ca)
            stray = self.other.sign("stray")
            for bad in ((), ("--tls-cert", stray[0], "--tls-key", stray[1])):
                self.fails_with("unavailable", "describe", worker.url, *trust, *bad)
            self.works("describe", worker.url, *trust, *show)

    @both
    def test_reload_on_sighup(self, start):
        cert, key = (os.path.join(self.folder, name) for name in ("now.pem", "now.key"))

        def install(pair):
            for source, target in zip(pair, (cert, key)):
                with open(source, "rb") as file, open(target + ".new", "wb") as to:
                    to.write(file.read())
                os.replace(target + ".new", target)

        def believed(signer):
            context = ssl.create_default_context(cafile=signer.ca)
            try:
                return get(program.url + "/livez", context=context)[0] == 200
            except (urllib.error.URLError, ssl.SSLError):
                return False

        install((self.cert, self.key))
        with start("--tls-cert", cert, "--tls-key", key) as program:
            self.assertTrue(believed(self.signer))
            install(self.other.sign("next"))
            self.assertTrue(believed(self.signer))  # not before it is told
            program.process.send_signal(signal.SIGHUP)
            eventually(lambda: believed(self.other), what="the new certificate")
            self.assertFalse(believed(self.signer))
            install((self.cert, self.other.sign("wrong")[1]))  # do not belong together
            program.process.send_signal(signal.SIGHUP)
            eventually(lambda: "stay as they were" in program.log_text(), what="a complaint")
            self.assertTrue(believed(self.other))
            self.assertEqual(program.stop(), 0)

    @both
    def test_what_cannot_be_used(self, start):
        for options, code, word in (
                (("--tls-cert", self.cert), 2, "belong together"),
                (("--require-client-cert",), 2, "--tls-client-ca"),
                (("--tls-cert", self.cert, "--tls-key", self.other.sign("x")[1]), 1, "key"),
                (("--tls-cert", "/nonexistent", "--tls-key", self.key), 1, "/nonexistent")):
            program = [harness.WORKER] if start is harness.worker else \
                [harness.SERVER, "--engine", "native"]
            result = subprocess.run([*program, "--listen", "127.0.0.1:0", *options],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, timeout=60, text=True, check=False)
            self.assertEqual((result.returncode, result.stdout), (code, ""), result.stderr)
            self.assertIn(word, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)


class SlowClients(Case):
    @both
    def test_a_deadline_while_the_body_comes(self, start):
        with start() as program, \
             half_a_request(program, "Connect-Timeout-Ms: 700\r\n", 1 << 20) as peer:
            began = time.monotonic()
            peer.settimeout(0.05)
            answer = b""
            while not answer and time.monotonic() - began < 20:
                try:
                    peer.sendall(b"x")
                    answer = peer.recv(4096)
                except socket.timeout:
                    pass
            self.assertGreaterEqual(time.monotonic() - began, 0.69)
            self.assertIn(b"HTTP/1.1 504 ", answer)
            peer.settimeout(20)
            while b"deadline_exceeded" not in answer:
                more = peer.recv(4096)
                self.assertTrue(more, answer)
                answer += more
            with Client(program.url) as client:
                self.still_answers(client)

    @both
    def test_the_same_over_tls(self, start):
        with tempfile.TemporaryDirectory(prefix="tessera-tls-") as folder:
            signer = Signer(folder, "one")
            cert, key = signer.sign("server")
            context = ssl.create_default_context(cafile=signer.ca)
            with start("--tls-cert", cert, "--tls-key", key) as program, \
                 half_a_request(program, "Connect-Timeout-Ms: 700\r\n", context=context) as peer:
                began = time.monotonic()
                answer = b""
                while b"deadline_exceeded" not in answer:
                    more = peer.recv(4096)
                    self.assertTrue(more, answer)
                    answer += more
                self.assertIn(b"HTTP/1.1 504 ", answer)
                self.assertGreaterEqual(time.monotonic() - began, 0.6)
                self.assertLess(time.monotonic() - began, 20)

    @both
    def test_hundreds_in_mid_body(self, start):
        with start() as program:
            peers = [half_a_request(program) for _ in range(200)]
            for _ in range(10):
                began = time.monotonic()
                with Client(program.url) as client:
                    self.still_answers(client)
                self.assertLess(time.monotonic() - began, harness.PATIENCE)
            for peer in peers:
                peer.close()


if __name__ == "__main__":
    harness.main()
