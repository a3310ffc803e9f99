"""Work in several processes: which one this is, starting the others, acting as one, sharing items."""

from __future__ import annotations

from .launch import launch
from .shares import collected, contribute
from .team import ALONE, Team
from .world import World

__all__ = ["ALONE", "Team", "World", "collected", "contribute", "launch"]
