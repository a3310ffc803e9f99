"""The one way to get a file: from several servers, going on where an earlier try ended, and checked."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .partial import Partial
from .source import FetchError, Source
from .transfer import Broken, Refused, pull

__all__ = ["FetchError", "Source", "fetch"]

log = logging.getLogger("fcn")

#: How often an address is asked again without a byte more than before, and the seconds in between.
TRIES = 3
PAUSE = 2.0


def fetch(source: Source, to: Path, mirrors: Sequence[str] = (), offline: bool = False) -> Path:
    """The file in the folder `to`; downloaded where it is not there yet.

    What has come lies in FILE.part, with which a later call goes on. Whoever calls this keeps other processes
    out of the folder (`fcn.lock.locked`).

    Args:
        mirrors: addresses to ask first: of the file, or, with a slash at the end, of the folder it is in.
        offline: ask nobody.

    Raises:
        FetchError: no server has it; what each of them said.
        NoSpace: the disk is too full.
        FileNotFoundError: offline, and it is not there.
        ValueError: a mirror that is no address.
    """
    path = to / source.file
    asked = list(_addresses(source, mirrors))
    if path.exists():
        if fault := source.fault(path):
            raise FetchError(f"{path}: {fault}; remove it or move it away")
        partial = Partial.of(path)
        partial.discard()  # of a call that was stopped as it ended
        return path
    if offline:
        raise FileNotFoundError(
            f"{path}: not there, and offline nothing is downloaded; expected {source.expected()}"
        )
    to.mkdir(parents=True, exist_ok=True)
    said = []
    for url in asked:
        try:
            return _from(source, url, path)
        except Refused as error:
            said.append(f"{url}: {error}")
            log.info("%s", said[-1])
    raise FetchError("\n  ".join([f"{source.file} ({source.name}) could not be downloaded:", *said]))


def _addresses(source: Source, mirrors: Sequence[str]) -> Iterator[str]:
    """Where to ask, in order."""
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise ValueError(f"{mirror}: expected an address that begins with http:// or https://")
        yield mirror + source.file if mirror.endswith("/") else mirror
    yield from source.urls


def _from(source: Source, url: str, path: Path) -> Path:
    """The file from one address; Refused where it is not to be had there."""
    partial = Partial.of(path)
    while True:
        had = partial.size
        log.info("%s from %s%s", source.file, url, f", of which {had} bytes are here" if had else "")
        _pull(source, url, partial)
        fault = source.fault(partial.path)
        if fault is None:
            partial.finish(path)
            return path
        partial.discard()
        if not had:
            raise Refused(f"the server returned {fault}")
        log.info("%s: put together from two tries, it is %s; once more from its start", url, fault)


def _pull(source: Source, url: str, partial: Partial) -> None:
    """Get all of the file, asking again as long as more of it comes each time."""
    most, tries = partial.size, 0
    while True:
        try:
            return pull(source, url, partial)
        except Broken as error:
            tries = 0 if partial.size > most else tries + 1
            most = max(most, partial.size)
            if tries >= TRIES:
                raise
            log.info("%s: %s; asking again", url, error)
            time.sleep(PAUSE)
