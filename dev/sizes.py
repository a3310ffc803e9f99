"""Files that are long enough to ask whether each is one room: a warning, no wall. `python -m dev.sizes`"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LINES = 400


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        path = root / name
        if path.is_file() and not name.endswith("_pb2.py") and not name.startswith("tests/golden/"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LINES:
                sys.stdout.write(f"long: {name}, {lines} lines: is it one room, with one reason to change?\n")


if __name__ == "__main__":
    main()
