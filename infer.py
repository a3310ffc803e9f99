"""Segment images: `python infer.py IMAGE ... --weights RUN -o DIR`, which is `fcn infer`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fcn.__main__ import carry_out


def main(argv: Sequence[str] | None = None) -> int:
    """Segment the images that the arguments name; returns the exit status."""
    return carry_out("infer", argv, "infer.py")


if __name__ == "__main__":
    sys.exit(main())
