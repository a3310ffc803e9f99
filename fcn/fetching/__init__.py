"""Files from the network, and archives: mirrors, resuming, checks, nothing unpacked out of its folder."""

from __future__ import annotations

from .download import fetch
from .source import FetchError, Source

__all__ = ["FetchError", "Source", "fetch"]
