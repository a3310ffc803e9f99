"""The command line: ``caffe <command> [flags]``, or ``python -m caffe``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from . import __version__
from ._caffe.errors import CaffeError
from ._caffe.log import log
from .tools import flags, options
from .tools.command import command, set_up_log

#: Caffe's own commands, which share their flags: each is `caffe.tools.<name>.run(options)`.
COMMANDS = {
    "train": "train a network, from scratch, from weights or from a solver state",
    "test": "score a network: the mean of its outputs over batches",
    "device_query": "show the properties of GPUs",
    "time": "measure how long each layer's forward and backward take",
}
#: Tools with arguments of their own: each is `caffe.tools.<name>.main(argv)`.
TOOLS = {
    "doctor": "versions, devices and optional packages of this installation",
    "compare": "two networks or engines blob by blob",
    "summary": "layers, shapes, parameters, operations and memory of a network",
    "convert_imageset": "images and labels to a database",
    "compute_image_mean": "the mean image of a database",
    "extract_features": "blobs of a network to databases",
    "upgrade_net_proto_text": "an old network prototxt to the current format",
    "upgrade_net_proto_binary": "an old caffemodel to the current format",
    "upgrade_solver_proto_text": "an old solver prototxt to the current format",
    "parse_log": "a training log to tables",
    "plot_training_log": "a chart from training logs",
    "classify": "scores of images",
    "detect": "scores of image windows",
    "draw_net": "a picture of a network",
}


@command
def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit status."""
    if argv and argv[0] in TOOLS:
        return importlib.import_module(f".tools.{argv[0]}", __package__).main(argv[1:])
    values, words = flags.parse(argv, options.FLAGS)
    if values["version"]:
        print(f"caffe version {__version__}")
        return 0
    if values["help"] or len(words) != 1:
        print(options.usage(COMMANDS, TOOLS))
        return 1 if values["help"] else 0  # as gflags ends
    set_up_log(values)
    if words[0] not in COMMANDS:
        log.error("Available caffe actions:")
        for name in sorted(COMMANDS):
            log.error("\t%s", name)
        raise CaffeError(f"Unknown action: {words[0]}")
    importlib.import_module(f".tools.{words[0]}", __package__).run(options.Options.of(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
