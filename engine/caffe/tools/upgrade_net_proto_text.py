"""``upgrade_net_proto_text IN OUT``: an old network prototxt to the current format."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .._caffe.graph.upgrade import net_needs_upgrade, upgrade_net
from .._caffe.proto_io import read_text
from ..proto.caffe_pb2 import NetParameter
from . import upgrade
from .command import command

USAGE = "Bring an old network prototxt to the current format.\nusage: upgrade_net_proto_text IN OUT"


@command
def main(argv: Sequence[str]) -> int:
    """Upgrade IN to OUT; see `upgrade.run` for the exit status."""
    return upgrade.run(
        argv,
        USAGE,
        lambda path: read_text(path, NetParameter()),
        net_needs_upgrade,
        upgrade_net,
        upgrade.as_text,
    )


if __name__ == "__main__":
    sys.exit(main())
