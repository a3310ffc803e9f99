"""One try to get a file, or what is missing of it, from one address.

HTTP as in RFC 9110: Range asks for the rest; with If-Range, for the rest of this version or all of another.
"""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.error import HTTPError, URLError

from ..outputs import written
from ..waiting import transfer
from .partial import Partial
from .source import Source, is_page, page_fault
from .space import require_space

#: Seconds without a byte after which a server counts as gone.
TIMEOUT = 30.0
_CHUNK = 1 << 18
_PAGE_LIMIT = 1 << 20


class Refused(Exception):
    """This server does not have the file."""


class Broken(Refused):
    """The connection broke: another try may go on from there."""


def pull(source: Source, url: str, partial: Partial) -> None:
    """Add to what has come what the server at `url` still has.

    Raises:
        Refused: it answered with something else, or not at all.
        Broken: less came than it announced.
        NoSpace: the disk is too full for the file.
    """
    have = partial.size
    version = partial.version(url)
    resumable = have > 0 and (version is not None or bool(source.digests))
    headers = {"User-Agent": "fcn", "Accept-Encoding": "identity"}
    if resumable:
        headers["Range"] = f"bytes={have}-"
        if version is not None:
            headers["If-Range"] = version
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            _refusal(error, have, partial)
        return
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Refused(_said(error)) from error
    with answer:
        _receive(source, url, answer, partial)


def _refusal(error: HTTPError, have: int, partial: Partial) -> None:
    """An answer that is no file; returns where it means that all of it has come."""
    if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise Refused(f"HTTP {error.code} {error.reason}")
    if error.headers.get("Content-Range") != f"bytes */{have}":
        partial.discard()
        raise Broken("the file there is shorter than what had come of it")


def _receive(source: Source, url: str, answer: Any, partial: Partial) -> None:
    """Write what a server sends behind what has come, or in its place."""
    start = _start(answer, partial.size)
    length = answer.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    chunks = _chunks(answer)
    first = next(chunks, b"")
    if not start:
        _refuse_others(source, answer, first, total)
    require_space(partial.path.parent, (total or source.size or start) - start)
    if not start:
        partial.begin(url, _version(answer))
    with written(partial.path), partial.path.open("ab") as file, transfer(source.file, total, start) as bar:
        for chunk in chain([first], chunks):
            file.write(chunk)
            file.flush()  # kept, should this process be killed
            bar.update(len(chunk))
    if total is not None and partial.size < total:
        raise Broken(f"the connection ended after {partial.size} of {total} bytes")


def _start(answer: Any, have: int) -> int:
    """Where in the file the answer begins: at its start, or behind what has come."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    sent = answer.headers.get("Content-Range") or "an unknown part"
    if not sent.startswith(f"bytes {have}-"):
        raise Refused(f"asked for the bytes from {have} on, it sent {sent}")
    return have


def _chunks(answer: Any) -> Iterator[bytes]:
    """What a server sends, as it comes; Broken where the connection ends before its time."""
    while True:
        try:
            chunk = answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"the connection broke: {_said(error)}") from error
        if not chunk:
            return
        yield chunk


def _refuse_others(source: Source, answer: Any, first: bytes, total: int | None) -> None:
    """Refused where what begins like this is a web page, or has another size than the file."""
    if is_page(first) or answer.headers.get_content_type() == "text/html":
        size = len(first) + len(answer.read(_PAGE_LIMIT)) if total is None else total
        raise Refused(f"the server returned {page_fault(size, source.file)}")
    if total is not None and not source.digests and source.size not in (None, total):
        raise Refused(f"the server's file has {total} bytes, expected {source.expected()}")


def _version(answer: Any) -> str | None:
    """How the server calls this version of the file; a weak ETag does not vouch for every byte."""
    tag: str | None = answer.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _said(error: Exception) -> str:
    """What an error of the network says."""
    if isinstance(error, URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT:g} seconds"
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error) or type(error).__name__
