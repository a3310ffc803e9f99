"""Published data sets: downloaded, unpacked, given their split lists and checked."""

from __future__ import annotations

from .catalogue import DATA_SETS, DataSet
from .get import Outcome, Wanted, get

__all__ = ["DATA_SETS", "DataSet", "Outcome", "Wanted", "get"]
