"""A server on this machine that answers as the servers of data sets do, on good days and bad ones."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fcn.fetching import download, transfer


@dataclass
class Served:
    """A file of the server, and how it is sent.

    ranges: whether a part can be asked for. stop_after: the connection ends after so many bytes, `stops`
    times. stall: so many seconds of silence come then. kind: the Content-Type. to: a redirect.
    """

    body: bytes = b""
    status: int = 200
    ranges: bool = True
    etag: str | None = '"1"'
    stop_after: int | None = None
    stops: int = 1
    stall: float = 0
    kind: str = "application/octet-stream"
    to: str | None = None
    length: bool = True


@dataclass
class Server:
    """`files` are served by path; `asked` has each request's path and Range."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def has(self, path: str, body: bytes = b"", **how: object) -> str:
        """Serve a file; returns its address."""
        self.files[path] = Served(body, **how)  # type: ignore[arg-type]
        return f"{self.url}{path}"


class Handler(BaseHTTPRequestHandler):
    """Sends what `state` says."""

    state: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.state.asked.append((self.path, wanted))
        served = self.state.files.get(self.path, Served(status=404))
        start = self._start(served, wanted)
        body = served.body[start:]
        if start and not body:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(served.body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 302 if served.to else served.status)
        self.send_header("Content-Type", served.kind)
        if served.to:
            self.send_header("Location", served.to)
        if served.etag:
            self.send_header("ETag", served.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(served.body) - 1}/{len(served.body)}")
        if served.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(served, body)

    def _start(self, served: Served, wanted: str | None) -> int:
        """Where to begin, by Range and If-Range."""
        same = self.headers.get("If-Range") in (None, served.etag)
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        return int(found[1]) if found and same and served.ranges else 0

    def _send(self, served: Served, body: bytes) -> None:
        if served.stop_after is not None and served.stops and len(body) > served.stop_after:
            served.stops -= 1
            self.wfile.write(body[: served.stop_after])
            self.wfile.flush()
            time.sleep(served.stall)
            return
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """It says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server without files."""
    monkeypatch.setattr(transfer, "TIMEOUT", 0.5)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{listening.server_port}")
    listening.RequestHandlerClass = type("Bound", (Handler,), {"state": state})
    thread = threading.Thread(target=lambda: listening.serve_forever(poll_interval=0.02))
    thread.start()
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()
