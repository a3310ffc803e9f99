"""Settings that are accepted and change nothing, so that nobody waits for their effect."""

from __future__ import annotations

from ...proto.caffe_pb2 import LayerParameter, NetParameter
from ..log import log

_IMAGE = ("scale", "mean_file", "crop_size", "mirror")
#: field of LayerParameter -> its fields without effect
WITHOUT_EFFECT = {
    # there is one implementation of every layer, whatever the engine is called
    "convolution_param": ("engine", "force_nd_im2col"),
    "lrn_param": ("engine",),
    "pooling_param": ("engine",),
    "relu_param": ("engine",),
    "sigmoid_param": ("engine",),
    "softmax_param": ("engine",),
    "spp_param": ("engine",),
    "tanh_param": ("engine",),
    "python_param": ("share_in_parallel",),
    # Caffe's recurrent layers hand it to their inner net, which does not exist here
    "recurrent_param": ("debug_info",),
    # Caffe moves these to transform_param in old formats, and in the current one it reads them from there
    "data_param": (*_IMAGE, "rand_skip", "force_encoded_color"),
    "image_data_param": _IMAGE,
    "window_data_param": ("mean_file", "crop_size", "mirror"),
}

_CONVOLUTION = "convolution_param"
_NONE = "AbsVal BNLL BatchReindex EuclideanLoss Filter LSTMUnit MultinomialLogisticLoss Silence Split"
#: layer type -> the parameter messages it reads; a type that is not listed is somebody's own and may read any
MESSAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_NONE.split(), ()),
    "Accuracy": ("accuracy_param",),
    "ArgMax": ("argmax_param",),
    "BatchNorm": ("batch_norm_param",),
    "Bias": ("bias_param",),
    "Clip": ("clip_param",),
    "Concat": ("concat_param",),
    "ContrastiveLoss": ("contrastive_loss_param",),
    "Convolution": (_CONVOLUTION,),
    "Crop": ("crop_param",),
    "Data": ("data_param", "transform_param"),
    "Deconvolution": (_CONVOLUTION,),
    "Dropout": ("dropout_param",),
    "DummyData": ("dummy_data_param",),
    "ELU": ("elu_param",),
    "Eltwise": ("eltwise_param",),
    "Embed": ("embed_param",),
    "Exp": ("exp_param",),
    "Flatten": ("flatten_param",),
    "HDF5Data": ("hdf5_data_param", "transform_param"),
    "HDF5Output": ("hdf5_output_param",),
    "HingeLoss": ("hinge_loss_param",),
    "Im2col": (_CONVOLUTION,),
    "ImageData": ("image_data_param", "transform_param", "data_param"),
    "InfogainLoss": ("infogain_loss_param", "loss_param"),
    "InnerProduct": ("inner_product_param",),
    "Input": ("input_param",),
    "LRN": ("lrn_param",),
    "LSTM": ("recurrent_param",),
    "Log": ("log_param",),
    "MVN": ("mvn_param",),
    "MemoryData": ("memory_data_param", "transform_param"),
    "PReLU": ("prelu_param",),
    "Parameter": ("parameter_param",),
    "Pooling": ("pooling_param",),
    "Power": ("power_param",),
    "Python": ("python_param",),
    "RNN": ("recurrent_param",),
    "ReLU": ("relu_param",),
    "Reduction": ("reduction_param",),
    "Reshape": ("reshape_param",),
    "SPP": ("spp_param",),
    "Scale": ("scale_param",),
    "Sigmoid": ("sigmoid_param",),
    "SigmoidCrossEntropyLoss": ("loss_param",),
    "Slice": ("slice_param",),
    "Softmax": ("softmax_param",),
    "SoftmaxWithLoss": ("softmax_param", "loss_param"),
    "Swish": ("swish_param",),
    "TanH": ("tanh_param",),
    "Threshold": ("threshold_param",),
    "Tile": ("tile_param",),
    "WindowData": ("window_data_param", "transform_param", "data_param"),
}
#: every parameter message that some layer type reads
_KNOWN = frozenset(message for messages in MESSAGES.values() for message in messages)


def ignored_fields(net: NetParameter) -> dict[str, list[str]]:
    """Every setting without effect that `net` makes -> the layers that make it.

    A setting is `message.field`, or `message` where the layer's type does not read the message at all.
    """
    found: dict[str, list[str]] = {}
    for layer in net.layer:
        for setting in _ignored_by(layer):
            found.setdefault(setting, []).append(layer.name)
    return found


def _ignored_by(layer: LayerParameter) -> list[str]:
    found = []
    read = MESSAGES.get(layer.type, _KNOWN)
    for field, value in layer.ListFields():
        if field.name not in _KNOWN:
            continue
        if field.name not in read:
            found.append(field.name)
            continue
        without = WITHOUT_EFFECT.get(field.name, ())
        found += [f"{field.name}.{inner.name}" for inner, _ in value.ListFields() if inner.name in without]
    return found


def report_ignored(net: NetParameter, source: str) -> None:
    """Log one line with the settings of `net` that have no effect, if there are any."""
    found = ignored_fields(net)
    if found:
        text = "; ".join(f"{field} ({', '.join(layers)})" for field, layers in found.items())
        log.warning("%s: accepted, but without effect: %s", source, text)
