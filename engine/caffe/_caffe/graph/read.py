"""The front door: the message of a net or a solver from its text, in today's format."""

from __future__ import annotations

import os

from ...proto.caffe_pb2 import NetParameter, SolverParameter
from ..formats import fork_settings
from ..formats.proto_io import read_text
from ..log import log
from ..registry import text_types
from .crop_offsets import warn_of_zero_offsets
from .ignored import report_ignored
from .upgrade import upgrade_net, upgrade_solver


def read_net(path: str) -> NetParameter:
    """The NetParameter of a prototxt of any age; settings without effect are logged.

    Raises:
        ParseError: the file is missing or malformed.
        NetError: an old format that cannot be upgraded.
    """
    net, _ = upgrade_net(read_text(path, NetParameter(), text_types()), path)
    report_ignored(net, path)
    warn_of_zero_offsets(net, path)
    for layer in net.layer:
        settings = fork_settings.read(layer)
        if settings:
            log.info("layer %s (%s) has settings of its own: %s", layer.name, layer.type, settings)
    return net


def read_solver(path: str) -> SolverParameter:
    """The SolverParameter of a prototxt of any age, its snapshot prefix filled in.

    Raises:
        ParseError: the file is missing or malformed.
        SolverError: an old format that cannot be upgraded.
    """
    solver = upgrade_solver(read_text(path, SolverParameter(), text_types()), path)
    stem = os.path.splitext(path)[0]
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = stem
        log.info("snapshot_prefix was not specified and is set to %s", solver.snapshot_prefix)
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, os.path.basename(stem))
        log.info("snapshot_prefix was a directory and is replaced to %s", solver.snapshot_prefix)
    return solver
