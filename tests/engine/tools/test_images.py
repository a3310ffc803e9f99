"""classify, detect and draw_net, on images and nets they are given."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.tools import classify, detect, draw_net, images

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
MODEL = ["--model_def", "net.prototxt", "--pretrained_model", "net.caffemodel"]


@pytest.fixture
def folder(net_of: Callable[..., caffe.Net]) -> Path:
    """net.prototxt, net.caffemodel, and three images in images/."""
    net_of(NET).save("net.caffemodel")
    Path("images").mkdir()
    rng = np.random.default_rng(5)
    for name in "cab":
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), np.uint8)).save(f"images/{name}.png")
    return Path("images")


def expected(names: str, oversample: bool, **settings: Any) -> np.ndarray:
    defaults = {"image_dims": (10, 9), "raw_scale": 255, "channel_swap": (2, 1, 0)}
    classifier = caffe.Classifier("net.prototxt", "net.caffemodel", **{**defaults, **settings})
    return classifier.predict([caffe.io.load_image(f"images/{name}.png") for name in names], oversample)


@pytest.mark.parametrize("centre", [False, True])
def test_a_folder_is_classified_in_the_order_of_names(centre, folder, capsys):
    argv = [str(folder), "out.npy", *MODEL, "--images_dim", "10,9", "--mean_file", "", "--ext", "png"]
    assert classify.main(argv + ["--center_only"] * centre) == 0
    np.testing.assert_array_equal(np.load("out.npy"), expected("abc", not centre))
    said = capsys.readouterr().out
    for line in ("CPU mode", "Loading folder: images", "Classifying 3 inputs.", "Saving results into"):
        assert line in said


def test_one_image_and_an_array(folder):
    options = [*MODEL, "--images_dim=10,9", "--mean_file="]
    assert classify.main(["images/b.png", "one.npy", *options]) == 0
    np.save("in.npy", np.stack([caffe.io.load_image(f"images/{name}.png") for name in "ab"]))
    assert classify.main(["in.npy", "two.npy", *options]) == 0
    np.testing.assert_array_equal(np.load("one.npy"), expected("b", True))
    np.testing.assert_array_equal(np.load("two.npy"), expected("ab", True))


def test_scales_swap_and_mean(folder):
    mean = np.random.default_rng(1).uniform(0, 200, (3, 8, 8)).astype(np.float32)
    np.save("mean.npy", mean)
    blob = caffe.proto.caffe_pb2.BlobProto(num=1, channels=3, height=8, width=8, data=mean.ravel().tolist())
    Path("mean.binaryproto").write_bytes(blob.SerializeToString())
    np.testing.assert_array_equal(images.read_mean("mean.binaryproto"), mean)
    want = expected("a", True, mean=mean, raw_scale=100.0, input_scale=0.5, channel_swap=None)
    for path in ("mean.npy", "mean.binaryproto"):
        argv = ["images/a.png", "out.npy", *MODEL, "--images_dim", "10,9", "--mean_file", path]
        assert classify.main([*argv, "--raw_scale", "100", "--input_scale", "0.5", "--channel_swap", ""]) == 0
        np.testing.assert_array_equal(np.load("out.npy"), want)


@pytest.mark.parametrize(("change", "message"), [
    (["--mean_file", "none.npy"], "there is no mean file 'none.npy'"),
    (["--mean_file", "net.prototxt"], "'net.prototxt' is not an array in NumPy's format"),
    (["--mean_file", "flat.npy", "--ext", "png"], "Mean channels incompatible with input: 4, not 3"),
    (["--mean_file=", "--images_dim", "4,4", "--ext", "png"], ""),
    (["--mean_file", "garbage"], "'garbage' is not an array in NumPy's format (.npy)"),
    (["--mean_file", "cut.npy"], "'cut.npy' is a damaged array"),
    (["--mean_file=", "--images_dim", "ten"], "'ten': whole numbers separated by commas"),
    (["--mean_file=", "--images_dim", "8"], "--images_dim 8: height,width"),
    (["--mean_file=", "--images_dim", "0,0"], "--images_dim 0,0: height,width"),
    (["--mean_file=", "--channel_swap", "7,8,9"], "--channel_swap 7,8,9: each channel"),
    (["--mean_file=", "--ext", "gif"], "there are no *.gif in the folder 'images'; it has png"),
    (["--mean_file=", "--pretrained_model", "no.caffemodel"], "no.caffemodel"),
    (["--mean_file=", "--model_def", "fed.prototxt"], "'fed.prototxt' has no input"),
])  # fmt: skip
def test_what_cannot_be_classified(change, message, folder, capsys):
    np.save("flat.npy", np.zeros(4))
    Path("garbage").write_bytes(bytes(range(256)))
    Path("fed.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'
    )
    Path("cut.npy").write_bytes(Path("flat.npy").read_bytes()[:-5])
    assert classify.main(["images", "out.npy", *MODEL, *change]) == 134
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_as_a_camera_fills_it(folder):
    for name in "ab":
        (folder / f"{name}.png").rename(folder / f"{name}.PNG")
    argv = ["images", "out.npy", *MODEL, "--images_dim", "10,9", "--mean_file", ""]
    assert classify.main([*argv, "--ext", "png"]) == 0
    upper, lower = np.load("out.npy"), len(list(folder.glob("*.png")))
    assert len(upper) == 3 and lower == 1


@pytest.mark.parametrize("path", ["in.npy", "./in.npy", "link.npy"])
def test_scores_do_not_replace_the_images(path, folder, capsys):
    np.save("in.npy", np.stack([caffe.io.load_image(f"images/{name}.png") for name in "ab"]))
    Path("link.npy").symlink_to("in.npy")
    before = Path("in.npy").read_bytes()
    assert classify.main(["in.npy", path, *MODEL, "--images_dim=10,9", "--mean_file="]) == 134
    assert "is read here" in capsys.readouterr().err and Path("in.npy").read_bytes() == before
    assert draw_net.main(["net.prototxt", "net.prototxt"]) == 134


WINDOWS = """\
filename,xmin,ymin,xmax,ymax
images/a.png,1,2,9,10
images/b.png,0,0,10,12
images/a.png,3,3,8,8
"""


@pytest.mark.parametrize("kind", ["csv", "h5"])
def test_windows_are_scored(kind, folder):
    Path("windows.csv").write_text(WINDOWS)
    argv = ["windows.csv", f"out.{kind}", *MODEL, "--mean_file=", "--crop_mode", "list", "--context_pad", "2"]
    assert detect.main(argv) == 0
    detector = caffe.Detector(
        "net.prototxt", "net.caffemodel", raw_scale=255, channel_swap=(2, 1, 0), context_pad=2
    )
    windows = {"images/a.png": [(2, 1, 10, 9), (3, 3, 8, 8)], "images/b.png": [(0, 0, 12, 10)]}
    found = detector.detect_windows(windows.items())
    want = np.stack([each["prediction"] for each in found])
    if kind == "h5":
        with h5py.File("out.h5") as file:
            names = [name.decode() for name in file["df/axis1"]]
            boxes = file["df/block0_values"][()]
            column = pickle.loads(file["df/block1_values"][0].tobytes())  # noqa: S301  ours
            scores = np.stack(list(column[:, 0]))
    else:
        with open("out.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        names = [row["filename"] for row in rows]
        boxes = [[float(row[side]) for side in detect.COORDINATES] for row in rows]
        scores = [[float(row[f"class{k}"]) for k in range(4)] for row in rows]
    assert names == ["images/a.png", "images/a.png", "images/b.png"]
    np.testing.assert_array_equal(boxes, [each["window"] for each in found])
    np.testing.assert_allclose(scores, want, rtol=1e-6)


def test_pandas_reads_the_frame_that_caffes_detect_writes(folder):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables", reason="pandas reads HDF5 through it")
    Path("images/ü.png").write_bytes(Path("images/c.png").read_bytes())
    Path("windows.csv").write_text(WINDOWS + "images/ü.png,0,1,8,9\n", encoding="utf-8")
    argv = ["windows.csv", "out.h5", *MODEL, "--mean_file=", "--crop_mode", "list", "--context_pad", "0"]
    assert detect.main(argv) == 0
    frame = pandas.read_hdf("out.h5", "df")
    assert list(frame.columns) == ["prediction", "ymin", "xmin", "ymax", "xmax"]
    assert list(frame.index) == ["images/a.png", "images/a.png", "images/b.png", "images/ü.png"]
    assert frame.index.name == "filename"
    assert frame.loc["images/b.png", ["ymin", "xmin", "ymax", "xmax"]].tolist() == [0, 0, 12, 10]
    detector = caffe.Detector("net.prototxt", "net.caffemodel", raw_scale=255, channel_swap=(2, 1, 0))
    (want,) = detector.detect_windows([("images/b.png", [(0, 0, 12, 10)])])
    np.testing.assert_allclose(frame.loc["images/b.png", "prediction"], want["prediction"], rtol=1e-6)


def test_without_a_mean_file_the_packages_is_subtracted_and_a_warning_says_what_it_is(folder, capsys):
    package = Path(caffe.__file__).parent / "imagenet/ilsvrc_2012_mean.npy"
    means = np.array([104.00698793, 116.66876762, 122.67891434])
    mean = np.load(package)
    assert mean.shape == (3, 256, 256)
    np.testing.assert_array_equal(mean, np.broadcast_to(means.astype(np.float32)[:, None, None], mean.shape))
    assert classify.main(["images/a.png", "out.npy", *MODEL, "--images_dim", "10,9"]) == 0
    np.testing.assert_allclose(np.load("out.npy"), expected("a", True, mean=mean), rtol=1e-5)
    assert "not the mean image" in capsys.readouterr().err
    assert classify.main(["images/a.png", "out.npy", *MODEL, "--images_dim", "10,9", "--mean_file", ""]) == 0
    assert "not the mean image" not in capsys.readouterr().err


def test_windows_are_given_the_means_of_a_mean_images_channels(folder):
    Path("windows.csv").write_text(WINDOWS)
    mean = np.random.default_rng(2).uniform(0, 200, (3, 20, 20))
    np.save("image.npy", mean)
    np.save("channels.npy", mean.mean((1, 2)))
    for name in ("image", "channels"):
        argv = ["windows.csv", f"{name}.csv", *MODEL, "--mean_file", f"{name}.npy", "--crop_mode", "list"]
        assert detect.main([*argv, "--context_pad", "2"]) == 0
    found = [np.loadtxt(f"{name}.csv", delimiter=",", skiprows=1, usecols=range(1, 9))
             for name in ("image", "channels")]  # fmt: skip
    assert found[0].shape == (3, 8)
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.mark.parametrize(("argv", "message"), [
    (["list.doc", "out.csv"], "Unknown input file type"),
    (["windows.csv", "out.txt"], "Unknown output file type"),
    (["list.txt", "out.csv"], "--crop_mode list needs windows"),
    (["short.csv", "out.csv"], "'short.csv' has no column ymax, ymin"),
    (["bad.csv", "out.csv"], "bad.csv:2: the coordinates are four numbers"),
])  # fmt: skip
def test_what_cannot_be_detected(argv, message, folder, capsys):
    Path("windows.csv").write_text(WINDOWS)
    Path("short.csv").write_text("filename,xmin,xmax\n")
    Path("bad.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,1,2,3\n")
    assert detect.main([*argv, *MODEL, "--mean_file=", "--crop_mode=list"]) == 134
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_proposals_need_their_module(folder, capsys):
    Path("list.txt").write_text("images/a.png\n")
    assert detect.main(["list.txt", "out.csv", *MODEL, "--mean_file=", "--context_pad=1"]) == 134
    assert "selective_search_ijcv_with_python" in capsys.readouterr().err.splitlines()[-1]


def test_a_net_of_an_old_format_is_drawn(in_tmp, capsys):
    pytest.importorskip("pydot")
    Path("old.prototxt").write_text(
        'input: "x" input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2 '
        'layers { name: "ip" type: INNER_PRODUCT bottom: "x" top: "ip" '
        "inner_product_param { num_output: 2 } }"
        'layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" bottom: "x" include { phase: TRAIN } }'
    )
    for phase, drawn in (("ALL", True), ("TRAIN", True), ("TEST", False)):
        assert draw_net.main(["old.prototxt", "net.raw", "--rankdir", "TB", "--phase", phase]) == 0
        text = Path("net.raw").read_text()
        assert "rankdir=TB" in text and "ip_InnerProduct" in text
        assert ("loss_SoftmaxWithLoss" in text) == drawn
    assert "Drawing net to net.raw" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        draw_net.main(["old.prototxt", "net.raw", "--phase", "BOTH"])
