"""`caffe compare`: the first layer that diverges is the one that was changed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.tools.commands import compare
from caffe.tools.commands.compare import Inputs, Side

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 7 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: SLOPE } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: POOL kernel_size: 2 } }
"""
ENGINE = Path(caffe.__file__).parents[1]


def write(name: str, slope: str = "0", pool: str = "MAX") -> str:
    Path(name).write_text(NET.replace("SLOPE", slope).replace("POOL", pool))
    return name


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_equal_nets_agree(in_tmp, capsys):
    assert compare.main([write("a.prototxt"), write("b.prototxt")]) == 0
    assert last_line(capsys) == "all 4 blobs agree"


def test_the_layer_in_place_is_told_from_the_one_before(in_tmp, capsys):
    assert compare.main([write("a.prototxt"), write("b.prototxt", slope="0.5", pool="AVE")]) == 1
    assert last_line(capsys).startswith("first layer that diverges: 'relu' (ReLU): top 'conv' differs by ")


def test_the_difference_is_the_largest_over_the_blob(in_tmp):
    rows = compare.compare(Side(write("a.prototxt")), Side(write("b.prototxt", slope="0.5")), Inputs())
    caffe.set_random_seed(compare.SEED)
    net = caffe.Net("a.prototxt", caffe.TEST)
    net.blobs["data"].data[...] = compare.input_values("a.prototxt", Inputs())["data"]
    conv = net.forward(end="conv")["conv"]
    relu = next(row for row in rows if row.layer == "relu")
    np.testing.assert_allclose(relu.absolute, -0.5 * conv.min(), rtol=1e-5)
    np.testing.assert_allclose(relu.relative, -0.5 * conv.min() / conv.max(), rtol=1e-5)


def test_weights_are_those_of_the_files(in_tmp, capsys):
    net = caffe.Net(write("a.prototxt"), caffe.TEST)
    net.save("one.caffemodel")
    net.params["conv"][1].data[2] += 1
    net.save("two.caffemodel")
    arguments = ["a.prototxt", "--weights", "one.caffemodel", "--weights-b"]
    assert compare.main([*arguments, "one.caffemodel"]) == 0
    capsys.readouterr()
    assert compare.main([*arguments, "two.caffemodel"]) == 1
    out = capsys.readouterr().out
    assert "'conv' (Convolution): top 'conv' differs by 1," in out


def test_another_interpreter_runs_b(in_tmp, capsys):
    engine = ["--engine-b", sys.executable, "--pythonpath-b", str(ENGINE)]
    assert compare.main([write("a.prototxt"), *engine]) == 0
    assert last_line(capsys) == "all 4 blobs agree"


def test_another_engine_is_found_through_its_folder(in_tmp, capsys):
    """A second `caffe`: ours, but for a ReLU that forgets its slope."""
    package = Path("other/caffe")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        f"import sys; sys.path.insert(0, {str(ENGINE)!r}); del sys.modules['caffe']\n"
        "import caffe\n"
        "class ReLU(caffe.Layer):\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = bottom[0].data.clip(0)\n"
        "caffe.register_layer('ReLU', ReLU, replace=True)\n"
        "sys.modules['caffe'] = caffe\n"
    )
    arguments = [write("a.prototxt", slope="0.5"), "--pythonpath-b", "other"]
    assert compare.main(arguments) == 1
    assert "'relu' (ReLU)" in last_line(capsys)


def test_an_image_is_given_blue_first_minus_the_mean(in_tmp):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    Image.fromarray(pixels).save("x.png")
    values = compare.input_values(write("a.prototxt"), Inputs(image="x.png", mean=(10, 20, 30)))["data"]
    want = pixels[:, :, ::-1].transpose(2, 0, 1) - np.array([10, 20, 30]).reshape(3, 1, 1)
    np.testing.assert_allclose(values[0], want, atol=1e-3)


def test_labels_are_zeros_and_other_inputs_noise(in_tmp):
    Path("a.prototxt").write_text(
        """layer { name: "in" type: "Input" top: "x" top: "truth"
                   input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
           layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "truth" top: "loss" }"""
    )
    values = compare.input_values("a.prototxt", Inputs())
    assert values["x"].std() > 0.1 and not values["truth"].any()


def test_layers_of_one_net_only_are_listed_and_do_not_fail(in_tmp, capsys):
    write("a.prototxt")
    Path("b.prototxt").write_text(Path("a.prototxt").read_text().replace('"pool"', '"other"'))
    assert compare.main(["a.prototxt", "b.prototxt"]) == 0
    out = capsys.readouterr().out
    assert "only in A" in out and "only in B" in out and "all 3 blobs agree" in out


def test_other_shapes_diverge(in_tmp, capsys):
    write("a.prototxt")
    Path("b.prototxt").write_text(Path("a.prototxt").read_text().replace("kernel_size: 2", "kernel_size: 3"))
    assert compare.main(["a.prototxt", "b.prototxt"]) == 1
    assert "shape (1, 4, 6, 4) and (1, 4, 5, 3)" in last_line(capsys)


def test_what_cannot_run_has_a_status_of_its_own(in_tmp, capsys):
    write("a.prototxt")
    assert compare.main(["gone.prototxt"]) == 2
    assert "gone.prototxt" in capsys.readouterr().err
    assert compare.main(["a.prototxt", "--engine-b", sys.executable, "--weights-b", "gone.caffemodel"]) == 2
    assert "gone.caffemodel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("a", "b", "agrees"),
    [
        ([1.0, np.nan], [1.0, np.nan], True),
        ([1.0, np.inf], [1.0, np.inf], True),
        ([1.0, np.inf], [1.0, -np.inf], False),
        ([1.0, np.nan], [1.0, 2.0], False),
        ([1.0, 100.0], [1.009, 100.0], True),
        ([1.0, 100.0], [1.02, 100.0], False),
        ([], [], True),
    ],
)
def test_difference_is_held_against_the_largest_value(a, b, agrees):
    assert compare.difference(np.array(a), np.array(b), 1e-4, 0)[2] is agrees
