"""`python -m fcn.dataset DIR` is `fcn data check DIR`."""

from __future__ import annotations

import sys

from .commands.data import main

if __name__ == "__main__":
    raise SystemExit(main(["check", *sys.argv[1:]]))
