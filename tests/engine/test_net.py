"""Net: construction, wiring errors, running, and what pycaffe shows of it."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe._caffe import CaffeError, LayerError, NetError
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import NetParameter

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
IP = """layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.5 } } }\n"""
LOSS = """layer { name: "target" type: "Input" top: "target" input_param { shape { dim: 2 dim: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }\n"""


def test_names_and_order(net_of):
    net = net_of(INPUT + IP + 'layer { name: "r" type: "ReLU" bottom: "ip" top: "ip" }')
    assert list(net.blobs) == ["data", "ip"] and net.inputs == ["data"] and net.outputs == ["ip"]
    assert list(net._layer_names) == ["data", "ip", "r"] and list(net.params) == ["ip"]
    assert net.bottom_names["r"] == net.top_names["r"] == ["ip"]
    assert [layer.type for layer in net.layers] == ["Input", "InnerProduct", "ReLU"]
    assert net.layer_dict["ip"].blobs[0] is net.params["ip"][0]


def test_outputs_are_sorted_by_name_not_by_place(net_of):
    text = INPUT + "".join(
        f'layer {{ name: "{n}" type: "Power" bottom: "data" top: "{n}" }}\n' for n in ("b", "C", "a")
    )
    assert net_of(text).outputs == ["C", "a", "b"]


def test_writing_into_arrays_taken_before_is_seen_by_the_next_forward(net_of):
    net = net_of(INPUT + IP)
    data, weight = net.blobs["data"].data, net.params["ip"][0].data
    net.forward()
    data[...] = 1
    weight.flat = [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(net.forward()["ip"], [[6, 15]] * 2)


def test_results_are_live_views(net_of):
    net = net_of(INPUT + IP)
    view = net.forward()["ip"]
    net.forward(data=np.ones((2, 3)))
    np.testing.assert_array_equal(view, 1.5)


def test_arrays_outlive_the_net(net_of):
    net = net_of(INPUT + IP)
    out = net.forward(data=np.ones((2, 3)))["ip"]
    del net
    gc.collect()
    assert out.sum() == 6


def test_reshape_carries_through_at_the_next_forward(net_of):
    net = net_of(INPUT + IP)
    net.blobs["data"].reshape(5, 3)
    assert net.forward()["ip"].shape == (5, 2)


def test_shapes_are_followed_wherever_they_change(net_of):
    top = 'layer { name: "top" type: "Reduction" bottom: "ip" top: "top" reduction_param { axis: 1 } }'
    net = net_of(INPUT + IP + top)
    for items in (2, 5, 1, 5):
        net.blobs["data"].reshape(items, 3)
        for _ in range(2):
            assert net.forward()["top"].shape == (items,)
    net.blobs["ip"].reshape(2, 2)  # the next forward shapes it again
    assert net.forward()["top"].shape == (5,)
    net.blobs["data"].reshape(5, 4)
    with pytest.raises(LayerError, match="'ip'"):
        net.forward()
    with pytest.raises(LayerError, match="'ip'"):
        net.forward()


def test_a_part_of_a_net_that_was_left_out_is_shaped_when_it_runs(net_of):
    net = net_of(INPUT + IP + LOSS)
    net.forward()
    net.blobs["data"].reshape(4, 3)
    net.blobs["target"].reshape(4, 2)
    net.forward(end="ip")
    net.forward(start="target")
    assert net.blobs["ip"].data.shape == net.blobs["target"].data.shape == (4, 2)


def test_a_users_layer_is_reshaped_before_every_forward_whatever_it_derives_from(net_of):
    dense = type(net_of(INPUT + IP).layer_dict["ip"])

    class Counting(dense):
        calls = 0

        def reshape(self, bottom, top):
            Counting.calls += 1
            super().reshape(bottom, top)

    caffe.register_layer("InnerProduct", Counting, replace=True)
    try:
        net = net_of(INPUT + IP)
        built = Counting.calls
        for _ in range(3):
            net.forward()
    finally:
        caffe.register_layer("InnerProduct", dense, replace=True)
    assert Counting.calls == built + 3


def test_forward_ranges_and_extra_blobs(net_of):
    net = net_of(
        INPUT + IP + 'layer { name: "sq" type: "Power" bottom: "ip" top: "sq" power_param { power: 2 } }'
    )
    assert set(net.forward(end="ip")) == {"ip"}
    assert set(net.forward(start="sq", blobs=["data"])) == {"sq", "data"}
    with pytest.raises(ValueError, match="nope"):
        net.forward(start="nope")
    with pytest.raises(KeyError):
        net.forward(blobs=["nope"])
    with pytest.raises(TypeError):
        net.forward(blobs=("ip",))
    with pytest.raises(Exception, match="do not match net inputs"):
        net.forward(nope=np.zeros((2, 3)))
    with pytest.raises(Exception, match="not batch sized"):
        net.forward(data=np.zeros((3, 3)))


def test_forward_all_pads_and_cuts(net_of):
    net = net_of(INPUT + IP)
    items = np.arange(15.0).reshape(5, 3)
    out = net.forward_all(data=items, blobs=["data"])
    np.testing.assert_array_equal(out["data"], items)
    np.testing.assert_allclose(out["ip"], items.sum(1, keepdims=True) * 0.5 * np.ones((1, 2)))
    with pytest.raises(RuntimeError):
        net.forward_all()


def test_forward_backward_all(net_of):
    net = net_of("force_backward: true\n" + INPUT + IP)
    items, diffs = np.ones((3, 3)), np.arange(6.0).reshape(3, 2)
    data, grads = net.forward_backward_all(data=items, ip=diffs)
    np.testing.assert_allclose(data["ip"], 1.5 * np.ones((3, 2)))
    np.testing.assert_allclose(grads["data"], diffs.sum(1, keepdims=True) * 0.5 * np.ones((1, 3)))


def test_forward_backward_all_runs_a_side_that_is_not_given_unprimed(net_of):
    net = net_of("force_backward: true\n" + INPUT + IP)
    net.blobs["ip"].diff[...] = [1, 2]
    data, grads = net.forward_backward_all(data=np.ones((3, 3)))
    np.testing.assert_allclose(data["ip"], 1.5 * np.ones((3, 2)))
    np.testing.assert_allclose(grads["data"], 1.5 * np.ones((3, 3)))
    with pytest.raises(RuntimeError):
        net.forward_backward_all()


def test_the_loss_weight_lives_in_the_diff(net_of):
    net = net_of(INPUT + IP + LOSS)
    net.blobs["target"].data[...] = 1
    assert net._forward(0, len(net.layers) - 1) == pytest.approx(1.0)
    net.blobs["loss"].diff[...] = 0
    assert net._forward(0, len(net.layers) - 1) == 0


def test_without_a_loss_backward_does_nothing(net_of):
    net = net_of(INPUT + IP)
    net.forward()
    net.backward(ip=np.ones((2, 2)))
    assert not net.params["ip"][0].diff.any()


def test_an_untouched_batch_norm_runs_backward_though_its_params_are_frozen(net_of):
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" %s }\n'
    loss = 'layer { name: "s" type: "Reduction" bottom: "bn" top: "s" loss_weight: 1\n'
    loss += "  reduction_param { operation: ASUM } }"
    for specs, moved in ("", True), ("param { lr_mult: 0 } " * 3, False):
        net = net_of(INPUT + norm % specs + loss, caffe.TRAIN)
        net.forward(data=np.array([[1, 2, 4], [3, 3, 8]]))
        net.blobs["data"].diff[...] = 0.5
        net.backward()
        assert (net.blobs["data"].diff != 0.5).all() == moved
        assert [parameter.lr_mult for parameter in net.plan.learnable] == [0, 0, 0]


def test_who_works_in_place_on_a_loss_takes_its_weight_from_the_list(net_of):
    net = net_of(INPUT + IP + LOSS + 'layer { name: "p" type: "Power" bottom: "loss" top: "loss" }')
    assert net.blob_loss_weights["loss"] == 0
    net.blobs["data"].data[...] = 1
    assert net._forward(0, 4) == 2.25  # the weight itself is still there


def test_parameter_diffs_accumulate(net_of):
    net = net_of(INPUT + IP + LOSS)
    net.blobs["data"].data[...] = 1
    net.forward()
    net.backward()
    once = net.params["ip"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["ip"][0].diff, 2 * once)
    net.clear_param_diffs()
    assert not net.params["ip"][0].diff.any()


def test_shared_parameters_have_one_memory(net_of):
    shared = IP.replace("inner_product_param", 'param { name: "w" } inner_product_param')
    net = net_of(INPUT + shared + shared.replace('"ip"', '"other"'))
    net.params["ip"][0].data[...] = 3
    assert (net.params["other"][0].data == 3).all()
    assert len(net.learnable) == 3


def test_share_with_shares_data_and_not_diffs(net_of):
    a, b = net_of(INPUT + IP), net_of(INPUT + IP)
    b.share_with(a)
    a.params["ip"][0].data[...] = 9
    a.params["ip"][0].diff[...] = 9
    assert (b.params["ip"][0].data == 9).all() and not b.params["ip"][0].diff.any()
    with pytest.raises(TypeError):
        b.share_with(None)


def test_phase_level_and_stages_choose_layers(net_of):
    text = INPUT + "".join(
        f'layer {{ name: "{n}" type: "Power" bottom: "data" top: "{n}" include {{ {rule} }} }}\n'
        for n, rule in (("train", "phase: TRAIN"), ("deep", "min_level: 2"), ("fast", 'stage: "fast"'))
    )
    assert net_of(text, caffe.TRAIN).outputs == ["train"]
    assert net_of(text, caffe.TEST, level=2, stages=["fast"]).outputs == ["deep", "fast"]


def test_all_constructor_forms(net_of):
    net = net_of(INPUT + IP)
    net.params["ip"][0].data[...] = 4
    net.save("w.caffemodel")
    for made in (
        caffe.Net("net.prototxt", caffe.TEST, weights="w.caffemodel"),
        caffe.Net("net.prototxt", "w.caffemodel", caffe.TEST),
        caffe.Net(network_file="net.prototxt", phase=1, level=0, stages=None, weights="w.caffemodel"),
    ):
        assert (made.params["ip"][0].data == 4).all()


def test_callbacks_fire_for_every_layer(net_of):
    net, seen = net_of(INPUT + IP), []
    net.before_forward(lambda i: seen.append(("before", i)))
    net.after_forward(lambda i: seen.append(("after", i)))
    net.forward()
    assert seen == [("before", 0), ("after", 0), ("before", 1), ("after", 1)]


@pytest.mark.parametrize(
    "text, error, words",
    [
        ('layer { name: "r" type: "ReLU" bottom: "dta" top: "r" }', NetError, "bottom blob 'dta'.*'r'"),
        ('layer { name: "x" type: "ReLu" bottom: "data" top: "r" }', NetError, "did you mean ReLU"),
        ('layer { type: "ReLU" bottom: "data" top: "data" top: "b" }', NetError, "ReLU takes 1 top"),
        (
            'layer { name: "a" type: "Power" bottom: "data" top: "t" }'
            'layer { name: "b" type: "TanH" bottom: "data" top: "t" }',
            NetError,
            "'t' produced by multiple sources: layer 'b'",
        ),
        (
            'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {} }',
            LayerError,
            "layer 'c' \\(Convolution\\).*num_output",
        ),
    ],
)  # fmt: skip
def test_errors_name_the_place(net_of, text, error, words):
    with pytest.raises(error, match=words):
        net_of(INPUT + text)


def test_python_errors_pass_unchanged_and_ours_name_the_layer(net_of, in_tmp, monkeypatch):
    (in_tmp / "broken_layer_module.py").write_text(
        "import caffe\nclass Broken(caffe.Layer):\n"
        "    def setup(self, bottom, top): raise ZeroDivisionError(self.param_str)\n"
    )
    monkeypatch.syspath_prepend(str(in_tmp))
    text = (
        INPUT + 'layer { name: "p" type: "Python" bottom: "data" top: "p" '
        'python_param { module: "%s" layer: "%s" param_str: "hi" } }'
    )
    with pytest.raises(ZeroDivisionError, match="hi"):
        net_of(text % ("broken_layer_module", "Broken"))
    with pytest.raises(LayerError, match="'p' \\(Python\\): cannot import module 'no_such_module'"):
        net_of(text % ("no_such_module", "X"))
    with pytest.raises(LayerError, match="has no class 'Nope'"):
        net_of(text % ("broken_layer_module", "Nope"))


def test_missing_files_and_wrong_types(in_tmp):
    with pytest.raises(RuntimeError, match="Could not open file nowhere.prototxt"):
        caffe.Net("nowhere.prototxt", caffe.TEST)
    for arguments in ((), ("a",), (3, caffe.TEST), ("a", caffe.TEST, "x")):
        with pytest.raises((TypeError, CaffeError)):
            caffe.Net(*arguments)


def test_debug_info_logs_mean_absolute_values(net_of, glog):
    net = net_of("debug_info: true\n" + INPUT + IP + LOSS)
    net.forward(data=np.ones((2, 3)), target=np.zeros((2, 2)))
    net.backward()
    assert "    [Forward] Layer ip, top blob ip data: 1.5" in glog
    assert "    [Backward] Layer ip, param blob 1 diff: 1.5" in glog
    assert not [line for line in glog if "All net params" in line]  # only a solver sums them up


def test_debug_info_can_be_switched_off_again_beside_other_callbacks(net_of, glog):
    net, seen = net_of("debug_info: true\n" + INPUT + IP), []
    net.after_forward(seen.append)
    net.forward()
    assert net.debug_info and any("[Forward]" in line for line in glog)
    glog.clear()
    net.debug_info = False
    net.forward()
    assert not net.debug_info and not glog and seen == [0, 1, 0, 1]


def test_a_net_from_a_message_changes_neither_the_message_nor_its_plan(in_tmp):
    """BatchNorm and losses fill in settings of their own, which a caffemodel keeps."""
    text = INPUT + IP + 'layer { name: "bn" type: "BatchNorm" bottom: "ip" top: "ip" }' + LOSS
    param = text_format.Parse("state { phase: TRAIN } force_backward: true\n" + text, NetParameter())
    before = param.SerializeToString(deterministic=True)
    net = caffe.Net.from_proto(param)
    planned = [layer.param.SerializeToString(deterministic=True) for layer in net.plan.layers]
    net.forward()
    net.backward()
    net.save("w.caffemodel")
    assert param.SerializeToString(deterministic=True) == before
    assert [layer.param.SerializeToString(deterministic=True) for layer in net.plan.layers] == planned
    saved = {layer.name: layer for layer in NetParameter.FromString(Path("w.caffemodel").read_bytes()).layer}
    assert [spec.lr_mult for spec in saved["bn"].param] == [0, 0, 0] and saved["loss"].loss_weight == [1]


def test_construction_is_logged(net_of, glog):
    net_of(INPUT + IP + 'layer { name: "r" type: "ReLU" bottom: "ip" top: "ip" }' + LOSS)
    start = glog.index("Creating layer ip")
    assert glog[start : start + 12] == [
        "Creating layer ip", "Creating Layer ip", "ip <- data", "ip -> ip", "Setting up ip",
        "Top shape: 2 2 (4)", "Memory required for data: 40", "Creating layer r", "Creating Layer r",
        "r <- ip", "r -> ip (in-place)", "Setting up r",
    ]  # fmt: skip
    assert glog.count("Creating layer loss") == 1
    assert glog[glog.index("Setting up loss") + 1 :] == [
        "Top shape: (1)", "    with loss weight 1", "Memory required for data: 76",
        "loss needs backward computation.", "target does not need backward computation.",
        "r needs backward computation.", "ip needs backward computation.",
        "data does not need backward computation.", "This network produces output loss",
        "Network initialization done.",
    ]  # fmt: skip


NAMES = ["blobs", "params", "layers", "layer_dict", "blob_loss_weights", "inputs", "outputs", "bottom_names",
         "top_names", "_blob_names"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_a_net_shows_is_read_only(net_of, name):
    net = net_of(INPUT + IP)
    for _ in range(2):  # before and after its first use
        with pytest.raises(AttributeError):
            setattr(net, name, {})
        with pytest.raises(AttributeError):
            delattr(net, name)
        assert len(getattr(net, name))
    net.of_the_users_own = 3
    assert net.of_the_users_own == 3


def test_the_deprecated_order_needs_its_phase(net_of, in_tmp):
    net = net_of(INPUT + IP)
    net.params["ip"][0].data[...] = 7
    net.save("w.caffemodel")
    for phase in (caffe.TRAIN, caffe.TEST):
        assert caffe.Net("net.prototxt", "w.caffemodel", phase).params["ip"][0].data.min() == 7
    for arguments in (("TEST",), ("w.caffemodel",), ("w.caffemodel", "TEST"), ("w.caffemodel", 1, ["stage"])):
        with pytest.raises(TypeError):
            caffe.Net("net.prototxt", *arguments)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda net: net.forward(start="ipp"), ValueError, "no layer 'ipp' in the net; did you mean ip"),
        (lambda net: net.backward(end="x"), ValueError, "no layer 'x'"),
        (lambda net: net.forward(data=[[1, 2, 3]] * 2), AttributeError, "'data' is a list"),
        (lambda net: net.forward(data=np.ones((2, 4))), ValueError, "'data'.*reshape"),
    ],
)
def test_misuse_of_forward_and_backward_names_what_is_wrong(net_of, call, error, words):
    with pytest.raises(error, match=words):
        call(net_of(INPUT + IP))


def test_errors_in_a_net_name_its_file(in_tmp):
    (in_tmp / "bad.prototxt").write_text('layer { name: "r" type: "ReLU" bottom: "x" top: "y" }')
    (in_tmp / "solver.prototxt").write_text('net: "bad.prototxt" base_lr: 1 lr_policy: "fixed"')
    for make in (lambda: caffe.Net("bad.prototxt", 0), lambda: caffe.get_solver("solver.prototxt")):
        with pytest.raises(NetError, match="^bad.prototxt: Unknown bottom blob 'x'"):
            make()


def test_a_missing_file_is_looked_for_somewhere(in_tmp):
    (in_tmp / "solver.prototxt").write_text('net: "gone.prototxt" base_lr: 1 lr_policy: "fixed"')
    with pytest.raises(CaffeError, match=f"Could not open file gone.prototxt: .*{in_tmp.name}"):
        caffe.get_solver("solver.prototxt")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_an_unsigned_int(seed):
    with pytest.raises(OverflowError):
        caffe.set_random_seed(seed)
    caffe.set_random_seed(True)  # an int to C++


@pytest.mark.parametrize(
    "call",
    [
        lambda: caffe.set_random_seed(1.5),
        lambda: caffe.set_solver_count("2"),
        lambda: caffe.set_solver_rank(1.0),
        lambda: caffe.Layer(3),
        lambda: caffe.Layer(),
    ],
)
def test_wrong_types_are_type_errors(call):
    with pytest.raises(TypeError):
        call()


def test_names_are_right_with_several_automatic_tops(net_of):
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" top: "label" '
        "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 3 } } }"
        'layer { name: "one" type: "EuclideanLoss" bottom: "x" bottom: "label" }'
        'layer { name: "two" type: "EuclideanLoss" bottom: "x" bottom: "label" }'
        'layer { name: "out" type: "Power" bottom: "x" top: "out" }'
    )
    assert net.outputs == ["out"]
    assert net.top_names["one"] == net.top_names["two"] == ["(automatic)"]
    assert net.top_names["out"] == ["out"] and net.inputs == ["x", "label"]


def test_a_scalar_loss_takes_a_scalar_diff(net_of):
    net = net_of(
        'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }'
        "force_backward: true"
    )
    net.blobs["a"].data[...] = 4
    net.forward()
    found = net.backward(loss=np.float32(2))
    np.testing.assert_array_equal(found["a"], np.full((2, 3), 2 * 4 / 2))


def test_loading_and_saving_a_net_leaves_the_phase_alone(net_of):
    """`phase` and implicit loss weights are written for every layer, and read back to the same net."""
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
        'layer { name: "d" type: "Dropout" bottom: "x" top: "y" }'
    )
    net.save("x.caffemodel")
    saved = caffe_pb2.NetParameter.FromString(Path("x.caffemodel").read_bytes())
    assert [layer.phase for layer in saved.layer] == [caffe.TEST, caffe.TEST]
