"""Files from the network, and archives: mirrors, resuming, checks, nothing unpacked out of its folder."""

from __future__ import annotations

from .archive import ArchiveError, unpack
from .download import fetch
from .source import FetchError, Source
from .space import NoSpace

__all__ = ["ArchiveError", "FetchError", "NoSpace", "Source", "fetch", "unpack"]
