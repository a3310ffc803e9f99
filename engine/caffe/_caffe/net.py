"""Net: layers over named blobs, run in file order. The reference path; it defines the numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..proto import caffe_pb2
from . import device, weights
from .blob import Blob, BlobVec, DtypeVec, IntVec, LayerVec, StringVec, make_blob
from .errors import CaffeError, NetError
from .formats import files
from .graph import filter as state_filter
from .graph import splits, wiring
from .graph.read import read_net
from .log import log
from .naming import naming, naming_file
from .registry import create, layer_class
from .watch import debug

if TYPE_CHECKING:
    from .layer import Layer

Callback = Callable[[int], None]


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
        param.state.phase = caffe_pb2.TRAIN if phase == 0 else caffe_pb2.TEST
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
    def from_proto(cls, param: caffe_pb2.NetParameter, path: str | None = None) -> Net:
        """A net from a message whose `state` is set already; `path` is where it was read, for messages."""
        net = cls.__new__(cls)
        with naming_file(path) if path else nullcontext():
            net._build(param)
        return net

    # ---- construction ------------------------------------------------------------------------

    def _build(self, param: caffe_pb2.NetParameter) -> None:
        self._phase = param.state.phase
        filtered = state_filter.filter_net(param, param.state)
        if device.root_solver():
            log.info("Initializing net from parameters: \n%s", filtered)
        self._param = splits.insert_splits(filtered)
        self._name = param.name
        for layer in self._param.layer:
            if not layer.HasField("phase"):
                layer.phase = self._phase
        classes = [layer_class(layer) for layer in self._param.layer]
        self._wiring = wiring.connect(self._param, classes)
        # As written: the lr_mult 0 that BatchNorm gives itself stops its update, not its backward.
        self._lr_mults = [[spec.lr_mult for spec in layer.param] for layer in self._param.layer]
        self._blob_list = [make_blob() for _ in self._wiring.blob_names]
        self._layer_list: list[Layer] = []
        self._data_bytes = 0
        self._loss_weights: list[list[float]] = []
        self._callbacks: dict[str, list[Callback]] = {
            key: [] for key in ("before_forward", "after_forward", "before_backward", "after_backward")
        }
        self.debug_info = param.debug_info
        try:
            with torch.no_grad():
                for number in range(len(self._param.layer)):
                    self._add_layer(number)
            self._register_params()
            self._plan()
        except BaseException:  # whose traceback would keep the data layers' threads and files
            self.close()
            raise
        debug.log_plan(self)
        log.info("Network initialization done.")

    def _add_layer(self, number: int) -> None:
        param = self._param.layer[number]
        bottom, top = self._bottom(number), self._top(number)
        layer = create(param)
        if layer.is_loss and not param.loss_weight:
            param.loss_weight.append(1.0)
        debug.log_connections(self, number)
        with naming(param):
            for proto in param.blobs:
                blob = make_blob()
                weights.read_blob_proto(proto, blob)
                layer.blobs.append(blob)
            layer.setup(bottom, top)
            layer.reshape(bottom, top)
        self._layer_list.append(layer)
        self._loss_weights.append(self._set_loss_weights(param, top))
        self._data_bytes = debug.log_tops(self, number, self._data_bytes)

    @staticmethod
    def _set_loss_weights(param: caffe_pb2.LayerParameter, top: Sequence[Blob]) -> list[float]:
        given = list(param.loss_weight)
        if not given:
            return [0.0] * len(top)
        if len(given) != len(top):
            raise NetError(
                f"layer '{param.name}' ({param.type}): loss_weight must be unspecified or specified once per "
                f"top: {len(given)} given, {len(top)} top(s)"
            )
        for blob, weight in zip(top, given):
            if weight:
                blob.diff[...] = weight
        return given

    def _register_params(self) -> None:
        shapes = [[blob.dims for blob in layer.blobs] for layer in self._layer_list]
        specs = [layer.layer_param for layer in self._layer_list]
        self._params = wiring.share_parameters(specs, shapes)
        blobs = [blob for layer in self._layer_list for blob in layer.blobs]
        for parameter, blob in zip(self._params, blobs):
            if parameter.owner is not None:
                blob.share_data(blobs[parameter.owner])
                blob.share_diff(blobs[parameter.owner])
        self._learnable = [(p, b) for p, b in zip(self._params, blobs) if p.owner is None]

    def _plan(self) -> None:
        lr_mults = [
            given + [1.0] * (len(layer.blobs) - len(given))
            for given, layer in zip(self._lr_mults, self._layer_list)
        ]
        self._backward_plan = wiring.plan_backward(
            self._param, self._wiring, self._loss_weights, lr_mults, self._layer_list
        )
        for number, layer in enumerate(self._layer_list):
            layer.param_flags = self._backward_plan.params[number]
            layer.wants_gradient = self._backward_plan.layers[number]

    def _bottom(self, number: int) -> list[Blob]:
        return [self._blob_list[blob] for blob in self._wiring.bottom_ids[number]]

    def _top(self, number: int) -> list[Blob]:
        return [self._blob_list[blob] for blob in self._wiring.top_ids[number]]

    # ---- running -----------------------------------------------------------------------------

    def _forward(self, start: int, end: int) -> float:
        """Run layers `start` to `end`, both included; returns the weighted sum of the losses."""
        self._check_range(start, end)
        trace = debug.ForwardTrace(self) if self.debug_info else None
        loss: torch.Tensor | float = 0.0
        with torch.no_grad():
            for number in range(start, end + 1):
                self._call("before_forward", number)
                loss = loss + self._forward_layer(number)
                if trace:
                    trace.layer(number)
                self._call("after_forward", number)
        return float(loss)

    def _forward_layer(self, number: int) -> torch.Tensor | float:
        layer, bottom, top = self._layer_list[number], self._bottom(number), self._top(number)
        with naming(self._param.layer[number]):
            layer.reshape(bottom, top)
            layer.forward(bottom, top)
        loss: torch.Tensor | float = 0.0
        for blob, weight in zip(top, self._loss_weights[number]):
            if weight:
                loss = loss + torch.dot(blob.value.reshape(-1), blob.grad.reshape(-1))
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Run layers `start` down to `end`, both included, backward."""
        self._check_range(end, start)
        trace = debug.BackwardTrace(self) if self.debug_info else None
        with torch.no_grad():
            for number in range(start, end - 1, -1):
                self._call("before_backward", number)
                if self._backward_plan.layers[number]:
                    self._backward_layer(number)
                    if trace:
                        trace.layer(number)
                self._call("after_backward", number)

    def _backward_layer(self, number: int) -> None:
        flags = self._backward_plan.bottoms[number]
        with naming(self._param.layer[number]):
            self._layer_list[number].backward(self._top(number), flags, self._bottom(number))

    def _check_range(self, first: int, last: int) -> None:
        if first < 0 or last >= len(self._layer_list) or not self._layer_list:
            raise NetError(f"layers {first} to {last}: this net has {len(self._layer_list)} layer(s)")

    def _call(self, when: str, number: int) -> None:
        for callback in self._callbacks[when]:
            callback(number)

    def reshape(self) -> None:
        """Propagate the inputs' present shapes through all layers."""
        with torch.no_grad():
            for number, layer in enumerate(self._layer_list):
                with naming(self._param.layer[number]):
                    layer.reshape(self._bottom(number), self._top(number))

    def clear_param_diffs(self) -> None:
        """Zero the gradients of the learnable parameters."""
        for _, blob in self._learnable:
            blob.zero_grad()

    def before_forward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` before each layer's forward."""
        self._callbacks["before_forward"].append(callback)

    def after_forward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` after each layer's forward."""
        self._callbacks["after_forward"].append(callback)

    def before_backward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` before each layer's backward."""
        self._callbacks["before_backward"].append(callback)

    def after_backward(self, callback: Callback) -> None:
        """Call `callback(layer_index)` after each layer's backward."""
        self._callbacks["after_backward"].append(callback)

    # ---- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the threads, files and databases of the data layers now.

        A net that nobody holds any more does this by itself. Blobs and parameters stay; a forward through
        a closed layer raises `LayerError`. `with caffe.Net(...) as net:` closes at the end of the block.
        """
        for layer in self._layer_list:
            layer.close()

    def __enter__(self) -> Net:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- weights -----------------------------------------------------------------------------

    def _targets(self) -> list[weights.LoadTarget]:
        owners = iter(self._params)
        return [
            weights.LoadTarget(
                layer.layer_param.name,
                layer.type,
                list(layer.blobs),
                [next(owners).owner is None for _ in layer.blobs],
            )
            for layer in self._layer_list
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
        weights.save_binary(files.name(path), self._name, self._saved_layers(), with_diff)

    def save_hdf5(self, path: str, with_diff: bool = False) -> None:
        """Write an HDF5 caffemodel."""
        weights.save_hdf5(files.name(path), self._targets(), with_diff)

    def load_hdf5(self, path: str) -> None:
        """Load an HDF5 caffemodel."""
        weights.load_hdf5(files.name(path), self._targets())

    def _saved_layers(self) -> list[tuple[caffe_pb2.LayerParameter, list[Blob]]]:
        return [(layer.layer_param, list(layer.blobs)) for layer in self._layer_list]

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed a net whose first layer is MemoryData from arrays; they are referenced, not copied.

        Args:
            data: (N, C, H, W) float32, C-contiguous; N a multiple of the layer's batch size.
            labels: (N,) or (N, 1, 1, 1) float32.

        Raises:
            RuntimeError: the arrays do not fit, or the first layer is no MemoryData.
        """
        layer = self._layer_list[0] if self._layer_list else None
        if layer is None or layer.type != "MemoryData":
            raise CaffeError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        layer.set_arrays(data, labels)  # type: ignore[attr-defined]

    # ---- what pycaffe shows of it --------------------------------------------------------------

    @property
    def layers(self) -> LayerVec:
        """The layers in the order they run, automatic splits included."""
        return LayerVec(self._layer_list)

    @property
    def _blobs(self) -> BlobVec:
        return BlobVec(self._blob_list)

    @property
    def _blob_names(self) -> StringVec:
        return StringVec(self._wiring.blob_names)

    @property
    def _layer_names(self) -> StringVec:
        return StringVec(layer.name for layer in self._param.layer)

    @property
    def _blob_loss_weights(self) -> DtypeVec:
        found = [0.0] * len(self._blob_list)
        for ids, given in zip(self._wiring.top_ids, self._loss_weights):
            for blob, weight in zip(ids, given):
                found[blob] = weight  # 0 too: who works in place on a loss takes its weight from the list
        return DtypeVec(found)

    @property
    def _inputs(self) -> IntVec:
        return IntVec(self._wiring.inputs)

    @property
    def _outputs(self) -> IntVec:
        return IntVec(self._wiring.outputs)

    def _bottom_ids(self, index: int) -> IntVec:
        self._check_range(index, index)
        return IntVec(self._wiring.bottom_ids[index])

    def _top_ids(self, index: int) -> IntVec:
        self._check_range(index, index)
        return IntVec(self._wiring.top_ids[index])


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
