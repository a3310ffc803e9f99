"""The web application: the page's files, what there is to know of the net, and an image to segment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from voc_layers.reading import SampleError

from ..infer.model import Model
from .answer import segment
from .guard import HEADERS, Guard
from .limits import Limits
from .turns import BusyError

log = logging.getLogger("fcn")

#: The files of the page, all that is ever read: path -> name and type.
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
FOLDER = Path(__file__).parent / "page"
#: Seconds after which who was turned away may try again.
AGAIN = 3

#: Does work with the net, when it is its turn: `fcn.serve.turns.Turns.ask`.
Ask = Callable[[Callable[[Model], dict[str, Any]]], dict[str, Any]]


def make_app(ask: Ask, title: str, limits: Limits, guard: Guard) -> Flask:
    """The application, for any WSGI server.

    Args:
        title: what the page is called.
    """
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.bytes
    for path, (name, kind) in FILES.items():
        content = (FOLDER / name).read_bytes()
        app.add_url_rule(path, path, _file(content, kind), methods=["GET"])

    @app.get("/about")
    def about() -> Response:
        return jsonify(title=title, bytes=limits.bytes, pixels=limits.pixels)

    @app.post("/segment")
    def image() -> Response:
        data = request.get_data()
        return jsonify(ask(lambda model: segment(model, data, limits.pixels)))

    app.before_request(lambda: _refusal(guard, limits))
    app.after_request(_guarded)
    app.register_error_handler(HTTPException, lambda error: _said(error.code or 500, error.description or ""))
    app.register_error_handler(SampleError, lambda error: _said(422, str(error)))
    app.register_error_handler(BusyError, lambda error: _said(503, str(error)))
    app.register_error_handler(Exception, _broken)
    return app


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    return lambda: Response(content, content_type=kind)


def _refusal(guard: Guard, limits: Limits) -> Response | None:
    """Why a request is not answered, before its body is read; None where it is."""
    host = request.headers.get("Host")
    if not guard.knows(host):
        return _said(421, "this server is not known by that name")
    if request.method in ("GET", "HEAD"):
        return None
    if not guard.trusts(host, request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")):
        return _said(403, "only this server's own page may ask for this")
    if request.content_length is None:
        return _said(411, "how many bytes? Content-Length is missing")
    if request.content_length > limits.bytes:
        return _said(413, f"the file has more than {limits.bytes:,} bytes")
    if request.method == "POST" and not (request.mimetype or "").startswith("image/"):
        return _said(415, "expected an image (Content-Type: image/...)")
    return None


def _said(status: int, text: str) -> Response:
    """A message, for the page to show."""
    answer: Response = jsonify(error=text)
    answer.status_code = status
    if status == 503:
        answer.headers["Retry-After"] = str(AGAIN)
    return answer


def _broken(error: Exception) -> Response:
    """What went wrong here is in the log, and nothing of it in the answer."""
    if isinstance(error, MemoryError):
        return _said(507, "not enough memory for an image of this size")
    log.error("an image could not be segmented", exc_info=error)
    return _said(500, "the server failed at this image; its log says why")


def _guarded(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers[name] = value
    return answer
