"""Run a notebook from top to bottom, and keep it with what it showed.

python -m dev.run_notebook examples/from-shapes-to-fcn.ipynb runs/examples
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

#: Seconds that one cell may take.
LONGEST = 1200


def executed(notebook: Path, folder: Path) -> Any:
    """The notebook with its outputs, run by this Python in a folder.

    Raises:
        CellExecutionError: a cell that failed, with its traceback.
    """
    cells = nbformat.read(notebook, as_version=4)
    NotebookClient(cells, timeout=LONGEST, resources={"metadata": {"path": str(folder)}}).execute()
    return cells


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.run_notebook", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path, help="where it runs, and is kept")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    kept = args.folder / args.notebook.name
    nbformat.write(executed(args.notebook, args.folder), kept)
    sys.stdout.write(f"{kept}\n")


if __name__ == "__main__":
    main()
