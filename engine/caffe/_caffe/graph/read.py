"""The front door: a net's text from a file, in today's format."""

from __future__ import annotations

from ...proto import caffe_pb2
from ..formats.proto_io import read_text
from .ignored import report_ignored
from .upgrade import upgrade_net


def read_net(path: str) -> caffe_pb2.NetParameter:
    """The NetParameter of a prototxt, in today's format."""
    net = read_text(path, caffe_pb2.NetParameter())
    upgrade_net(net, path)
    report_ignored(net, path)
    return net
