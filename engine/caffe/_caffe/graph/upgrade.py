"""Nets and solvers of older formats, brought to the current one (Caffe: util/upgrade_proto.cpp).

What is given is never changed: the current format is a new message, or the same one if it was current.

A net goes through these steps, each only where it is needed:

1. V0 (2013: `layers { layer { type: "conv" .. } }`) to V1.
2. V1 (2014: `layers { type: CONVOLUTION .. }`) to the current `layer { type: "Convolution" .. }`; image
   settings of its data layers to `transform_param`.
3. `input` with `input_shape` or `input_dim` to a layer of type Input.
4. `type: CROP` of the first fully convolutional nets gets the offset that Caffe's future branch finds for it.
5. BatchNorm layers with three `param` specs: no learning rate and no decay for any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...proto.caffe_pb2 import LayerParameter, NetParameter, ParamSpec, SolverParameter, V1LayerParameter
from ..errors import NetError, SolverError
from ..formats import fork_settings
from ..log import log
from .crop_offsets import with_offsets
from .filter import without_fields
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
_INPUT_FIELDS = ("input", "input_shape", "input_dim")
_INPUT_AXES = 4  # numbers of `input_dim` per input


def net_needs_upgrade(net: NetParameter) -> bool:
    """Whether any of the steps has something to do (a frozen three-param BatchNorm counts, as in Caffe)."""
    return bool(net.layers or net.input or any(map(_is_old_batch_norm, net.layer)))


def upgrade_net(net: NetParameter, source: str = "") -> tuple[NetParameter, bool]:
    """`net` in the current format.

    Args:
        source: the file it comes from, for the messages.

    Returns:
        The net (the same message if it is current, so that its blobs are not copied), and False if a V0
        layer has a setting that does not fit its type: it is logged and dropped.

    Raises:
        NetError: `layer` together with `layers`, an unknown V0 type, a misplaced V0 padding layer,
            inputs without their dims, or a CROP whose offset cannot be told.
    """
    name = source or "the net"
    complete = True
    if any(layer.HasField("layer") for layer in net.layers):
        log.info("Upgrading %s from the format of 2013 (V0LayerParameter)", name)
        try:
            net, complete = v0_to_v1(net)
        except NetError as error:
            raise NetError(f"{name}: {error}") from error
        if not complete:
            log.error("Some settings of %s could not be upgraded (see above): continuing without them", name)
    if any(map(_has_image_settings, net.layers)):
        log.info("Upgrading the image settings of %s to transform_param", name)
    is_v1 = bool(net.layers)
    if is_v1:
        log.info("Upgrading %s from the format of 2014 (V1LayerParameter)", name)
        net = _v1_to_current(net, name)
    if net.input:
        log.info("Upgrading the input fields of %s to an Input layer", name)
        net = _inputs_to_layer(net, name)
    if is_v1:
        net = with_offsets(net)
    if any(map(_is_old_batch_norm, net.layer)):
        net = _freeze_batch_norm(net)
    return net, complete


def solver_needs_upgrade(solver: SolverParameter) -> bool:
    """Whether the solver says `solver_type: ADAM` and not `type: "Adam"`."""
    return solver.HasField("solver_type")


def upgrade_solver(solver: SolverParameter, source: str = "") -> SolverParameter:
    """`solver` with `type` in place of `solver_type`; nets inside it are left as they are (Caffe does too).

    Returns:
        The same message if it is current.

    Raises:
        SolverError: both fields are set.
    """
    if not solver_needs_upgrade(solver):
        return solver
    if solver.HasField("type"):
        raise SolverError(
            f"{source or 'the solver'}: solver_type (old, an enum) and type (a string) are both set; "
            f'keep type: "{solver.type}"'
        )
    result = SolverParameter()
    result.CopyFrom(solver)
    result.type = SOLVER_TYPES[SolverParameter.SolverType.Name(solver.solver_type)]
    result.ClearField("solver_type")
    return result


def inline_nets(solver: SolverParameter) -> list[tuple[str, NetParameter]]:
    """The nets that are written inside a solver, each with the name of its field."""
    single = [name for name in ("net_param", "train_net_param") if solver.HasField(name)]
    found = [(name, getattr(solver, name)) for name in single]
    return found + [("test_net_param", net) for net in solver.test_net_param]


def upgrade_inline_nets(solver: SolverParameter, source: str = "") -> tuple[SolverParameter, bool]:
    """`solver` with the nets inside it in the current format: what a solver itself does not do to them.

    Returns:
        The solver (the same message if they are current), and False if settings of V0 layers are lost.

    Raises:
        NetError: see `upgrade_net`.
    """
    if not any(net_needs_upgrade(net) for _, net in inline_nets(solver)):
        return solver, True
    result = SolverParameter()
    result.CopyFrom(solver)
    complete = True
    for name, net in inline_nets(result):
        upgraded, kept = upgrade_net(net, f"{source}: {name}")
        net.CopyFrom(upgraded)
        complete = complete and kept
    return result, complete


# ---- V1 ------------------------------------------------------------------------------------------


def _has_image_settings(layer: V1LayerParameter) -> bool:
    source = _image_source(layer)
    return source is not None and any(map(getattr(layer, source).HasField, _IMAGE_FIELDS))


def _image_source(layer: V1LayerParameter) -> str | None:
    return _IMAGE_SOURCES.get(V1LayerParameter.LayerType.Name(layer.type))


def _v1_to_current(net: NetParameter, name: str) -> NetParameter:
    if net.layer:
        raise NetError(
            f"{name} has both 'layer' ('{net.layer[0].name}', ..) and 'layers' ('{net.layers[0].name}', ..) "
            'fields; write all of them as layer { type: "ReLU" .. }, none as layers { type: RELU .. }'
        )
    result = without_fields(net, "layers")
    for old in net.layers:
        _copy_v1_layer(old, result.layer.add())
    return result


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
    for present, value in old.ListFields():
        if present.name.endswith("_param"):
            getattr(new, present.name).CopyFrom(value)
    settings = fork_settings.read(old)
    if "type" in settings:  # one that the format of 2014 has no number for
        new.type = settings.pop("type")
    fork_settings.write(new, settings)
    source = _image_source(old)
    if source is not None:
        _image_settings_to_transform(getattr(new, source), new)


def _image_settings_to_transform(settings: Any, layer: LayerParameter) -> None:
    for field in filter(settings.HasField, _IMAGE_FIELDS):
        setattr(layer.transform_param, field, getattr(settings, field))
        settings.ClearField(field)


def _param_spec(layer: LayerParameter, index: int) -> ParamSpec:
    while len(layer.param) <= index:
        layer.param.add()
    return layer.param[index]


# ---- inputs and BatchNorm ------------------------------------------------------------------------


def _inputs_to_layer(net: NetParameter, name: str) -> NetParameter:
    """Names without any shape are just dropped: weight files of old have them."""
    result = without_fields(net, "layer", *_INPUT_FIELDS)
    if net.input_shape or net.input_dim:
        layer = result.layer.add(name="input", type="Input", top=net.input)
        for index, blob in enumerate(net.input):
            layer.input_param.shape.add().dim.extend(_input_dims(net, index, blob, name))
    result.layer.extend(net.layer)
    return result


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


def _freeze_batch_norm(net: NetParameter) -> NetParameter:
    result = NetParameter()
    result.CopyFrom(net)
    for layer in filter(_is_old_batch_norm, result.layer):
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0
    return result


def _is_old_batch_norm(layer: LayerParameter) -> bool:
    return layer.type == "BatchNorm" and len(layer.param) == 3
