"""``upgrade_solver_proto_text IN OUT``: an old solver prototxt to the current format."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .._caffe.graph.upgrade import solver_needs_upgrade, upgrade_solver
from .._caffe.proto_io import read_text
from ..proto.caffe_pb2 import SolverParameter
from . import upgrade
from .command import command

USAGE = "Bring an old solver prototxt to the current format.\nusage: upgrade_solver_proto_text IN OUT"


@command
def main(argv: Sequence[str]) -> int:
    """Upgrade IN to OUT; see `upgrade.run` for the exit status."""
    return upgrade.run(
        argv,
        USAGE,
        lambda path: read_text(path, SolverParameter()),
        solver_needs_upgrade,
        upgrade_solver,
        upgrade.as_text,
    )


if __name__ == "__main__":
    sys.exit(main())
