"""A proxy in front of a database, which can be told to misbehave as networks do."""

import socket
import struct
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

WELL = "well"
SLOW = "slow"  # every answer comes late
HALF_OPEN = "half-open"  # what is sent arrives, and no answer comes back
CUT = "cut"  # connections are reset, the new ones too
BLACK_HOLE = "black hole"  # connections open, and every byte is swallowed

DELAY = 0.1
CHUNK = 65536


class Proxy:
    """Forwards to the server of a URL; `url` is the same through the proxy. A connection that lost a byte never forwards again: TCP hands
    over everything or nothing more."""

    def __init__(self, url):
        address = urlsplit(url)
        self.target = (address.hostname, address.port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port = self.listener.getsockname()[1]
        user = f"{address.netloc.rpartition('@')[0]}@" if "@" in address.netloc else ""
        self.url = address._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
        self.mode = WELL
        self.lock = threading.Lock()
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def be(self, mode):
        self.mode = mode
        if mode == CUT:
            with self.lock:
                connections = list(self.open)
            for connection in connections:
                connection.end(reset=True)

    def close(self):
        self.be(CUT)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            connection = Connection(self, client)
            if self.mode == CUT:
                connection.end(reset=True)
            else:
                threading.Thread(target=connection.forward, daemon=True).start()


class Connection:
    def __init__(self, proxy, client):
        self.proxy, self.client, self.server = proxy, client, None
        self.lost = False
        with proxy.lock:
            proxy.open.add(self)

    def forward(self):
        try:
            self.server = socket.create_connection(self.proxy.target)
        except OSError:
            return self.end(reset=True)
        threading.Thread(target=self._pump, args=(self.server, self.client, {HALF_OPEN, BLACK_HOLE}), daemon=True).start()
        self._pump(self.client, self.server, {BLACK_HOLE})

    def _pump(self, source, drain, swallowing):
        try:
            while data := source.recv(CHUNK):
                if self.proxy.mode == SLOW and source is self.server:
                    time.sleep(DELAY)
                self.lost = self.lost or self.proxy.mode in swallowing
                if not self.lost:
                    drain.sendall(data)
        except OSError:
            pass
        self.end()

    def end(self, reset=False):
        with self.proxy.lock:
            self.proxy.open.discard(self)
        for end in filter(None, (self.client, self.server)):
            with suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Wakes the thread that reads: while it does, the socket stays open.
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            end.close()
