# SPDX-License-Identifier: Apache-2.0
"""A relay between a coordinator and a worker that counts every byte, both ways,
below HTTP. Its address stays while the worker behind it is replaced."""
import socket
import threading
import urllib.parse

MAX_CONNECTIONS = 256


class Relay:
    def __init__(self, url):
        self.lock = threading.Lock()
        self.open = set()
        self.connections = 0
        self.target(url)
        self.zero()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def target(self, url):
        """Connects to this worker from now on; what was open ends."""
        parts = urllib.parse.urlsplit(url)
        with self.lock:
            self.address = (parts.hostname, parts.port)
            old, self.open = self.open, set()
        for connection in old:
            _end(connection)

    def zero(self):
        self.to_worker = self.from_worker = 0

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections > MAX_CONNECTIONS:
                near.close()
                continue
            try:
                far = socket.create_connection(self.address, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.open |= {near, far}
            for source, sink, name in ((near, far, "to_worker"), (far, near, "from_worker")):
                threading.Thread(target=self._copy, args=(source, sink, name), daemon=True).start()

    def _copy(self, source, sink, name):
        try:
            while data := source.recv(1 << 18):
                with self.lock:
                    setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)
        except OSError:
            pass
        _end(source)
        _end(sink)

    def close(self):
        self.listener.close()
        self.target("http://127.0.0.1:1")


def _end(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
