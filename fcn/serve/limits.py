"""How much one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused.

    Attributes:
        bytes: of an image's file; more is refused before it is read.
        pixels: of an image; more is refused before it is decoded.
        waiting: images that are computed or wait to be; another is told to come again.
    """

    bytes: int = 20_000_000
    pixels: int = 1_000_000
    waiting: int = 32
