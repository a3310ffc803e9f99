"""Train FCNs: `python solve.py [MODEL ...]`, which is `fcn train`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fcn.__main__ import carry_out


def main(argv: Sequence[str] | None = None) -> int:
    """Train what the arguments say; returns the exit status."""
    return carry_out("train", argv, "solve.py")


if __name__ == "__main__":
    sys.exit(main())
