"""``draw_net NET PICTURE``: a picture of a network; needs the extra `draw` (pydot) and Graphviz."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import draw
from .._caffe import read_net
from ..proto import caffe_pb2
from .command import check_output, command, mistakes_of_the_user, write_file

_PHASES = {"ALL": None, "TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}


@command
def main(argv: Sequence[str]) -> int:
    """Draw the network of a prototxt, of an old format too.

    Raises:
        CaffeError: the prototxt cannot be read, or pydot or Graphviz is missing.
    """
    parser = argparse.ArgumentParser("draw_net", description="A picture of a network.")
    add = parser.add_argument
    add("input_net_proto_file", help="the prototxt")
    add("output_image_file", help="the picture; its extension is the format")
    add("--rankdir", default="LR", choices=("LR", "RL", "TB", "BT"), help="direction of the data")
    add("--phase", default="ALL", choices=_PHASES, help="draw the layers of this phase only")
    add("--display_lrm", action="store_true", help="write learning rate multipliers")
    add("--fold", action="store_true", help="for large nets: layers in place stand in the box of "
        "their blob's layer; Split layers and blobs are left out")  # fmt: skip
    args = parser.parse_args(argv)
    target = args.output_image_file
    check_output(target, args.input_net_proto_file)
    net = read_net(args.input_net_proto_file)
    print(f"Drawing net to {target}")
    with mistakes_of_the_user():
        kind = target.rpartition(".")[2].lower()
        picture = draw.draw_net(net, args.rankdir, kind, _PHASES[args.phase], args.display_lrm, args.fold)
    write_file(target, picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
