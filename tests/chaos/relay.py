# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a worker, which breaks in the ways that networks do.

All relays share one thread with an event loop; the methods may be called from
any thread. What a relay does at a moment is a handful of fields:

  delay      seconds before each piece goes on, either way
  rate       bytes a second, either way; 0: as they come
  held       nothing moves, neither way, and nothing is closed (a partition)
  half_open  new connections are accepted and never served
  refuses    new connections get 503 resource_exhausted
  garbles    bits to flip, one in each of the next heads that pass
"""
import asyncio
import socket
import struct
import threading

PIECE = 65536
HEAD_BYTES = 100  # of a message, that are garbled: less than any head here
REFUSAL = b'{"code":"resource_exhausted","message":"a relay says so"}'


class Loop:
    """The event loop that all relays of a process share."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, coroutine, seconds=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)


LOOP = Loop()


def reset(writer):
    """Closes with RST, not FIN."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        try:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # closed already
    writer.transport.abort()


class Link:
    """One connection through a relay."""

    def __init__(self, relay, near):
        self.relay, self.near, self.far = relay, near, None
        self.stalled = False  # this connection never moves again
        self.last = None      # which way the last piece went

    def cut(self):
        for writer in (self.near, self.far):
            if writer is not None:
                reset(writer)


class Relay:
    def __init__(self, target_port, rng):
        self.target_port, self.rng = target_port, rng
        self.links = set()
        self.delay = self.rate = 0.0
        self.held = self.half_open = self.refuses = False
        self.garbles = 0
        self.server = LOOP.call(asyncio.start_server(self._accept, "127.0.0.1", 0, limit=PIECE))
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    # ---- what can be done to it ----

    def set(self, **fields):
        LOOP.loop.call_soon_threadsafe(lambda: self.__dict__.update(fields))

    def heal(self):
        """As good as new; connections that stall are cut, so that nobody waits for them."""
        self.set(delay=0.0, rate=0.0, held=False, half_open=False, refuses=False, garbles=0)
        LOOP.loop.call_soon_threadsafe(lambda: [link.cut() for link in list(self.links) if link.stalled])

    def cut(self):
        LOOP.loop.call_soon_threadsafe(lambda: [link.cut() for link in list(self.links)])

    def stall(self):
        """What is open now never moves again; new connections work."""
        LOOP.loop.call_soon_threadsafe(lambda: [setattr(link, "stalled", True) for link in self.links])

    def close(self):
        async def end():
            self.server.close()
            for link in list(self.links):
                link.cut()
        LOOP.call(end())

    # ---- the loop's side ----

    async def _accept(self, reader, writer):
        link = Link(self, writer)
        self.links.add(link)
        try:
            if self.half_open:
                link.stalled = True
                await self._while_stopped(link)
            elif self.refuses:
                await self._refuse(reader, writer)
            else:
                far_reader, link.far = await asyncio.open_connection("127.0.0.1", self.target_port, limit=PIECE)
                ways = [asyncio.ensure_future(self._pump(link, reader, link.far)),
                        asyncio.ensure_future(self._pump(link, far_reader, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)  # whoever is gone is gone
        except (OSError, asyncio.IncompleteReadError):
            pass  # the worker is gone
        finally:
            link.cut()
            self.links.discard(link)

    async def _while_stopped(self, link):
        while (self.held or link.stalled) and not link.near.transport.is_closing():
            await asyncio.sleep(0.02)

    async def _refuse(self, reader, writer):
        await reader.read(PIECE)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                     b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL))
        await writer.drain()
        writer.write_eof()
        await asyncio.sleep(0.1)

    def _garbled(self, data):
        self.garbles -= 1
        at = self.rng.randrange(min(len(data), HEAD_BYTES))
        return data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1:]

    async def _pump(self, link, reader, writer):
        """Until the end, which is passed on; raises when either side is gone."""
        while True:
            data = await reader.read(PIECE)
            await self._while_stopped(link)
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)
            await self._while_stopped(link)
            if not data:
                writer.write_eof()
                return
            if link.last is not writer and self.garbles > 0:
                data = self._garbled(data)  # the first piece after one the other way: a head
            link.last = writer
            writer.write(data)
            await writer.drain()
