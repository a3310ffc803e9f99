"""From a solver's message to its nets (Caffe: solver.cpp Init*)."""

from __future__ import annotations

import os
from pathlib import Path

from ...proto import caffe_pb2
from ..errors import SolverError
from ..graph.read import read_net
from ..log import log
from ..net import Net


def check_settings(param: caffe_pb2.SolverParameter, type_name: str) -> None:
    """What must hold before a solver of the class `type_name` is built.

    Raises:
        SolverError: naming the field.
    """
    if param.average_loss < 1:
        raise SolverError(f"average_loss should be at least 1, not {param.average_loss}")
    if param.iter_size < 1:
        raise SolverError(f"iter_size should be at least 1, not {param.iter_size}")
    if type_name in ("AdaGrad", "RMSProp") and param.momentum != 0:
        raise SolverError(
            f"Momentum cannot be used with {type_name}: momentum is {param.momentum:g}; remove it"
        )
    if type_name == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise SolverError(f"rms_decay should lie between 0 and 1, not {param.rms_decay:g}")
    if param.snapshot > 0:
        check_prefix(param)


def check_prefix(param: caffe_pb2.SolverParameter) -> None:
    """Raise SolverError unless there is a snapshot prefix, and files can be written there."""
    prefix = param.snapshot_prefix
    folder = Path(prefix).parent
    if not param.HasField("snapshot_prefix") or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise SolverError(
            f"Cannot write to snapshot prefix '{prefix}': make sure that the folder '{folder}' exists and is "
            "writable, or change snapshot_prefix"
        )


def train_net(param: caffe_pb2.SolverParameter, net_class: type[Net]) -> Net:
    """The net the solver trains.

    Raises:
        SolverError: not exactly one of net, net_param, train_net, train_net_param, or a net inside the solver
            that is of an older format.
    """
    given = [name for name in ("net", "net_param", "train_net", "train_net_param") if param.HasField(name)]
    if len(given) != 1:
        raise SolverError(
            "SolverParameter must specify a train net using exactly one of these fields: net, net_param, "
            f"train_net, train_net_param; given: {', '.join(given) or 'none'}"
        )
    source = getattr(param, given[0])
    origin = f"from {given[0]} file: {source}" if isinstance(source, str) else f"specified in {given[0]}."
    log.info("Creating training net %s", origin)
    return _build(given[0], source, caffe_pb2.TRAIN, param.train_state, net_class)


def test_nets(param: caffe_pb2.SolverParameter, net_class: type[Net]) -> list[Net]:
    """The nets the solver tests: test_net_param, then test_net, then the generic net for the rest.

    Raises:
        SolverError: test_iter, test_state or test_interval do not fit the number of nets, or a net inside the
            solver is of an older format.
    """
    generic = next((name for name in ("net", "net_param") if param.HasField(name)), None)
    own: list[tuple[str, str | caffe_pb2.NetParameter]] = []
    own += [("test_net_param", net) for net in param.test_net_param]
    own += [("test_net", path) for path in param.test_net]
    count = len(param.test_iter)
    if count < len(own) or (not generic and count != len(own)):
        raise SolverError(
            f"test_iter must be specified once per test net: {count} given for {len(own)} test net(s)"
        )
    if param.test_state and len(param.test_state) != count:
        raise SolverError(
            f"test_state must be unspecified or given once per test net: {len(param.test_state)} for {count}"
        )
    if count and param.test_interval <= 0:
        raise SolverError(f"test_interval must be positive to test {count} net(s), not {param.test_interval}")
    if generic:
        own += [(generic, getattr(param, generic))] * (count - len(own))
    nets = []
    for index, (name, source) in enumerate(own):
        origin = f"{name} file: {source}" if isinstance(source, str) else name
        log.info("Creating test net (#%d) specified by %s", index, origin)
        state = param.test_state[index] if param.test_state else caffe_pb2.NetState()
        nets.append(_build(name, source, caffe_pb2.TEST, state, net_class))
        nets[-1].debug_info = param.debug_info
    return nets


def _inline(field: str, source: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The net inside a solver's `field`; it is not upgraded, as in Caffe: old fields count for nothing."""
    old = [name for name in ("layers", "input", "input_shape", "input_dim") if getattr(source, name)]
    if old:
        problem = (
            f"{field} has {' and '.join(f'`{name}`' for name in old)}, of an older format, and a net inside "
            "a solver is not upgraded: run `caffe upgrade_solver_proto_text OLD NEW` on the solver, or write "
            f"the net into a file and name that file with `net` in the place of {field}"
        )
        if not source.layer:
            raise SolverError(problem)
        log.warning("%s; they count for nothing, as in Caffe", problem)
    net = caffe_pb2.NetParameter()
    net.CopyFrom(source)
    return net


def _build(
    field: str,
    source: str | caffe_pb2.NetParameter,
    phase: caffe_pb2.Phase,
    state: caffe_pb2.NetState,
    net_class: type[Net],
) -> Net:
    path = source if isinstance(source, str) else None
    net = read_net(source) if isinstance(source, str) else _inline(field, source)
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net.state)
    merged.MergeFrom(state)
    net.state.CopyFrom(merged)
    return net_class.from_proto(net, path)
