"""`caffe.Classifier`, as scripts of Caffe's first years call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import caffe.io

# The scores are the mean of each channel of the crop: a judge needs no convolution.
MEANS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 } } }
layer { name: "scale" type: "Scale" bottom: "data" top: "scale" }
layer { name: "mean" type: "Pooling" bottom: "scale" top: "mean"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "flat" type: "Flatten" bottom: "mean" top: "flat" }
"""


@pytest.fixture
def files(in_tmp: Path) -> tuple[str, str]:
    Path("deploy.prototxt").write_text(MEANS)
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    net.params["scale"][0].data[...] = 1
    net.save("weights.caffemodel")
    return "deploy.prototxt", "weights.caffemodel"


def images(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random(shape, np.float32) for shape in shapes]


def test_centre_crops(files: tuple[str, str]) -> None:
    inputs = images((8, 10, 3), (8, 10, 3), (8, 10, 3))
    scores = caffe.Classifier(*files, image_dims=(8, 10)).predict(inputs, oversample=False)
    np.testing.assert_allclose(scores, [image[2:6, 2:8].mean((0, 1)) for image in inputs], atol=1e-6)


def test_ten_crops_are_averaged(files: tuple[str, str]) -> None:
    inputs = images((8, 10, 3), (8, 10, 3), (8, 10, 3))
    classifier = caffe.Classifier(
        *files, image_dims=(8, 10), mean=np.array([3.0, 2.0, 1.0]), raw_scale=255, channel_swap=(2, 1, 0),
        input_scale=0.5,
    )  # fmt: skip
    starts = (0, 0), (0, 4), (4, 0), (4, 4), (2, 2)
    crops = np.mean([[im[y : y + 4, x : x + 6].mean((0, 1)) for y, x in starts] for im in inputs], axis=1)
    want = (crops[:, ::-1] * 255 - [3, 2, 1]) * 0.5
    np.testing.assert_allclose(classifier.predict(inputs), want, rtol=1e-5)


def test_images_of_different_sizes_are_resized(files: tuple[str, str]) -> None:
    inputs = images((5, 9, 3), (12, 7, 3))
    want = [caffe.io.resize_image(image, (4, 6)).mean((0, 1)) for image in inputs]
    np.testing.assert_allclose(caffe.Classifier(*files).predict(inputs, False), want, atol=1e-6)


def test_a_whole_script(files: tuple[str, str]) -> None:
    """The classification example of Caffe's documentation after 2to3."""
    Image.new("RGB", (30, 20), (0, 51, 255)).save("cat.jpg", quality=100)
    np.save("mean.npy", np.full((3, 9, 9), 25.5))
    caffe.set_mode_cpu()
    net = caffe.Classifier(
        files[0], files[1], mean=np.load("mean.npy").mean(1).mean(1), channel_swap=(2, 1, 0), raw_scale=255,
        image_dims=(8, 8),
    )  # fmt: skip
    input_image = caffe.io.load_image("cat.jpg")
    prediction = net.predict([input_image])
    assert prediction[0].shape == (3,)
    assert prediction[0].argmax() == 0  # blue comes first: the net reads BGR
    shape = net.blobs["data"].data.shape
    assert [(k, v.data.shape) for k, v in net.blobs.items()][0] == ("data", shape)
    crop = net.transformer.deprocess("data", net.blobs["data"].data[0])
    np.testing.assert_allclose(crop.mean((0, 1)), [0, 0.2, 1], atol=0.05)


def test_what_it_cannot_classify_is_refused(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(*files, image_dims=(3, 6))
    for inputs in ([], images((5, 5, 3))[0]):
        with pytest.raises(IndexError, match="list of images"):
            classifier.predict(inputs)
    for oversample in (True, False):
        with pytest.raises(ValueError, match="3"):
            classifier.predict(images((5, 5, 3)), oversample)
    with pytest.raises(RuntimeError, match="absent.caffemodel"):
        caffe.Classifier(files[0], "absent.caffemodel")
