"""The command line: ``caffe <command> [flags]``, or ``python -m caffe``."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from ._caffe import CaffeError
from .tools.command import command, parse_flags
from .tools.commands import options
from .tools.usage import Program

log = logging.getLogger("caffe")

#: Caffe's own commands, which share their flags: each is `caffe.tools.commands.<name>.run(options)`.
COMMANDS = {
    "train": "train a network, from scratch, from weights or from a solver state",
    "test": "score a network: the mean of its outputs over batches",
    "device_query": "show the properties of GPUs",
    "time": "measure how long each layer's forward and backward take",
}
#: Tools with arguments of their own: name -> (`module:function` in `caffe.tools`, what it does).
TOOLS = {
    "doctor": ("commands.doctor:main", "versions, devices and optional packages of this installation"),
    "compare": ("commands.compare:main", "two networks or engines blob by blob"),
    "summary": ("commands.summary:main", "layers, shapes, parameters, operations and memory of a network"),
    "convert_imageset": ("convert_imageset:main", "images and labels to a database"),
    "convert_mnist_data": ("convert_datasets:mnist", "MNIST's files to a database"),
    "convert_mnist_siamese_data": ("convert_datasets:siamese", "pairs of MNIST's images to a database"),
    "convert_cifar_data": ("convert_datasets:cifar", "CIFAR-10's files to two databases"),
    "compute_image_mean": ("compute_image_mean:main", "the mean image of a database"),
    "extract_features": ("extract_features:main", "blobs of a network to databases"),
    "upgrade_net_proto_text": ("upgrade:net_text", "an old network prototxt to the current format"),
    "upgrade_net_proto_binary": ("upgrade:net_binary", "an old caffemodel to the current format"),
    "upgrade_solver_proto_text": ("upgrade:solver_text", "an old solver prototxt to the current format"),
    "parse_log": ("parse_log:main", "a training log to tables"),
    "plot_training_log": ("plot_training_log:main", "a chart from training logs"),
    "classify": ("classify:main", "scores of images"),
    "detect": ("detect:main", "scores of image windows"),
    "draw_net": ("draw_net:main", "a picture of a network"),
}


@command
def main(argv: Sequence[str]) -> int:
    """Run a command; returns its exit status."""
    if argv and argv[0] in TOOLS:
        module, _, function = TOOLS[argv[0]][0].partition(":")
        tool = getattr(importlib.import_module(f".tools.{module}", __package__), function)
        status: int = tool(argv[1:])
        return status
    usage = options.usage(COMMANDS, {name: what for name, (_, what) in TOOLS.items()})
    program = Program("caffe", usage, options.FLAGS, words=(1, 1), misuse=(0, "stdout"))
    values, words = parse_flags(argv, program)
    if words[0] not in COMMANDS:
        log.error("Available caffe actions:")
        for name in sorted(COMMANDS):
            log.error("\t%s", name)
        raise CaffeError(f"Unknown action: {words[0]}")
    importlib.import_module(f".tools.commands.{words[0]}", __package__).run(options.Options.of(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
