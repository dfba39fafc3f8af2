"""A real HTTP receiver on loopback, which does to each path what its name says, and remembers what it got."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@dataclass(frozen=True)
class Received:
    """A request: when it came, by the monotonic clock."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str = SECRET) -> Any:
        """The body, if the library's own verifier takes the signature."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """`answers` are statuses of a path, first to last; the last one goes on. Anything else is 200."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    retry_after: str = "7"
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/ok") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ids(self, path: str = "/ok") -> list[str]:
        return [each.id for each in self.got if each.path == path]

    def take(self, request: Received) -> int:
        """Notes a request and says what to answer."""
        with self.lock:
            self.got.append(request)
            planned = self.answers.get(request.path, [200])
            return planned.pop(0) if len(planned) > 1 else planned[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: ClassVar[Receiver]

    def do_POST(self) -> None:
        got = self.receiver
        with got.lock:
            got.at_once += 1
            got.most_at_once = max(got.most_at_once, got.at_once)
        try:
            self._answer(got)
        finally:
            with got.lock:
                got.at_once -= 1

    def _answer(self, got: Receiver) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if len(body) < int(self.headers["content-length"]):
            return  # the sender was killed in the middle of it
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = got.take(Received(self.path, headers, body, time.monotonic()))
        if self.path == "/reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(0.6)
        size = 5_000_000 if self.path == "/huge" else 2
        self.send_response(status)
        self.send_header("content-length", str(size + 100 if self.path == "/broken" else size))
        if status in (429, 503):
            self.send_header("retry-after", got.retry_after)
        if status == 301:
            self.send_header("location", got.url("/moved"))
        self.end_headers()
        try:
            for _ in range(0, size, 65536):
                self.wfile.write(b"x" * min(65536, size))
        except OSError:
            self.close_connection = True
        if self.path == "/broken":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A connection that the client cut is none."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs for the length of the block."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _Server(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def payload(received: Received) -> Any:
    return json.loads(received.body)["data"]
