"""`python -m fcn.demo` is `fcn demo`."""

from __future__ import annotations

from ..commands.demo import main

if __name__ == "__main__":
    raise SystemExit(main())
