"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Read when PyTorch is loaded, here and in the processes that tests start. There are as many tests at once as
# cores, each with as many threads: one that waits in a loop for work takes the core of one that has some.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No deadline: how long an example takes on a busy machine says nothing of the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder that holds `data/` and `golden/`, named by FCN_SHARED_DATA; skips where there is none."""
    folder = Path(os.environ.get("FCN_SHARED_DATA", ROOT.parent / "shared"))
    if not ((folder / "data").is_dir() and (folder / "golden").is_dir()):
        pytest.skip(f"{folder} has no data/ and golden/; name the folder that does in FCN_SHARED_DATA")
    return folder
