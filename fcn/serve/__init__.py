"""A trained net as a local web page: drop an image, see the classes of its pixels.

The page lies in `page/`; it asks nothing of a network but this server, and this server reads no file that a
request names.
"""

from __future__ import annotations

from .limits import Limits
from .server import serve

__all__ = ["Limits", "serve"]
