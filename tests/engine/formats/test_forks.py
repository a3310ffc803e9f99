"""Names of other Caffes are recognised, each with its way out; names of this one are not taken for theirs."""

from __future__ import annotations

import re

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor

import caffe
from caffe._caffe.formats import forks
from caffe.proto import caffe_pb2
from tests.engine.support.layer_case import random, run

KNOWN = list(caffe.layer_type_list())
LAYER = "LayerParameter"


@pytest.mark.parametrize(
    ("name", "fork"),
    [("Upsample", "SegNet"), ("DenseImageData", "SegNet"), ("Interp", "DeepLab"), ("Normalize", "SSD"),
     ("Permute", "SSD"), ("PriorBox", "SSD"), ("MultiBoxLoss", "SSD"), ("DetectionOutput", "SSD"),
     ("AnnotatedData", "SSD"), ("ROIPooling", "Faster R-CNN"), ("ImageLabelmapData", "HED"),
     ("SoftmaxWithLossOHEM", "R-FCN"), ("SmoothL1LossOHEM", "R-FCN"), ("PSROIPooling", "R-FCN"),
     ("ROIWarping", "MNC"), ("MaskPooling", "MNC"), ("Warp", "FlowNet"), ("FLOWriter", "FlowNet"),
     ("FlowAugmentation", "FlowNet"), ("RReLU", "several forks"), ("SeLu", "ELU"), ("BN", "BatchNorm")],
)  # fmt: skip
def test_types(name: str, fork: str) -> None:
    advice = forks.type_advice(name, KNOWN)
    assert advice is not None and fork in advice and "leave it out" not in advice


@pytest.mark.parametrize(
    ("field", "words"),
    [("dense_image_data_param", "SegNet"), ("interp_param", "DeepLab"), ("norm_param", "SSD"),
     ("permute_param", "SSD"), ("prior_box_param", "SSD"), ("roi_pooling_param", "Faster R-CNN"),
     ("psroi_pooling_param", "R-FCN"), ("roi_warping_param", "MNC")],
)  # fmt: skip
def test_messages_of_own_layers_reach_registered_ones(field: str, words: str) -> None:
    advice = forks.field_advice(LAYER, field)
    assert advice == forks.field_advice("V1LayerParameter", field)
    assert advice is not None and words in advice and "fork_params" in advice


@pytest.mark.parametrize(
    ("message", "field", "value", "words"),
    [("BatchNormParameter", "scale_bias", True, "Scale layer with bias_term: true"),
     ("BatchNormParameter", "scale_filler", {"value": 1}, "Scale layer with bias_term: true"),
     ("ConvolutionParameter", "hole", 4, "dilation: 4"),
     ("ConvolutionParameter", "hole_h", 2, "dilation: (hole_h) dilation: (hole_w)"),
     ("DropoutParameter", "scale_train", False, "Power layer"),
     ("PoolingParameter", "ceil_mode", False, "round_mode: FLOOR"),
     ("PoolingParameter", "torch_pooling", True, "round_mode: FLOOR"),
     ("SolverParameter", "min_lr", 1e-4, "base_lr: 0.0001"),
     ("SolverParameter", "warmup_iter", 500, "one solver per step"),
     ("SolverParameter", "stepearly", 1, "learning rate"),
     ("LossParameter", "label_smoothing", 0.1, "part of the computation"),
     ("ReLUParameter", "upper_limit", 6, "max: 6")],
)  # fmt: skip
def test_what_is_computed_is_never_left_out(message: str, field: str, value: object, words: str) -> None:
    advice = forks.field_advice(message, field, value)
    assert advice is not None and words in advice and "leave" not in advice


@pytest.mark.parametrize(
    ("message", "field"),
    [("NetParameter", "eltwise_mem_sharing"), ("NetParameter", "default_forward_type"),
     (LAYER, "forward_type"), (LAYER, "split_param"),
     (LAYER, "quantization_param"), (LAYER, "engine"), ("NetParameter", "net_quantization"),
     ("SolverParameter", "solver_data_type"), ("ConvolutionParameter", "conv_algos_override"),
     ("DataParameter", "parser_threads"), ("ConvolutionParameter", "weight_quantization")],
)  # fmt: skip
def test_hints_to_a_machine_are_left_out_and_need_no_layer(message: str, field: str) -> None:
    advice = forks.field_advice(message, field, 1, "Convolution")
    assert advice is not None and "leave it out" in advice and "register" not in advice


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [("DropoutParameter", "scale_train", True), ("BatchNormParameter", "scale_bias", False),
     ("ConvolutionParameter", "hole", 1), ("PoolingParameter", "ceil_mode", True),
     ("SolverParameter", "min_lr", 0.0)],
)  # fmt: skip
def test_a_value_that_changes_nothing_may_go(message: str, field: str, value: object) -> None:
    assert "leave it out" in str(forks.field_advice(message, field, value))


