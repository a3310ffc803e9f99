"""A training in several processes: which one this is, starting the others, acting as one."""

from __future__ import annotations

from .launch import launch
from .team import ALONE, Team
from .world import World

__all__ = ["ALONE", "Team", "World", "launch"]
