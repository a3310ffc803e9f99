"""Net: layers over named blobs, run in file order; made as a plan says, shown as pycaffe shows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TypeVar

import numpy as np
import torch

from ..proto import caffe_pb2
from . import device, weights
from .blob import Blob, BlobVec, DtypeVec, IntVec, LayerVec, Layout, StringVec, make_blob
from .errors import CaffeError
from .fast.runner import Runner
from .formats import files
from .graph.backward import plan_backward
from .graph.filter import filter_net
from .graph.plan import LayerPlan, Plan
from .graph.read import read_net
from .graph.sharing import share_parameters
from .graph.splits import insert_splits
from .graph.wiring import wire
from .layer import Layer, TakesArrays
from .log import log
from .naming import naming, naming_file
from .reference import Callback
from .registry import create, layer_classes
from .watch import debug, shown

AnyNet = TypeVar("AnyNet", bound="Net")


class _Level(int):
    """An int that is told from the same one given by a user."""


_NO_LEVEL = _Level(0)


class Net:
    """A network of layers (Caffe's Net and the raw half of pycaffe's).

    Args:
        network_file: a prototxt.
        phase: `TRAIN` (0) or `TEST` (1).
        level, stages: the rest of the NetState that include/exclude rules ask about.
        weights: a caffemodel (binary or HDF5) to load.

    Raises:
        RuntimeError: a file cannot be opened.
        NetError, LayerError, ParseError: what is wrong in the file, and where.
    """

    #: what the net is: its layers over numbered blobs, its parameters, who runs backward
    plan: Plan
    #: what runs the plan, with the layers and the blobs
    runner: Runner
    #: the blobs of `plan.learnable`
    learnable: tuple[Blob, ...]

    def __init__(
        self,
        network_file: str,
        phase: int,
        level: int = _NO_LEVEL,
        stages: Sequence[str] | None = None,
        weights: str | None = None,
    ) -> None:
        if isinstance(phase, str) and level is not _NO_LEVEL and stages is None and weights is None:
            # pycaffe's deprecated order: Net(network_file, weights_file, phase)
            log.warning("DEPRECATION WARNING - deprecated use of Python interface")
            log.warning('Use this instead (with the named "weights" parameter):')
            log.warning("Net('%s', %s, weights='%s')", network_file, level, phase)
            phase, level, weights = level, 0, phase
        _check_types(network_file, phase, level, weights)
        for path in (network_file, weights):
            if path is not None:
                files.check_readable(path)
        param = read_net(network_file)
        param.state.phase = caffe_pb2.TRAIN if phase == caffe_pb2.TRAIN else caffe_pb2.TEST
        param.state.level = level
        for stage in stages or ():
            if not isinstance(stage, str):
                raise TypeError(f"stages are strings, not {type(stage).__name__}: {stages!r}")
            param.state.stage.append(stage)
        with naming_file(network_file):
            self._build(param)
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_proto(cls: type[AnyNet], param: caffe_pb2.NetParameter, path: str | None = None) -> AnyNet:
        """A net from a message, such as `NetSpec.to_proto` makes.

        Args:
            param: in today's format, its `state` set: phase, level and stages choose the layers. It is not
                changed.
            path: where it was read, for messages.

        Raises:
            NetError, LayerError: what is wrong in the net, and where.
        """
        net = cls.__new__(cls)
        with naming_file(path) if path else nullcontext():
            net._build(param)
        return net

    # ---- construction ------------------------------------------------------------------------

    def _build(self, param: caffe_pb2.NetParameter) -> None:
        filtered = filter_net(param, param.state)
        if device.root_solver():
            log.info("Initializing net from parameters: \n%s", filtered)
        text = insert_splits(filtered)
        plan = wire(text, layer_classes(text.layer))
        layout = Layout()
        blobs = [make_blob(layout=layout) for _ in plan.blob_names]
        layers: list[Layer] = []
        try:
            _set_up_layers(plan, blobs, layers)
            plan = share_parameters(plan, [[blob.dims for blob in layer.blobs] for layer in layers])
        except BaseException:  # whose traceback would keep the data layers' threads and files
            for layer in layers:
                layer.close()
            raise
        _share_memory(plan, layers)
        plan = plan_backward(plan, _forced(plan, layers) if param.force_backward else None)
        for planned, layer in zip(plan.layers, layers):
            layer.param_flags = list(planned.param_flags)
            for blob in layer.blobs:
                blob.layout = layout
        self.plan = plan
        self.runner = Runner(plan, layers, blobs, layout)
        self.learnable = tuple(layers[owner.layer].blobs[owner.index] for owner in plan.learnable)
        self._trace = debug.Trace(plan, self.runner.layers, self.runner.blobs)
        self.debug_info = param.debug_info
        debug.log_plan(plan)
        log.info("Network initialization done.")

    @property
    def debug_info(self) -> bool:
        """Whether each pass logs what every layer leaves."""
        return self._trace.forward in self.runner.hooks.after_forward

    @debug_info.setter
    def debug_info(self, wanted: bool) -> None:
        if wanted == self.debug_info:
            return
        hooks, trace = self.runner.hooks, self._trace
        for calls, call in ((hooks.after_forward, trace.forward), (hooks.after_backward, trace.backward)):
            if wanted:
                calls.insert(0, call)
            else:
                calls.remove(call)

    # ---- running -----------------------------------------------------------------------------

    def _forward(self, start: int, end: int) -> float:
        """Run layers `start` to `end`, both included; returns the weighted sum of the losses."""
        return self.runner.forward(start, end)

    def _backward(self, start: int, end: int) -> None:
        """Run layers `start` down to `end`, both included, backward."""
        self.runner.backward(start, end)

    def reshape(self) -> None:
        """Propagate the inputs' present shapes through all layers."""
        self.runner.reshape()

    def clear_param_diffs(self) -> None:
        """Zero the gradients of the learnable parameters."""
        keep = not device.checkpointing()  # which trades time for memory
        for blob in self.learnable:
            blob.zero_grad(keep)

    def before_forward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` before each layer's forward."""
        self.runner.hooks.before_forward.append(callback)

    def after_forward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` after each layer's forward."""
        self.runner.hooks.after_forward.append(callback)

    def before_backward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` before each layer's backward."""
        self.runner.hooks.before_backward.append(callback)

    def after_backward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` after each layer's backward."""
        self.runner.hooks.after_backward.append(callback)

    # ---- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the threads, files and databases of the data layers now.

        A net that nobody holds any more does this by itself. Blobs and parameters stay; a forward through
        a closed layer raises `LayerError`. `with caffe.Net(...) as net:` closes at the end of the block.
        """
        for layer in self.runner.layers:
            layer.close()

    def __enter__(self) -> Net:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- weights -----------------------------------------------------------------------------

    def _targets(self) -> list[weights.LoadTarget]:
        owned = {(parameter.layer, parameter.index) for parameter in self.plan.learnable}
        return [
            weights.LoadTarget(
                planned.name,
                layer.type,
                list(layer.blobs),
                [(number, index) in owned for index in range(len(layer.blobs))],
            )
            for number, (planned, layer) in enumerate(zip(self.plan.layers, self.runner.layers))
        ]

    def copy_from(self, path: str) -> None:
        """Load parameters by layer name from a caffemodel, binary or HDF5.

        Raises:
            WeightsError: the file is missing or broken, or a layer's blobs do not fit.
        """
        weights.load(files.name(path), self._targets())

    def share_with(self, other: Net) -> None:
        """Use the parameter data of `other`'s layers of the same names from now on; diffs stay apart."""
        if not isinstance(other, Net):
            raise TypeError(f"share_with: a Net is needed, not {type(other).__name__}")
        weights.share(other._targets(), self._targets())

    def save(self, path: str, with_diff: bool = False) -> None:
        """Write a binary caffemodel."""
        weights.save_binary(files.name(path), self.plan.name, self._saved_layers(), with_diff)

    def save_hdf5(self, path: str, with_diff: bool = False) -> None:
        """Write an HDF5 caffemodel."""
        weights.save_hdf5(files.name(path), self._targets(), with_diff)

    def load_hdf5(self, path: str) -> None:
        """Load an HDF5 caffemodel."""
        weights.load_hdf5(files.name(path), self._targets())

    def _saved_layers(self) -> list[tuple[caffe_pb2.LayerParameter, list[Blob]]]:
        layers = zip(self.plan.layers, self.runner.layers)
        return [(planned.param, list(layer.blobs)) for planned, layer in layers]

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed a net whose first layer takes arrays (MemoryData); they are referenced, not copied.

        Args:
            data: (N, C, H, W) float32, C-contiguous; N a multiple of the layer's batch size.
            labels: (N,) or (N, 1, 1, 1) float32.

        Raises:
            RuntimeError: the arrays do not fit, or the first layer takes none.
        """
        layer = next(iter(self.runner.layers), None)
        if not isinstance(layer, TakesArrays):
            raise CaffeError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        layer.set_arrays(data, labels)

    # ---- what pycaffe shows of it --------------------------------------------------------------

    def _repr_html_(self) -> str:
        """What a notebook shows: the layers, with the shapes of blobs and parameters."""
        return shown.net_html(self.plan, self.runner.layers, self.runner.blobs)

    @property
    def layers(self) -> LayerVec[Layer]:
        """The layers in the order they run, automatic splits included."""
        return LayerVec(self.runner.layers)

    @property
    def _blobs(self) -> BlobVec:
        return BlobVec(self.runner.blobs)

    @property
    def _blob_names(self) -> StringVec:
        return StringVec(self.plan.blob_names)

    @property
    def _layer_names(self) -> StringVec:
        return StringVec(layer.name for layer in self.plan.layers)

    @property
    def _blob_loss_weights(self) -> DtypeVec:
        return DtypeVec(self.plan.blob_loss_weights)

    @property
    def _inputs(self) -> IntVec:
        return IntVec(self.plan.inputs)

    @property
    def _outputs(self) -> IntVec:
        return IntVec(self.plan.outputs)

    def _bottom_ids(self, index: int) -> IntVec:
        self.plan.check_range(index, index)
        return IntVec(self.plan.layers[index].bottoms)

    def _top_ids(self, index: int) -> IntVec:
        self.plan.check_range(index, index)
        return IntVec(self.plan.layers[index].tops)


def _set_up_layers(plan: Plan, blobs: Sequence[Blob], layers: list[Layer]) -> None:
    """Fill `layers` with the plan's, set up in the order they run; their tops get shapes."""
    used = 0
    with torch.no_grad():
        for number, planned in enumerate(plan.layers):
            layer = create(planned.param)
            debug.log_connections(plan, number)
            bottom, top = ([blobs[i] for i in ids] for ids in (planned.bottoms, planned.tops))
            _set_up(layer, planned, bottom, top)
            layers.append(layer)
            used = debug.log_tops(planned, top, used)