def test_without_an_equivalent_a_layer_in_the_types_place_receives_the_field() -> None:
    advice = forks.field_advice("DropoutParameter", "sqrt_scale", True, "Dropout")
    assert advice is not None and 'caffe.register_layer("Dropout", .., replace=True)' in advice


def test_in_a_layer_of_a_forks_type_only_the_registered_layer_knows_what_to_do() -> None:
    for field in ("resize_param", "mean"):
        advice = str(forks.field_advice("TransformationParameter", field))
        assert forks.unless_registered(advice) == forks.RECEIVES
    hint = str(forks.field_advice(LAYER, "forward_type"))
    assert forks.unless_registered(hint) == hint


def test_a_field_in_another_place_still_has_its_fork() -> None:
    assert "leave it out" in str(forks.misplaced_advice("default_forward_type"))
    assert "NVIDIA's Caffe (in SolverParameter)" in str(forks.misplaced_advice("min_lr"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("MKL2017", "leave it out"), ("MKLDNN", "leave it out"), ("MLU", "leave it out"),
     ("diagonal", "FlowNet"), ("plateau", "SSD"), ("multifixed", "multistep"), ("stepearly", "learning rate"),
     ("PRE_FIXED", "loss_weight: 1 / (pre_fixed_normalizer)")],
)  # fmt: skip
def test_values(name: str, words: str) -> None:
    assert words in str(forks.value_advice(name))


@pytest.mark.parametrize(
    ("name", "today"),
    [("RELU", "ReLU"), ("Relu", "ReLU"), ("relu", "ReLU"), ("POOLING", "Pooling"), ("CROP", "Crop"),
     ("SOFTMAX_LOSS", "SoftmaxWithLoss"), ("INNER_PRODUCT", "InnerProduct"), ("HDF5_DATA", "HDF5Data"),
     ("SoftmaxLoss", "SoftmaxWithLoss"), ("conv", "Convolution"), ("pool", "Pooling"),
     ("LSTM_UNIT", "LSTMUnit"),
     ("BATCH_NORM", "BatchNorm"), ("SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss")],
)  # fmt: skip
def test_old_spellings_and_other_cases(name: str, today: str) -> None:
    assert forks.type_advice(name, KNOWN) == f"did you mean {today}?"


@pytest.mark.parametrize("name", caffe_pb2.V1LayerParameter.LayerType.keys()[1:])
def test_every_type_of_2014_has_todays_name(name: str) -> None:
    assert forks.modern_type(name, KNOWN) in KNOWN


@pytest.mark.parametrize("name", ["DENSE_IMAGE_DATA", "PRIOR_BOX", "Relu6", "ROIPOOLING", "PSROIPooling"])
def test_old_spellings_of_fork_types(name: str) -> None:
    advice = forks.type_advice(name, KNOWN)
    assert advice is not None and "a layer of" in advice


def test_unknown_names_have_no_advice() -> None:
    assert forks.type_advice("Convolutionn", KNOWN) is None
    assert forks.field_advice("ConvolutionParameter", "kernel") is None
    assert forks.value_advice("FAST") is None


def test_no_name_of_this_schema_is_called_foreign() -> None:
    messages = caffe_pb2.DESCRIPTOR.message_types_by_name
    for name in forks.FIELDS:
        message, field = name.split(".")
        assert field not in messages[f"{message}Parameter"].fields_by_name, name
    assert not forks.MESSAGES.keys() & set(messages[LAYER].fields_by_name)
    assert not forks.VALUES.keys() & set().union(*map(values, messages.values()))
    assert not forks.TYPES.keys() & set(KNOWN)


def values(descriptor: Descriptor) -> set[str]:
    found = {value.name for enum in descriptor.enum_types for value in enum.values}
    return found.union(*map(values, descriptor.nested_types))


def test_no_advice_says_a_thing_twice() -> None:
    for name in forks.TYPES:
        assert not re.search(r"(register_layer|leave it out).*\1", str(forks.type_advice(name, KNOWN))), name
    for name in forks.FIELDS:
        message, field = name.split(".")
        advice = str(forks.field_advice(f"{message}Parameter", field, 7, "Pooling"))
        assert not re.search(r"(register_layer|leave it out).*\1", advice), name


# ---- the equivalents that the advice names compute what the fork computes ----------------------------


