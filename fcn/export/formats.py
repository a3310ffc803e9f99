"""A net into a file of another framework, which is run beside caffe before it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..outputs import flush, making
from ..protocols import NetLike
from . import converters, graph
from .graph import Graph
from .needs import need

#: Gives the outputs of a file, in the order of the net's, for inputs by name.
Run = Callable[[Mapping[str, np.ndarray]], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Format:
    """A format. `write` makes the file (and others of its name), `load` runs it; `fixed`: for one size."""

    what: str
    write: Callable[[NetLike, Graph, Path], None]
    load: Callable[[Graph, Path], Run]
    fixed: bool = False


@dataclass(frozen=True)
class Agreement:
    """The largest difference between the outputs of caffe and of a file, and the largest output of caffe."""

    difference: float
    largest: float

    @property
    def relative(self) -> float:
        """The difference in units of the largest output, but of 1 where all are smaller."""
        return self.difference / max(1.0, self.largest)


def export(net: NetLike, path: Path, tolerance: float = 1e-4) -> str:
    """Write `net` in the format that the name of `path` ends in, one of FORMATS; returns a report.

    The file is run beside caffe on random images, of another size too where the net bears any, and kept where
    both agree.

    Args:
        tolerance: the largest difference allowed, see `Agreement.relative`.

    Raises:
        ValueError: another suffix, what the format needs is missing, layers that cannot be written, or
            outputs that differ.
    """
    kind = FORMATS[check_suffix(path)]
    net_graph = graph.read(net)
    path.parent.mkdir(parents=True, exist_ok=True)
    with making(path) as folder:
        made = folder / path.name
        kind.write(net, net_graph, made)
        found = compare(net, net_graph, kind.load(net_graph, made), other_size=not kind.fixed)
        if not found.relative <= tolerance:  # NaN is no agreement
            raise ValueError(
                f"{path} is not written: its outputs differ from caffe's by up to {found.difference:.3g}, "
                f"where the largest is {found.largest:.3g}; --tolerance allows {tolerance:g} of that"
            )
        for file in folder.iterdir():
            flush(file)
            file.replace(path.with_name(file.name))
    return _report(net_graph, path, kind, found)


def check_suffix(path: Path) -> str:
    """The suffix of `path`, or ValueError if it is of no format."""
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: its name has to end in {', '.join(FORMATS)}")
    return path.suffix


def compare(net: NetLike, net_graph: Graph, run: Run, other_size: bool = True) -> Agreement:
    """Run caffe and a file on the same random images, of the net's own size and of a larger one."""
    shapes = dict(net_graph.inputs)
    sizes = [shapes]
    if other_size and net_graph.any_size and set(shapes) <= set(net.inputs):
        sizes.append({n: (*s[:2], s[2] + 7, s[3] + 13) if len(s) == 4 else s for n, s in shapes.items()})
    difference = largest = 0.0
    for sized in sizes:
        inputs, ours = _forward(net, sized, list(net_graph.outputs))
        theirs = run(inputs)
        for mine, other in zip(ours, theirs, strict=True):
            if mine.shape != other.shape:
                raise ValueError(f"its output is {other.shape} where caffe's is {mine.shape}")
            difference = float(np.maximum(difference, np.abs(mine - other).max(initial=0)))
            largest = max(largest, float(np.abs(mine).max(initial=0)))
    _reshape(net, shapes)
    return Agreement(difference, largest)


def _forward(
    net: NetLike, shapes: Mapping[str, tuple[int, ...]], outputs: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """What went in and came out; a net with data layers takes what these give."""
    stream = np.random.default_rng(0)
    _reshape(net, shapes)
    inputs = {n: stream.normal(0, 60, shape).astype(np.float32) for n, shape in shapes.items()}
    for name in set(inputs) & set(net.inputs):
        net.blobs[name].data[...] = inputs[name]
    net.forward()
    for name in set(inputs) - set(net.inputs):
        inputs[name] = np.array(net.blobs[name].data, np.float32)
    return inputs, [np.array(net.blobs[name].data, np.float32) for name in outputs]


def _reshape(net: NetLike, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name in set(shapes) & set(net.inputs):
        if tuple(net.blobs[name].data.shape) != shapes[name]:
            net.blobs[name].reshape(*shapes[name])


def _report(net_graph: Graph, path: Path, kind: Format, found: Agreement) -> str:
    size = "any size" if net_graph.any_size and not kind.fixed else "the size of the net"
    shapes = ", ".join(f"{name} {shape}" for name, shape in net_graph.inputs.items())
    left_out = f"\n  left out: {', '.join(net_graph.dropped)}" if net_graph.dropped else ""
    silent = "\n  all outputs were 0: the weights are those of no trained net" if found.largest == 0 else ""
    return (
        f"  inputs: {shapes} ({size})\n  outputs: {', '.join(net_graph.outputs)}{left_out}{silent}\n"
        f"{path}: {kind.what}, {len(net_graph.layers)} layers; the largest difference to caffe is "
        f"{found.difference:.3g}, the largest output {found.largest:.3g}"
    )


# -- the formats --------------------------------------------------------------------------------------


def _write_onnx(net: NetLike, net_graph: Graph, path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        need(package, f"{path.name}: ONNX", "pip install 'caffe-fcn[onnx]'")
    from .onnx_model import write

    write(net_graph, path)


def _load_onnx(net_graph: Graph, path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: [np.asarray(x) for x in session.run(list(net_graph.outputs), dict(inputs))]


def _write_exported(net: NetLike, net_graph: Graph, path: Path) -> None:
    need("torch", f"{path.name}: torch.export", "pip install torch")
    from .torch_export import write

    write(net_graph, path)


def _load_exported(net_graph: Graph, path: Path) -> Run:
    from .torch_export import load

    return load(net_graph, path)


def _by_way_of_onnx(convert: Callable[[Path, Path, Graph], None]) -> Callable[[NetLike, Graph, Path], None]:
    def write(net: NetLike, net_graph: Graph, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "net.onnx")
            _write_onnx(net, net_graph, source)
            convert(source, path, net_graph)

    return write


#: suffix -> format.
FORMATS: Mapping[str, Format] = {
    ".onnx": Format("ONNX", _write_onnx, _load_onnx),
    ".pt2": Format("torch.export", _write_exported, _load_exported),
    ".param": Format("ncnn", _by_way_of_onnx(converters.to_ncnn), converters.load_ncnn, fixed=True),
    ".mnn": Format("MNN", _by_way_of_onnx(converters.to_mnn), converters.load_mnn, fixed=True),
}