def _set_up(layer: Layer, planned: LayerPlan, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
    with naming(planned.param):
        for proto in planned.param.blobs:
            blob = make_blob()
            weights.read_blob_proto(proto, blob)
            layer.blobs.append(blob)
        layer.setup(bottom, top)
        layer.reshape(bottom, top)
    for blob, weight in zip(top, planned.loss_weights):
        if weight:
            blob.diff[...] = weight


def _share_memory(plan: Plan, layers: Sequence[Layer]) -> None:
    for sharer in plan.parameters:
        if sharer.owner is not None:
            owner = plan.parameters[sharer.owner]
            blob, source = (layers[p.layer].blobs[p.index] for p in (sharer, owner))
            blob.share_data(source)
            blob.share_diff(source)


def _forced(plan: Plan, layers: Sequence[Layer]) -> list[list[bool]]:
    """For each layer and bottom, whether `force_backward` may ask for the gradient."""
    return [
        [layer.allow_force_backward(index) for index in range(len(planned.bottoms))]
        for planned, layer in zip(plan.layers, layers)
    ]


def _check_types(network_file: object, phase: object, level: object, weights_file: object) -> None:
    for name, value, kinds in (
        ("network_file", network_file, (str, os.PathLike)),
        ("phase", phase, (int,)),
        ("level", level, (int,)),
        ("weights", weights_file, (str, os.PathLike, type(None))),
    ):
        if not isinstance(value, kinds):
            raise TypeError(
                f"Net(network_file, phase, level=0, stages=None, weights=None): {name} is "
                f"{type(value).__name__}"
            )
