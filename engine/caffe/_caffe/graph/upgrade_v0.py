"""The first format (2013) to the second: V0 layers, one flat list of settings each, to V1 layers.

Kept by the net are its name, layers, input names and dims, and `force_backward`; include and exclude
rules are lost, as in Caffe.
"""

from __future__ import annotations

from typing import Any

from ...proto.caffe_pb2 import NetParameter, V0LayerParameter, V1LayerParameter
from ..errors import NetError
from ..log import log
from .bottoms import unknown_bottom

PADDING = "padding"
#: V0 type -> V1 type
V0_TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN", "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT", "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING", "relu": "RELU",
    "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS", "split": "SPLIT",
    "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip
#: V0 type -> the V1 message of its settings
_MESSAGES = {
    "concat": "concat_param", "conv": "convolution_param", "data": "data_param", "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param", "hdf5_output": "hdf5_output_param", "images": "image_data_param",
    "infogain_loss": "infogain_loss_param", "innerproduct": "inner_product_param", "lrn": "lrn_param",
    "pool": "pooling_param", "window_data": "window_data_param",
}  # fmt: skip
#: V0 field -> the field it becomes in the message of each of these types
_FIELDS = {
    "num_output": ("num_output", ("conv", "innerproduct")),
    "biasterm": ("bias_term", ("conv", "innerproduct")),
    "weight_filler": ("weight_filler", ("conv", "innerproduct")),
    "bias_filler": ("bias_filler", ("conv", "innerproduct")),
    "pad": ("pad", ("conv", "pool")),
    "kernelsize": ("kernel_size", ("conv", "pool")),
    "group": ("group", ("conv",)),
    "stride": ("stride", ("conv", "pool")),
    "pool": ("pool", ("pool",)),
    "dropout_ratio": ("dropout_ratio", ("dropout",)),
    "local_size": ("local_size", ("lrn",)),
    "alpha": ("alpha", ("lrn",)),
    "beta": ("beta", ("lrn",)),
    "k": ("k", ("lrn",)),
    "source": ("source", ("data", "hdf5_data", "images", "window_data", "infogain_loss")),
    "batchsize": ("batch_size", ("data", "hdf5_data", "images", "window_data")),
    "rand_skip": ("rand_skip", ("data", "images")),
    "shuffle_images": ("shuffle", ("images",)),
    "new_height": ("new_height", ("images",)),
    "new_width": ("new_width", ("images",)),
    "concat_dim": ("concat_dim", ("concat",)),
    "det_fg_threshold": ("fg_threshold", ("window_data",)),
    "det_bg_threshold": ("bg_threshold", ("window_data",)),
    "det_fg_fraction": ("fg_fraction", ("window_data",)),
    "det_context_pad": ("context_pad", ("window_data",)),
    "det_crop_mode": ("crop_mode", ("window_data",)),
}
#: V0 field -> field of transform_param, whatever the type
_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}


def v0_to_v1(net: NetParameter) -> tuple[NetParameter, bool]:
    """The net with layers of V1.

    Returns:
        A new message, and False if a setting did not fit its layer's type; each is logged and dropped.

    Raises:
        NetError: an unknown type, an unknown bottom, or a padding layer read by anything but one
            convolution or pooling.
    """
    new = NetParameter(input=net.input, input_dim=net.input_dim)
    for field in ("name", "force_backward"):
        if net.HasField(field):
            setattr(new, field, getattr(net, field))
    complete = True
    for old in _without_padding(net):
        complete &= _upgrade_layer(old, new.layers.add())
    return new, complete


# ---- padding layers ------------------------------------------------------------------------------


def _without_padding(net: NetParameter) -> list[V1LayerParameter]:
    """The layers, where a padding layer's number has moved to the convolution or pooling that reads it."""
    producers: dict[str, V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for number, layer in enumerate(net.layers):
        for index, bottom in enumerate(layer.bottom):
            if bottom not in producers:
                later = ((below.layer.name, below.top) for below in net.layers[number:])
                raise unknown_bottom(bottom, layer.layer.name, index, list(producers), later)
        padded = _take_padding(layer, [producers[bottom] for bottom in layer.bottom])
        producers.update(dict.fromkeys(layer.top, layer))
        if layer.layer.type != PADDING:
            kept.append(padded)
    return kept


def _take_padding(layer: V1LayerParameter, sources: list[V1LayerParameter | None]) -> V1LayerParameter:
    paddings = [source for source in sources if source is not None and source.layer.type == PADDING]
    if not paddings:
        return layer
    padding = paddings[0]
    reader = f"layer '{layer.layer.name}' ({layer.layer.type}) reads padding layer '{padding.layer.name}'"
    if layer.layer.type not in ("conv", "pool"):
        raise NetError(f"{reader}: only conv and pool layers can (V0 format)")
    if not len(layer.bottom) == len(padding.bottom) == len(padding.top) == 1:
        raise NetError(f"{reader}: both must have one bottom, and the padding layer one top (V0 format)")
    result = V1LayerParameter()
    result.CopyFrom(layer)
    result.layer.pad = padding.layer.pad
    result.bottom[0] = padding.bottom[0]
    return result


# ---- one layer -----------------------------------------------------------------------------------


def _upgrade_layer(old: V1LayerParameter, new: V1LayerParameter) -> bool:
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    if not old.HasField("layer"):
        return True
    flat = old.layer
    if flat.HasField("name"):
        new.name = flat.name
    if flat.HasField("type"):
        if flat.type not in V0_TYPES:
            known = ", ".join(sorted([*V0_TYPES, PADDING]))
            raise NetError(f"layer '{flat.name}': unknown V0 layer type '{flat.type}'; known: {known}")
        new.type = getattr(V1LayerParameter, V0_TYPES[flat.type])
    for field in ("blobs", "blobs_lr", "weight_decay"):
        getattr(new, field).MergeFrom(getattr(flat, field))
    for field in filter(flat.HasField, _TRANSFORM):
        setattr(new.transform_param, _TRANSFORM[field], getattr(flat, field))
    unfit = [field for field in filter(flat.HasField, _FIELDS) if not _move(flat, field, new)]
    if flat.HasField("hdf5_output_param"):
        if flat.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(flat.hdf5_output_param)
        else:
            unfit.append("hdf5_output_param")
    for field in unfit:
        log.error("layer '%s': unknown parameter %s for layer type %s: dropped", flat.name, field, flat.type)
    return not unfit


def _move(flat: V0LayerParameter, field: str, new: V1LayerParameter) -> bool:
    name, types = _FIELDS[field]
    if flat.type not in types:
        return False
    _assign(getattr(new, _MESSAGES[flat.type]), name, getattr(flat, field))
    return True


def _assign(message: Any, name: str, value: Any) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    elif isinstance(getattr(message, name), (int, float, str, bool)):
        setattr(message, name, value)
    else:  # conv's pad, kernel_size and stride are lists since then
        getattr(message, name).append(value)
