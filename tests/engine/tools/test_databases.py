"""convert_imageset, compute_image_mean and extract_features, on files they make."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.proto.caffe_pb2 import BlobProto, Datum
from caffe.tools import compute_image_mean, convert_imageset, extract_features

lmdb = pytest.importorskip("lmdb")

SIZES = {"a b.png": (6, 5), "c.png": (6, 5), "d.jpg": (6, 5), "e.png": (6, 5)}


@pytest.fixture
def images(in_tmp: Path) -> dict[str, np.ndarray]:
    """Images in images/ and list.txt, with one line that names no image; RGB pixels by name."""
    Path("images").mkdir()
    rng = np.random.default_rng(3)
    found = {}
    for name, (width, height) in SIZES.items():
        found[name] = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(found[name]).save(Path("images", name), quality=95)
    Path("list.txt").write_text("a b.png 7\nmissing.png 1\nc.png -2\nd.jpg 3\ne.png x\n")
    return found


def records(path: str) -> dict[str, Datum]:
    with lmdb.open(path, readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {key.decode(): Datum.FromString(value) for key, value in transaction.cursor()}


def pixels(datum: Datum) -> np.ndarray:
    shape = datum.channels, datum.height, datum.width
    return np.frombuffer(datum.data, np.uint8).reshape(shape)


def test_pixels_labels_and_keys(images, capsys):
    assert convert_imageset.main(["images/", "list.txt", "db"]) == 0
    found = records("db")
    # The key is the line's number; the line of the missing image leaves a gap.
    assert list(found) == ["00000000_a b.png", "00000002_c.png", "00000003_d.jpg", "00000004_e.png"]
    assert [datum.label for datum in found.values()] == [7, -2, 3, 0]
    for name in ("a b.png", "c.png", "e.png"):
        (datum,) = (datum for key, datum in found.items() if key.endswith(name))
        np.testing.assert_array_equal(pixels(datum), images[name][:, :, ::-1].transpose(2, 0, 1))
        assert not datum.encoded
    log = capsys.readouterr().err
    assert "A total of 5 images." in log and "images/missing.png" in log and "Processed 4 files." in log


def test_encoded_images_are_the_files_unless_something_changes(images):
    assert convert_imageset.main(["-encoded", "images/", "list.txt", "same"]) == 0
    assert convert_imageset.main(["images/", "list.txt", "png", "--encode_type=png"]) == 0
    small = ["-encoded", "-resize_width=3", "-resize_height", "4"]
    assert convert_imageset.main([*small, "images/", "list.txt", "small"]) == 0
    for key, datum in records("same").items():
        assert datum.encoded and datum.data == Path("images", key[9:]).read_bytes()
    jpeg = records("png")["00000003_d.jpg"]
    assert jpeg.data.startswith(b"\x89PNG") and jpeg.data != Path("images/d.jpg").read_bytes()
    with Image.open(io.BytesIO(records("small")["00000002_c.png"].data)) as image:
        assert image.size == (3, 4)


def test_gray_resize_and_shuffle(images):
    argv = ["-gray", "-resize_width", "4", "-resize_height", "3", "-shuffle", "images/", "list.txt", "db"]
    assert convert_imageset.main(argv) == 0
    found = records("db")
    assert {(d.channels, d.height, d.width) for d in found.values()} == {(1, 3, 4)}
    assert {key[9:]: datum.label for key, datum in found.items()} == {
        "a b.png": 7, "c.png": -2, "d.jpg": 3, "e.png": 0,
    }  # fmt: skip


def test_check_size(images, capsys):
    Image.new("RGB", (9, 9)).save("images/c.png")
    assert convert_imageset.main(["images/", "list.txt", "mixed"]) == 0
    assert convert_imageset.main(["-check_size", "images/", "list.txt", "refused"]) == 134
    assert "images/c.png" in capsys.readouterr().err.splitlines()[-1]


def test_a_database_is_not_overwritten(images, capsys):
    assert convert_imageset.main(["images/", "list.txt", "db"]) == 0
    before = records("db")
    assert convert_imageset.main(["images/", "list.txt", "db"]) == 134
    assert "'db'" in capsys.readouterr().err and records("db") == before


@pytest.mark.parametrize(("tool", "argv"), [
    (convert_imageset, ["images/", "list.txt"]),
    (compute_image_mean, []),
    (compute_image_mean, ["a", "b", "c"]),
    (extract_features, ["w", "n", "b", "db", "1"]),
])  # fmt: skip
def test_other_numbers_of_words_show_the_usage(tool, argv, capsys):
    assert tool.main(argv) == 1
    assert "usage: " in "".join(capsys.readouterr())


def test_the_mean_is_numpy_s_and_serves_as_mean_file(images, net_of, capsys):
    convert_imageset.main(["images/", "list.txt", "db"])
    assert compute_image_mean.main(["db", "mean.binaryproto"]) == 0
    stack = np.stack([pixels(datum) for datum in records("db").values()])
    blob = BlobProto.FromString(Path("mean.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 5, 6)
    np.testing.assert_allclose(caffe.io.blobproto_to_array(blob)[0], stack.mean(0), 1e-6)
    logged = [line for line in capsys.readouterr().err.splitlines() if "mean_value channel" in line]
    want = [f"mean_value channel [{c}]: {mean:g}" for c, mean in enumerate(stack.mean((0, 2, 3)))]
    assert [line.split("] ", 1)[1] for line in logged] == want

    net = net_of(
        'layer { name: "d" type: "Data" top: "data" data_param { source: "db" backend: LMDB batch_size: 4 } '
        'transform_param { mean_file: "mean.binaryproto" } }'
    )
    np.testing.assert_allclose(net.forward()["data"], stack - stack.mean(0), atol=1e-4)


def test_the_mean_of_encoded_images_and_of_different_sizes(images, capsys):
    convert_imageset.main(["-encode_type=png", "images/", "list.txt", "encoded"])
    convert_imageset.main(["images/", "list.txt", "plain"])
    means = [compute_image_mean.mean_image(path, "lmdb") for path in ("encoded", "plain")]
    np.testing.assert_array_equal(*means)
    Image.new("RGB", (9, 9)).save("images/c.png")
    convert_imageset.main(["images/", "list.txt", "mixed"])
    assert compute_image_mean.main(["mixed"]) == 134
    assert "00000002_c.png" in capsys.readouterr().err.splitlines()[-1]


NET = """
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "db" backend: LMDB batch_size: 3 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.01 } } }
"""


def test_features_are_the_blobs_item_by_item(images, net_of):
    convert_imageset.main(["images/", "list.txt", "db"])
    net = net_of(NET)
    net.save("net.caffemodel")
    argv = ["net.caffemodel", "net.prototxt", "conv,fc", "conv_db,fc_db", "3", "lmdb", "CPU"]
    assert extract_features.main(argv) == 0
    batches = []
    for _ in range(3):
        net.forward()
        batches.append({name: net.blobs[name].data.copy() for name in ("conv", "fc")})
    for name, shape in (("conv", (2, 3, 4)), ("fc", (4, 1, 1))):
        found = records(f"{name}_db")
        assert list(found) == [f"{number:010d}" for number in range(9)]
        assert {(d.channels, d.height, d.width) for d in found.values()} == {shape}
        assert not any(datum.HasField("label") or datum.data for datum in found.values())
        got = np.array([datum.float_data for datum in found.values()]).reshape(9, *shape)
        want = np.concatenate([batch[name] for batch in batches]).reshape(9, *shape)
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(("change", "message"), [
    ({2: "nope"}, "Unknown feature blob name nope"),
    ({3: "one,two"}, "1 blobs, but 2 databases"),
    ({4: "many"}, "the number of batches is a whole number, not 'many'"),
    ({5: "sqlite"}, "sqlite"),
])  # fmt: skip
def test_what_cannot_be_extracted(change, message, images, net_of, capsys):
    convert_imageset.main(["images/", "list.txt", "db"])
    net_of(NET).save("net.caffemodel")
    argv = ["net.caffemodel", "net.prototxt", "fc", "out", "1", "lmdb"]
    for position, word in change.items():
        argv[position] = word
    assert extract_features.main(argv) == 134
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_leveldb(images):
    plyvel = pytest.importorskip("plyvel")
    assert convert_imageset.main(["-backend", "leveldb", "images/", "list.txt", "level"]) == 0
    assert convert_imageset.main(["images/", "list.txt", "lm"]) == 0
    with plyvel.DB("level") as database:
        found = {key.decode(): Datum.FromString(value) for key, value in database}
    assert found == records("lm")
