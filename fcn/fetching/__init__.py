"""Files from the network, and archives: mirrors, resuming, checks, nothing unpacked out of its folder."""

from __future__ import annotations

from .archive import ArchiveError, unpack
from .download import fetch
from .source import FetchError, Source

__all__ = ["ArchiveError", "FetchError", "Source", "fetch", "unpack"]
