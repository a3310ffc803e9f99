"""`python -m fcn.weights` is `fcn weights`."""

from __future__ import annotations

from ..commands.weights import main

if __name__ == "__main__":
    raise SystemExit(main())
