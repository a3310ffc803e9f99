"""A file that lies on one or more servers: where, under which name, and what tells the right one."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20
#: How the files begin that a server sends in place of what was asked for.
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


class FetchError(OSError):
    """A file could not be had; says what each server answered."""


@dataclass(frozen=True)
class Source:
    """A file on the network.

    Attributes:
        name: what a person calls it.
        urls: where it lies, the best address first.
        file: what it is called here.
        size: bytes; decides where there are no digests, else tells what to expect.
        digests: 'md5:...', 'sha1:...' or 'sha256:...' in hexadecimal, or how such a one begins; several where
            several forms of the file are in circulation.
    """

    name: str
    urls: tuple[str, ...]
    file: str
    size: int | None = None
    digests: tuple[str, ...] = ()

    def fault(self, path: Path) -> str | None:
        """Why a file on this machine is not the one meant; None where nothing speaks against it."""
        size = path.stat().st_size
        with path.open("rb") as file:
            if is_page(file.read(512)):
                return page_fault(size, self.file)
        if self.digests:
            found = {kind: digest(path, kind) for kind in sorted({kind for kind, _ in self._digests})}
            if any(found[kind].startswith(value) for kind, value in self._digests):
                return None
            have = ", ".join(f"{kind}:{value}" for kind, value in found.items())
            return f"{have} of {size} bytes, expected {self.expected()}: damaged, or another file"
        if self.size not in (None, size):
            return f"{size} bytes, expected {self.expected()}"
        return None

    def expected(self) -> str:
        """Size and digests, as part of a sentence."""
        size = f"{self.size} bytes ({megabytes(self.size)})" if self.size else ""
        return ", ".join(filter(None, (size, " or ".join(self.digests)))) or "a file of unknown size"

    @property
    def _digests(self) -> list[tuple[str, str]]:
        """(kind, value) of each."""
        return [(kind, value.lower()) for kind, _, value in (text.partition(":") for text in self.digests)]


def digest(path: Path, kind: str) -> str:
    """The digest of a file in hexadecimal; kind: 'md5', 'sha1' or 'sha256'."""
    found = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def is_page(start: bytes) -> bool:
    """Whether what begins like this is a web page."""
    return _PAGE.match(start) is not None


def page_fault(size: int, file: str) -> str:
    """What is wrong where a web page came in place of a file."""
    return f"a web page of {size} bytes, not {file}"


def megabytes(size: int) -> str:
    """A number of bytes for people, '1.4 GB'."""
    unit, factor = ("GB", 1e9) if size >= 1e9 else ("MB", 1e6) if size >= 1e6 else ("kB", 1e3)
    return f"{size / factor:.1f} {unit}"
