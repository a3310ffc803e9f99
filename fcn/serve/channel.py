"""A connection of the server, which may not be kept by bytes that drip in."""

from __future__ import annotations

import time
from typing import Any

from waitress.channel import HTTPChannel


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """waitress closes a connection that is silent for a while; here bytes of half a request are silence.

    So a request has to be whole within that time, and who sends one byte now and then ("slowloris") keeps
    nobody else out for longer.
    """

    _heard = 0.0

    @property
    def last_activity(self) -> float:
        """When a request was complete, an answer went out, or the connection began."""
        return self._heard

    @last_activity.setter
    def last_activity(self, now: float) -> None:
        if self.request is None:
            self._heard = now

    def received(self, data: bytes) -> Any:
        taken = super().received(data)
        self.last_activity = time.time()
        return taken
