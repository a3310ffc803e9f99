"""Old formats become what Caffe makes of them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings

from caffe._caffe.errors import NetError, SolverError
from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph import upgrade, upgrade_v0
from caffe.proto.caffe_pb2 import (
    LayerParameter,
    NetParameter,
    SolverParameter,
    V0LayerParameter,
    V1LayerParameter,
)
from tests.engine.support.messages import messages


def net(text: str) -> NetParameter:
    return parse_text(text, NetParameter())


def upgraded(text: str, complete: bool = True) -> NetParameter:
    old = net(text)
    assert upgrade.net_needs_upgrade(old)
    before = old.SerializeToString(deterministic=True)
    result, kept = upgrade.upgrade_net(old, "old.prototxt")
    assert kept is complete
    assert old.SerializeToString(deterministic=True) == before
    return result


def v0(text: str, complete: bool = True) -> LayerParameter:
    (layer,) = upgraded(f"layers {{ layer {{ {text} }} }}", complete).layer
    return layer


def layer(text: str) -> LayerParameter:
    return parse_text(text, LayerParameter())


# ---- V1 ------------------------------------------------------------------------------------------


def test_v1_layer() -> None:
    assert upgraded(
        """
        name: "n" force_backward: true state { level: 1 } debug_info: true
        layers { name: "c" type: CONVOLUTION bottom: "x" top: "c"
                 param: "w" param: "b" blob_share_mode: PERMISSIVE
                 blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 4 loss_weight: 5
                 include { phase: TRAIN } exclude { min_level: 1 } blobs { num: 2 data: 1 data: 2 }
                 convolution_param { num_output: 7 kernel_size: 3 } loss_param { normalize: true } }
        """
    ) == net(
        """
        name: "n" force_backward: true state { level: 1 } debug_info: true
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
                param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 4 }
                param { name: "b" lr_mult: 2 } param { lr_mult: 3 } loss_weight: 5
                include { phase: TRAIN } exclude { min_level: 1 } blobs { num: 2 data: 1 data: 2 }
                convolution_param { num_output: 7 kernel_size: 3 } loss_param { normalize: true } }
        """
    )


def test_every_v1_type_has_a_name() -> None:
    assert set(upgrade.V1_TYPES) == set(V1LayerParameter.LayerType.keys())
    assert upgraded("layers { type: SOFTMAX_LOSS }").layer[0].type == "SoftmaxWithLoss"
    none = upgraded("layers { type: NONE }").layer[0]
    assert none.HasField("type") and none.type == ""
    assert not upgraded("layers { }").layer[0].HasField("type")


@given(messages(V1LayerParameter, depth=2))
@settings(max_examples=50)
def test_v1_settings_are_kept(old: V1LayerParameter) -> None:
    old.ClearField("layer")
    old.ClearField("type")  # image settings move in some types
    result, _ = upgrade.upgrade_net(NetParameter(layers=[old]))
    for field, value in old.ListFields():
        if field.name.endswith("_param") or field.name in (
            "bottom",
            "top",
            "name",
            "blobs",
            "include",
            "exclude",
        ):
            assert getattr(result.layer[0], field.name) == value


@pytest.mark.parametrize(
    ("kind", "field"), [("DATA", "data"), ("IMAGE_DATA", "image_data"), ("WINDOW_DATA", "window_data")]
)
def test_image_settings_move_to_transform_param(kind: str, field: str) -> None:
    text = '{ source: "s" scale: 0.5 mean_file: "m" crop_size: 2 mirror: true }'
    got = upgraded(f"layers {{ type: {kind} {field}_param {text} }}").layer[0]
    moved = 'transform_param { scale: 0.5 mean_file: "m" crop_size: 2 mirror: true }'
    want = layer(f'{field}_param {{ source: "s" }} {moved}')
    want.type = upgrade.V1_TYPES[kind]
    assert got == want


def test_current_layers_keep_ignored_image_settings() -> None:
    current = net('layer { type: "Data" data_param { scale: 2 } }')
    assert not upgrade.net_needs_upgrade(current)
    assert upgrade.upgrade_net(current)[0].layer[0].data_param.scale == 2


def test_layer_and_layers_together() -> None:
    mixed = net('layer { name: "a" } layers { name: "b" }')
    with pytest.raises(NetError, match="old.prototxt has both 'layer' .*'a'.* and 'layers' .*'b'"):
        upgrade.upgrade_net(mixed, "old.prototxt")


# ---- inputs, BatchNorm, nothing ------------------------------------------------------------------


def test_input_dims() -> None:
    text = "input: 'a' input: 'b' input_dim: [1, 2, 3, 4, 5, 6, 7, 8] layer { name: 'l' }"
    assert upgraded(text) == net(
        """
        layer { name: "input" type: "Input" top: "a" top: "b"
                input_param { shape { dim: [1, 2, 3, 4] } shape { dim: [5, 6, 7, 8] } } }
        layer { name: "l" }
        """
    )


def test_input_shapes_win_over_dims() -> None:
    got = upgraded("input: 'a' input_shape { dim: 9 } input_dim: [1, 2, 3, 4]").layer[0]
    assert [list(shape.dim) for shape in got.input_param.shape] == [[9]]


def test_inputs_without_dims_are_dropped() -> None:
    assert upgraded("input: 'a' layer { name: 'l' }") == net("layer { name: 'l' }")


def test_incomplete_dims() -> None:
    with pytest.raises(NetError, match="input 'b' needs 4 input_dim numbers, 2 are left"):
        upgraded("input: 'a' input: 'b' input_dim: [1, 2, 3, 4, 5, 6]")
    with pytest.raises(NetError, match="input 'b' has no input_shape"):
        upgraded("input: 'a' input: 'b' input_shape { dim: 1 }")


def test_batch_norm_with_three_params_is_frozen() -> None:
    frozen = upgraded('layer { type: "BatchNorm" param { name: "a" lr_mult: 5 } param { } param { } }').layer[
        0
    ]
    assert [(p.name, p.lr_mult, p.decay_mult) for p in frozen.param] == [("a", 0, 0), ("", 0, 0), ("", 0, 0)]
    two = net('layer { type: "BatchNorm" param { } param { } }')
    assert not upgrade.net_needs_upgrade(two)


@given(messages(NetParameter, depth=2))
@settings(max_examples=50)
def test_current_nets_are_not_touched(current: NetParameter) -> None:
    for field in ("layers", "input", "input_dim", "input_shape"):
        current.ClearField(field)
    before = NetParameter.FromString(current.SerializeToString())
    result, complete = upgrade.upgrade_net(current)
    assert result == before == current and complete


# ---- V0 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type: "conv" num_output: 2 biasterm: false kernelsize: 3 pad: 1 stride: 2 group: 1 '
         'weight_filler { type: "xavier" } bias_filler { value: 1 }',
         'type: "Convolution" convolution_param { num_output: 2 bias_term: false kernel_size: 3 pad: 1 '
         'stride: 2 group: 1 weight_filler { type: "xavier" } bias_filler { value: 1 } }'),
        ('type: "innerproduct" num_output: 2 biasterm: false weight_filler { std: 2 }',
         'type: "InnerProduct" inner_product_param { num_output: 2 bias_term: false '
         'weight_filler { std: 2 } }'),
        ('type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1',
         'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }'),
        ('type: "dropout" dropout_ratio: 0.3', 'type: "Dropout" dropout_param { dropout_ratio: 0.3 }'),
        ('type: "lrn" local_size: 3 alpha: 2 beta: 1 k: 4',
         'type: "LRN" lrn_param { local_size: 3 alpha: 2 beta: 1 k: 4 }'),
        ('type: "data" source: "s" batchsize: 2 rand_skip: 1 scale: 3 meanfile: "m" cropsize: 4 mirror: true',
         'type: "Data" data_param { source: "s" batch_size: 2 rand_skip: 1 } '
         'transform_param { scale: 3 mean_file: "m" crop_size: 4 mirror: true }'),
        ('type: "images" source: "s" batchsize: 2 shuffle_images: true new_height: 3 new_width: 4',
         'type: "ImageData" image_data_param { source: "s" batch_size: 2 shuffle: true '
         'new_height: 3 new_width: 4 }'),
        ('type: "hdf5_data" source: "s" batchsize: 2',
         'type: "HDF5Data" hdf5_data_param { source: "s" batch_size: 2 }'),
        ('type: "hdf5_output" hdf5_output_param { file_name: "f" }',
         'type: "HDF5Output" hdf5_output_param { file_name: "f" }'),
        ('type: "infogain_loss" source: "s"', 'type: "InfogainLoss" infogain_loss_param { source: "s" }'),
        ('type: "concat" concat_dim: 0', 'type: "Concat" concat_param { concat_dim: 0 }'),
        ('type: "window_data" source: "s" batchsize: 2 det_fg_threshold: 0.1 det_bg_threshold: 0.2 '
         'det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: "square"',
         'type: "WindowData" window_data_param { source: "s" batch_size: 2 fg_threshold: 0.1 '
         'bg_threshold: 0.2 fg_fraction: 0.3 context_pad: 4 crop_mode: "square" }'),
        ('name: "s" type: "softmax_loss" blobs { data: 1 } blobs_lr: 1 weight_decay: 2 new_num: 3',
         'name: "s" type: "SoftmaxWithLoss" blobs { data: 1 } param { lr_mult: 1 decay_mult: 2 }'),
    ],
)  # fmt: skip
def test_v0_layers(old: str, new: str) -> None:
    assert v0(old) == layer(new)


def test_v0_names_stand_for_v1_types() -> None:
    assert set(upgrade_v0.V0_TYPES.values()) <= set(V1LayerParameter.LayerType.keys())


@given(messages(V0LayerParameter, depth=1))
@settings(max_examples=50)
def test_v0_settings_of_any_mixture_are_moved_or_reported(flat: V0LayerParameter) -> None:
    flat.type = "conv"
    old = NetParameter(layers=[{"layer": flat}])
    fits = {
        "name",
        "type",
        "num_output",
        "biasterm",
        "weight_filler",
        "bias_filler",
        "pad",
        "kernelsize",
        "group",
    }
    fits |= {"stride", "scale", "meanfile", "cropsize", "mirror", "blobs", "blobs_lr", "weight_decay"}
    fits |= {"new_num", "new_channels"}  # Caffe drops these without a word
    complete = {field.name for field, _ in flat.ListFields()} <= fits
    assert upgrade.upgrade_net(old)[1] is complete


def test_v0_setting_that_does_not_fit_is_reported_and_dropped(caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    assert v0('name: "r" type: "relu" kernelsize: 3', complete=False) == layer('name: "r" type: "ReLU"')
    assert "layer 'r': unknown parameter kernelsize for layer type relu" in caplog.text


def test_v0_net_keeps_only_what_caffe_keeps() -> None:
    assert upgraded(
        """
        name: "n" input: "x" input_dim: [1, 2, 3, 4] force_backward: true state { level: 3 } debug_info: true
        layers { layer { name: "r" type: "relu" } bottom: "x" top: "x" include { phase: TRAIN } }
        """
    ) == net(
        """
        name: "n" force_backward: true
        layer { name: "input" type: "Input" top: "x" input_param { shape { dim: [1, 2, 3, 4] } } }
        layer { name: "r" type: "ReLU" bottom: "x" top: "x" }
        """
    )


PAD = """
input: "x" input_dim: [1, 1, 9, 9]
layers { layer { name: "p" type: "padding" pad: 2 } bottom: "x" top: "p" }
"""


@pytest.mark.parametrize(("kind", "field"), [("conv", "convolution_param"), ("pool", "pooling_param")])
def test_v0_padding_layer_moves_into_its_reader(kind: str, field: str) -> None:
    result = upgraded(PAD + f'layers {{ layer {{ name: "c" type: "{kind}" }} bottom: "p" top: "c" }}')
    names = [(one.name, list(one.bottom)) for one in result.layer]
    assert names == [("input", []), ("c", ["x"])]
    assert str(getattr(result.layer[1], field)).strip() == "pad: 2"


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ('layer { name: "r" type: "relu" } bottom: "p"', r"layer 'r' \(relu\) reads padding layer 'p'"),
        ('layer { name: "q" type: "padding" } bottom: "p"', r"layer 'q' \(padding\) reads padding layer 'p'"),
        ('layer { name: "c" type: "conv" } bottom: "p" bottom: "x"', "one bottom"),
        ('layer { name: "c" type: "conv" } bottom: "y"', "Unknown bottom blob 'y' .*'c'.*x, p"),
        (
            'layer { name: "c" type: "cnov" } bottom: "x"',
            "layer 'c': unknown V0 layer type 'cnov'; known: accuracy",
        ),
    ],
)
def test_v0_errors(reader: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        upgraded(PAD + f"layers {{ {reader} }}")


# ---- solver --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), upgrade.SOLVER_TYPES.items())
def test_solver_type(old: str, new: str) -> None:
    solver = parse_text(f"base_lr: 1 solver_type: {old}", SolverParameter())
    assert upgrade.solver_needs_upgrade(solver)
    upgraded = upgrade.upgrade_solver(solver)
    assert upgraded == SolverParameter(base_lr=1, type=new)
    assert not upgrade.solver_needs_upgrade(upgraded) and upgrade.upgrade_solver(upgraded) == upgraded


def test_solver_with_both_types() -> None:
    with pytest.raises(SolverError, match="s.prototxt: solver_type .* and type .* are both set"):
        upgrade.upgrade_solver(parse_text('type: "SGD" solver_type: SGD', SolverParameter()), "s.prototxt")


def test_every_solver_type_has_a_name() -> None:
    assert set(upgrade.SOLVER_TYPES) == set(SolverParameter.SolverType.keys())