def test_clip_is_relu6() -> None:
    x = 5 * random(2, 3, 4, 4)
    top = run('type: "Clip" clip_param { min: 0 max: 6 }', {"x": x}).tops["top"]
    np.testing.assert_array_equal(top, np.clip(x, 0, 6).astype(np.float32))


def test_elu_and_power_are_selu() -> None:
    x = random(2, 3, 4)
    text = """layer { name: "e" type: "ELU" bottom: "x" top: "e" elu_param { alpha: 1.67326324 } }
              layer { name: "p" type: "Power" bottom: "e" top: "top" power_param { scale: 1.050700987 } }"""
    want = 1.050700987 * np.where(x > 0, x, 1.67326324 * np.expm1(x))
    np.testing.assert_allclose(run(text, {"x": x}).tops["top"], want, rtol=1e-5, atol=1e-6)


def test_lrn_over_all_channels_and_scale_are_normalize() -> None:
    x, factors = random(2, 4, 3, 3), random(4, seed=1)
    text = """layer { name: "l" type: "LRN" bottom: "x" top: "l"
                      lrn_param { local_size: 7 alpha: 7 beta: 0.5 k: 1e-10 } }
              layer { name: "s" type: "Scale" bottom: "l" top: "top" }"""
    want = x / np.sqrt(1e-10 + (x**2).sum(1, keepdims=True)) * factors[:, None, None]
    np.testing.assert_allclose(run(text, {"x": x}, [factors]).tops["top"], want, rtol=1e-5, atol=1e-6)


def test_slices_reshaped_and_concatenated_are_a_channel_shuffle() -> None:
    x = random(2, 6, 2, 3)
    text = """layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { axis: 1 } }
              layer { name: "c" type: "Reshape" bottom: "a" top: "c"
                      reshape_param { shape { dim: 1 } axis: 2 num_axes: 0 } }
              layer { name: "d" type: "Reshape" bottom: "b" top: "d"
                      reshape_param { shape { dim: 1 } axis: 2 num_axes: 0 } }
              layer { name: "j" type: "Concat" bottom: "c" bottom: "d" top: "j" concat_param { axis: 2 } }
              layer { name: "r" type: "Reshape" bottom: "j" top: "top"
                      reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 } }"""
    want = x.reshape(2, 2, 3, 2, 3).swapaxes(1, 2).reshape(x.shape)
    np.testing.assert_array_equal(run(text, {"x": x}).tops["top"], want.astype(np.float32))


def test_flatten_scale_and_sum_are_axpy() -> None:
    a, x, y = random(2, 3, 1, 1), random(2, 3, 4, 4, seed=1), random(2, 3, 4, 4, seed=2)
    text = """layer { name: "f" type: "Flatten" bottom: "a" top: "f" }
              layer { name: "s" type: "Scale" bottom: "x" bottom: "f" top: "s" scale_param { axis: 0 } }
              layer { name: "e" type: "Eltwise" bottom: "s" bottom: "y" top: "top"
                      eltwise_param { operation: SUM } }"""
    np.testing.assert_allclose(
        run(text, {"a": a, "x": x, "y": y}).tops["top"], a * x + y, rtol=1e-5, atol=1e-6
    )


def test_a_deconvolution_of_ones_repeats_pixels() -> None:
    x = random(1, 3, 2, 3)
    text = """type: "Deconvolution" convolution_param { num_output: 3 group: 3 kernel_size: 2 stride: 2
              bias_term: false weight_filler { type: "constant" value: 1 } }"""
    want = np.kron(x, np.ones((1, 1, 2, 2))).astype(np.float32)
    np.testing.assert_array_equal(run(text, {"x": x}).tops["top"], want)


def test_a_power_after_dropout_is_dropout_that_does_not_scale_in_training() -> None:
    x = np.ones((4, 500))
    text = """layer { name: "d" type: "Dropout" bottom: "x" top: "d" dropout_param { dropout_ratio: 0.75 } }
              layer { name: "p" type: "Power" bottom: "d" top: "top" power_param { scale: 0.25 } }"""
    assert set(np.unique(run(text, {"x": x}, phase=caffe.TRAIN).tops["top"])) == {0, 1}
    assert set(np.unique(run(text, {"x": x}, phase=caffe.TEST).tops["top"])) == {0.25}


def test_a_dropout_of_phase_train_draws_in_a_test_net() -> None:
    text = 'type: "Dropout" phase: TRAIN'
    assert set(np.unique(run(text, {"x": np.ones((4, 500))}, phase=caffe.TEST).tops["top"])) == {0, 2}
