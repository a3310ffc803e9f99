"""Nets and solvers of older formats, brought to the current one (Caffe: util/upgrade_proto.cpp).

A net goes through these steps, each only where it is needed:

1. V0 (2013: `layers { layer { type: "conv" .. } }`) to V1.
2. V1's image settings in data layers to `transform_param`.
3. V1 (2014: `layers { type: CONVOLUTION .. }`) to the current `layer { type: "Convolution" .. }`.
4. `input` with `input_shape` or `input_dim` to a layer of type Input.
5. BatchNorm layers with three `param` specs: no learning rate and no decay for any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...proto.caffe_pb2 import LayerParameter, NetParameter, ParamSpec, SolverParameter, V1LayerParameter
from ..errors import NetError, SolverError
from ..log import log
from .upgrade_v0 import v0_to_v1

V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
    "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN",
    "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SLICE": "Slice",
    "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "TANH": "TanH",
    "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip
SOLVER_TYPES = {
    "SGD": "SGD", "NESTEROV": "Nesterov", "ADAGRAD": "AdaGrad", "RMSPROP": "RMSProp", "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}  # fmt: skip
_IMAGE_SOURCES = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_IMAGE_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_SPEC_LISTS = (
    ("param", "name"),
    ("blob_share_mode", "share_mode"),
    ("blobs_lr", "lr_mult"),
    ("weight_decay", "decay_mult"),
)
_INPUT_AXES = 4  # numbers of `input_dim` per input


def net_needs_upgrade(net: NetParameter) -> bool:
    """Whether any of the steps has something to do (a frozen three-param BatchNorm counts, as in Caffe)."""
    return bool(net.layers or net.input or any(map(_is_old_batch_norm, net.layer)))


def upgrade_net(net: NetParameter, source: str = "") -> bool:
    """Bring `net` to the current format, in place; a current net is not touched (nor its blobs copied).

    Args:
        source: the file it comes from, for the messages.

    Returns:
        False if a V0 layer has a setting that does not fit its type: it is logged and dropped.

    Raises:
        NetError: `layer` together with `layers`, an unknown V0 type, a misplaced V0 padding layer, or
            inputs without their dims.
    """
    name = source or "the net"
    complete = True
    if any(layer.HasField("layer") for layer in net.layers):
        log.info("Upgrading %s from the format of 2013 (V0LayerParameter)", name)
        complete = v0_to_v1(net)
        if not complete:
            log.error("Some settings of %s could not be upgraded (see above): continuing without them", name)
    if any(map(_has_image_settings, net.layers)):
        log.info("Upgrading the image settings of %s to transform_param", name)
        for layer in net.layers:
            _image_settings_to_transform(layer)
    if net.layers:
        log.info("Upgrading %s from the format of 2014 (V1LayerParameter)", name)
        _v1_to_current(net, name)
    if net.input:
        log.info("Upgrading the input fields of %s to an Input layer", name)
        _inputs_to_layer(net, name)
    for layer in filter(_is_old_batch_norm, net.layer):
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0
    return complete


def solver_needs_upgrade(solver: SolverParameter) -> bool:
    """Whether the solver says `solver_type: ADAM` and not `type: "Adam"`."""
    return solver.HasField("solver_type")


def upgrade_solver(solver: SolverParameter, source: str = "") -> bool:
    """Replace `solver_type` by `type`, in place; nets given inline are left as they are (Caffe does too).

    Returns:
        True: a solver can always be upgraded.

    Raises:
        SolverError: both fields are set.
    """
    if not solver_needs_upgrade(solver):
        return True
    if solver.HasField("type"):
        raise SolverError(
            f"{source or 'the solver'}: solver_type (old, an enum) and type (a string) are both set; "
            f'keep type: "{solver.type}"'
        )
    solver.type = SOLVER_TYPES[SolverParameter.SolverType.Name(solver.solver_type)]
    solver.ClearField("solver_type")
    return True


# ---- V1 ------------------------------------------------------------------------------------------


def _has_image_settings(layer: V1LayerParameter) -> bool:
    settings = _image_source(layer)
    return settings is not None and any(map(settings.HasField, _IMAGE_FIELDS))


def _image_source(layer: V1LayerParameter) -> Any:
    field = _IMAGE_SOURCES.get(V1LayerParameter.LayerType.Name(layer.type))
    return getattr(layer, field) if field else None


def _image_settings_to_transform(layer: V1LayerParameter) -> None:
    settings = _image_source(layer)
    if settings is None:
        return
    for field in filter(settings.HasField, _IMAGE_FIELDS):
        setattr(layer.transform_param, field, getattr(settings, field))
        settings.ClearField(field)


def _v1_to_current(net: NetParameter, name: str) -> None:
    if net.layer:
        raise NetError(
            f"{name} has both 'layer' ('{net.layer[0].name}', ..) and 'layers' ('{net.layers[0].name}', ..) "
            'fields; write all of them as layer { type: "ReLU" .. }, none as layers { type: RELU .. }'
        )
    for old in net.layers:
        _copy_v1_layer(old, net.layer.add())
    net.ClearField("layers")


def _copy_v1_layer(old: V1LayerParameter, new: LayerParameter) -> None:
    if old.HasField("name"):
        new.name = old.name
    if old.HasField("type"):
        new.type = V1_TYPES[V1LayerParameter.LayerType.Name(old.type)]
    for field in ("bottom", "top", "include", "exclude", "blobs", "loss_weight"):
        getattr(new, field).MergeFrom(getattr(old, field))
    for field, setting in _SPEC_LISTS:
        for i, value in enumerate(getattr(old, field)):
            setattr(_param_spec(new, i), setting, value)
    for field, value in old.ListFields():
        if field.name.endswith("_param"):
            getattr(new, field.name).CopyFrom(value)


def _param_spec(layer: LayerParameter, index: int) -> ParamSpec:
    while len(layer.param) <= index:
        layer.param.add()
    return layer.param[index]


# ---- inputs and BatchNorm ------------------------------------------------------------------------


def _inputs_to_layer(net: NetParameter, name: str) -> None:
    """Names without any shape are just dropped: weight files of old have them."""
    if net.input_shape or net.input_dim:
        layer = LayerParameter(name="input", type="Input", top=net.input)
        for index, blob in enumerate(net.input):
            layer.input_param.shape.add().dim.extend(_input_dims(net, index, blob, name))
        net.layer.insert(0, layer)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _input_dims(net: NetParameter, index: int, blob: str, name: str) -> Sequence[int]:
    if net.input_shape:
        if index >= len(net.input_shape):
            raise NetError(
                f"{name}: input '{blob}' has no input_shape: {len(net.input)} inputs, "
                f"{len(net.input_shape)} shapes; give one input_shape {{ dim: .. }} per input"
            )
        return net.input_shape[index].dim
    dims = net.input_dim[_INPUT_AXES * index : _INPUT_AXES * (index + 1)]
    if len(dims) != _INPUT_AXES:
        raise NetError(
            f"{name}: input '{blob}' needs {_INPUT_AXES} input_dim numbers, {len(dims)} are left: "
            f"{len(net.input)} inputs, {len(net.input_dim)} numbers; "
            "other than four axes need input_shape { dim: .. }"
        )
    return dims


def _is_old_batch_norm(layer: LayerParameter) -> bool:
    return layer.type == "BatchNorm" and len(layer.param) == 3
