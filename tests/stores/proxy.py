"""A proxy before a store that counts requests, slows them down, holds them and cuts them off."""

import contextlib
import re
import socket
import threading
import time
from dataclasses import dataclass, field

PIECE = 1 << 16
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    body_length: int


@dataclass
class Proxy:
    """Listens on a port of its own while it is entered."""

    upstream: int
    # Bytes per second towards the store; the default is no limit.
    rate_up: float = 0
    # Connections towards the store that end after so many bytes, and how many do so.
    cut_after: int = 0
    cuts_left: int = 0
    # Nothing more comes from the store after so many bytes, until `release`.
    hold_after: int = 0

    requests: list[Request] = field(default_factory=list)
    up: int = 0
    down: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_gone: bool = False

    def __enter__(self) -> "Proxy":
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.connections: set[socket.socket] = set()
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.vanish()

    def vanish(self) -> None:
        """Ends all connections and takes no more, as if the server had died."""
        with self.changed:
            self.is_gone = True
            self.hold_after = 0
            connections = list(self.connections)
            self.changed.notify_all()
        # A blocked `accept` ends only with `shutdown`.
        for it in [self.listener, *connections]:
            close(it)

    def release(self) -> None:
        with self.changed:
            self.hold_after = 0
            self.changed.notify_all()

    def await_bytes(self, direction: str, count: int, seconds: float = 60) -> None:
        """Waits until so many bytes have gone `up` or `down`."""
        with self.changed:
            if not self.changed.wait_for(lambda: getattr(self, direction) >= count, seconds):
                raise TimeoutError(f"after {seconds} s only {getattr(self, direction)} bytes have gone {direction}")

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                close(near)
                continue
            with self.changed:
                gone = self.is_gone
                self.connections |= {near, far}
            if gone:
                close(near)
                close(far)
                return
            for pump in (self.pump_up, self.pump_down):
                threading.Thread(target=self.run, args=(pump, near, far), daemon=True).start()

    def run(self, pump, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            pump(near, far)
        close(near)
        close(far)
        with self.changed:
            self.connections -= {near, far}

    def pump_up(self, near: socket.socket, far: socket.socket) -> None:
        parser = RequestParser(self.requests)
        sent = 0
        while data := near.recv(PIECE):
            parser.feed(data)
            with self.changed:
                self.up += len(data)
                self.changed.notify_all()
                sent += len(data)
                cut = self.cuts_left > 0 and sent > self.cut_after
                self.cuts_left -= cut
            if cut:
                return
            if self.rate_up:
                # Of all connections together.
                with self.changed:
                    connections = max(1, len(self.connections) // 2)
                time.sleep(len(data) * connections / self.rate_up)
            far.sendall(data)

    def pump_down(self, near: socket.socket, far: socket.socket) -> None:
        while data := far.recv(PIECE):
            with self.changed:
                self.down += len(data)
                self.changed.notify_all()
                self.changed.wait_for(lambda: not self.hold_after or self.down < self.hold_after)
            near.sendall(data)


class RequestParser:
    """Finds the requests in what one connection sends."""

    def __init__(self, requests: list[Request]) -> None:
        self.requests, self.head, self.body_left = requests, b"", 0

    def feed(self, data: bytes) -> None:
        while data:
            if self.body_left:
                skipped = min(self.body_left, len(data))
                self.body_left -= skipped
                data = data[skipped:]
                continue
            self.head += data
            data = b""
            if HEAD_END in self.head:
                head, data = self.head.split(HEAD_END, 1)
                self.head = b""
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                self.body_left = int(length[1]) if length else 0
                self.requests.append(Request(method, target, self.body_left))


def close(it: socket.socket) -> None:
    # `close` alone does not wake a thread that waits for the socket.
    with contextlib.suppress(OSError):
        it.shutdown(socket.SHUT_RDWR)
    it.close()
