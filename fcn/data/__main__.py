"""`python -m fcn.data` is `fcn data`."""

from __future__ import annotations

from ..commands.data import main

if __name__ == "__main__":
    raise SystemExit(main())
