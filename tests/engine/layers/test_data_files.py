"""Data and ImageData, and what all data layers share: order, resuming, threads, errors."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe._caffe import LayerError
from caffe._caffe.data import db
from tests.engine.support.data_case import (
    IMAGES,
    data,
    hdf5_data,
    image_data,
    labels,
    layer,
    make_hdf5,
    make_images,
    make_lmdb,
    make_windows,
    window_data,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_solver_and_a_seed() -> Iterator[None]:
    caffe.set_random_seed(0)
    yield
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)


# ---- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_records_in_order_and_across_the_end(net_of, phase, prefetch) -> None:
    make_lmdb()
    net = net_of(data(f"batch_size: 3 prefetch: {prefetch} rand_skip: 5"), phase)
    for batch in range(6):
        found = net.forward()
        expected = [(3 * batch + i) % 7 for i in range(3)]
        np.testing.assert_array_equal(found["label"], expected)
        np.testing.assert_array_equal(found["data"], IMAGES[expected])


@pytest.mark.parametrize("make", [make_lmdb, make_hdf5])
def test_of_several_solvers_each_takes_every_so_many(net_of, make) -> None:
    make()
    text, count = (data(), 7) if make is make_lmdb else (hdf5_data(), 12)
    caffe.set_solver_count(3)
    for rank in range(3):
        caffe.set_solver_rank(rank)
        assert labels(net_of(text, caffe.TRAIN), 5) == [(rank + 3 * i) % count for i in range(10)]
        assert labels(net_of(text, caffe.TEST), 5) == [i % count for i in range(10)]


@pytest.mark.parametrize("make", [make_lmdb, make_hdf5])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 3), (3, 2), (2, 1)])
def test_any_number_of_solvers_goes_on_from_where_others_were(net_of, make, before, after) -> None:
    """By the state of solver 0: together they read each record in its turn."""
    make()
    text, count = (data("batch_size: 1"), 7) if make is make_lmdb else (hdf5_data("batch_size: 1"), 12)
    caffe.set_solver_count(before)
    net = net_of(text, caffe.TRAIN)
    labels(net, 5)
    state = json.loads(json.dumps(net.layers[0].snapshot_state()))
    caffe.set_solver_count(after)
    found: dict[int, int] = {}
    for rank in range(after):
        caffe.set_solver_rank(rank)
        net = net_of(text, caffe.TRAIN)
        net.layers[0].restore_state(state)
        read = labels(net, 4)
        # The turns of this solver: the first at or after those that were had, of its number.
        first = 5 * before + (rank - 5 * before) % after
        found |= {first + after * i: label for i, label in enumerate(read)}
    assert found == {turn: turn % count for turn in range(5 * before, 5 * before + 4 * after)}


@pytest.mark.parametrize("solvers", [1, 2, 5, 13])
@pytest.mark.parametrize("batch", [1, 4, 5, 12, 31])
def test_rows_of_hdf5_files_go_on_across_files_and_the_end(net_of, solvers, batch) -> None:
    make_hdf5()
    caffe.set_solver_count(solvers)
    caffe.set_solver_rank(solvers - 1)
    net = net_of(hdf5_data(f"batch_size: {batch}"), caffe.TRAIN)
    for start in range(0, 3 * batch, batch):
        expected = [(solvers - 1 + solvers * i) % 12 for i in range(start, start + batch)]
        found = net.forward()
        np.testing.assert_array_equal(found["label"], expected)
        np.testing.assert_array_equal(found["data"], [[row, 10 * row] for row in expected])


def test_two_nets_read_one_database(net_of) -> None:
    make_lmdb()
    first, second = net_of(data()), net_of(data(), caffe.TRAIN)
    assert labels(first, 2) + labels(second, 1) + labels(first, 1) == [0, 1, 2, 3, 0, 1, 4, 5]


def test_a_list_is_parted_at_the_last_space(net_of, in_tmp) -> None:
    make_images()
    (in_tmp / "sub").mkdir()
    for name in ("sub/pre a b.png", "sub/pre3"):
        Image.fromarray(IMAGES[1, ::-1].transpose(1, 2, 0)).save(name, "PNG")
    Path("list.txt").write_text(" a b.png 12x\n3\n a b.png  -4\r\n")
    net = net_of(image_data('batch_size: 1 root_folder: "sub/pre"'))
    assert labels(net, 2) == [12, 3]
    with pytest.raises(LayerError, match=r"could not open image 'sub/pre a b.png '.*list.txt:3"):
        net.forward()


def test_shuffling_is_new_for_every_epoch_and_follows_the_seed(net_of) -> None:
    make_images()
    runs = []
    for seed in (1, 1, 2):
        caffe.set_random_seed(seed)
        runs.append(labels(net_of(image_data("batch_size: 7 shuffle: true")), 4))
    epochs = [tuple(runs[0][i : i + 7]) for i in range(0, 28, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 1
    assert runs[0] == runs[1] != runs[2]


def test_rand_skip_of_images(net_of) -> None:
    make_images()
    starts = {labels(net_of(image_data("batch_size: 1 rand_skip: 3")), 1)[0] for _ in range(30)}
    assert starts == {0, 1, 2}
    with pytest.raises(LayerError, match="Not enough points to skip: rand_skip 1000000000"):
        net_of(image_data("rand_skip: 1000000000"))


def test_the_shape_follows_the_first_image_of_a_batch(net_of) -> None:
    make_images()
    Image.fromarray(np.full((4, 9), 200, np.uint8)).save("im1.png")
    reader = 'layer { name: "%s" type: "Power" bottom: "data" top: "%s" }'
    net = net_of(image_data("batch_size: 1") + reader % ("p", "p") + reader % ("q", "q"))
    for shape in ((1, 3, 6, 8), (1, 3, 4, 9), (1, 3, 6, 8)):
        net.forward()
        assert net.blobs["p"].data.shape == shape
        np.testing.assert_array_equal(net.blobs["p"].data, net.blobs["data"].data)
        np.testing.assert_array_equal(net.blobs["q"].data, net.blobs["data"].data)
    with pytest.raises(LayerError, match=r"image 'im1.png' gives \(3, 4, 9\), the first .* \(3, 6, 8\)"):
        net_of(image_data("batch_size: 2")).forward()


def test_images_are_resized_then_cropped(net_of) -> None:
    make_images()
    net = net_of(image_data("batch_size: 1 new_height: 12 new_width: 16", "crop_size: 10"))
    image = Image.open("im0.png").resize((16, 12), Image.Resampling.BILINEAR)
    expected = np.asarray(image)[1:11, 3:13, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(net.forward()["data"][0], expected, atol=1.01)


def test_mirror_and_crop_of_data_at_train(net_of) -> None:
    make_lmdb(IMAGES[:1])
    net = net_of(data("batch_size: 50", "crop_size: 5 mirror: true mean_value: 3 scale: 2"), caffe.TRAIN)
    value = (IMAGES[0].astype(np.float32) - 3) * 2
    windows = [value[:, y : y + 5, x : x + 5] for y in range(2) for x in range(4)]
    expected = {w.tobytes() for window in windows for w in (window, np.ascontiguousarray(window[..., ::-1]))}
    found = {item.tobytes() for _ in range(4) for item in net.forward()["data"].copy()}
    assert found == expected


# ---- exact resume --------------------------------------------------------------------------------

LAYERS = {
    "Data": (make_lmdb, data("batch_size: 2", "mirror: true crop_size: 3")),
    "ImageData": (make_images, image_data("batch_size: 3 shuffle: true", "mirror: true")),
    "WindowData": (make_windows, window_data(transform="crop_size: 4 mirror: true")),
    "HDF5Data": (make_hdf5, hdf5_data("batch_size: 5 shuffle: true")),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batches", [0, 1, 5])
def test_a_saved_position_gives_the_same_batches_again(net_of, kind, batches) -> None:
    make, text = LAYERS[kind]
    make()

    def next_batches(net: caffe.Net) -> list[bytes]:
        return [net.forward()["data"].tobytes() + net.blobs["label"].data.tobytes() for _ in range(8)]

    net = net_of(text, caffe.TRAIN)
    for _ in range(batches):
        net.forward()
    state = json.loads(json.dumps(net.layers[0].snapshot_state()))
    expected = next_batches(net)
    assert len(set(expected)) > 1
    other = net_of(text, caffe.TRAIN)
    other.forward()
    for resumed in (net, other):
        resumed.layers[0].restore_state(state)
        assert resumed.layers[0].snapshot_state() == state
        assert next_batches(resumed) == expected


def training_solver(settings: str = "") -> caffe.SGDSolver:
    Path("train.prototxt").write_text(
        data("batch_size: 2", "mirror: true scale: 0.01") + 'layer { name: "ip" type: "InnerProduct" '
        'bottom: "data" top: "ip" inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
    )
    Path("solver.prototxt").write_text(
        'net: "train.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 snapshot_prefix: "s"' + settings
    )
    return caffe.SGDSolver("solver.prototxt")


def test_training_goes_on_where_its_snapshot_left_the_data(in_tmp) -> None:
    make_lmdb()
    solver = training_solver()
    solver.step(3)
    solver.snapshot()
    solver.step(5)
    resumed = training_solver()
    resumed.restore("s_iter_3.solverstate")
    resumed.step(5)
    np.testing.assert_array_equal(resumed.net.params["ip"][0].data, solver.net.params["ip"][0].data)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        (image_data(), image_data("shuffle: true")),
        (data(), data(transform="mirror: true")),
        (hdf5_data(), image_data()),
        (data(), hdf5_data()),
    ],
)
def test_a_position_in_other_data_is_refused(net_of, text, other) -> None:
    make_images(), make_lmdb(), make_hdf5()
    with pytest.raises(LayerError, match="saved position does not belong to its data"):
        net_of(text).layers[0].restore_state(net_of(other).layers[0].snapshot_state())


# ---- threads -------------------------------------------------------------------------------------


def test_an_error_met_ahead_comes_up_at_its_batch_and_again(net_of) -> None:
    make_images()
    Path("im4.png").unlink()
    net = net_of(image_data("batch_size: 1"))
    assert labels(net, 4) == [0, 1, 2, 3]
    for _ in range(2):
        with pytest.raises(LayerError, match=r"layer 'input' \(ImageData\).*im4.png.*list.txt:5"):
            net.forward()
    make_images()
    net.layers[0].restore_state(net.layers[0].snapshot_state())
    assert labels(net, 2) == [4, 5]


PREFETCHING = ("Data", "ImageData", "WindowData")


@pytest.fixture
def others() -> set[threading.Thread]:
    """The threads that other tests left, in tracebacks that pytest keeps."""
    return set(threading.enumerate())


def held(others: set[threading.Thread]) -> tuple[set[str], set[str]]:
    """The loading threads started since, and the open files of this folder where the system tells."""
    threads = {t.name for t in set(threading.enumerate()) - others if t.name.startswith("caffe")}
    files = set()
    for name in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            files.add(os.readlink(name))
    return threads, {path for path in files if path.startswith(str(Path.cwd()))}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", LAYERS)
def test_a_net_nobody_holds_is_freed_at_once(net_of, others, no_collector, kind) -> None:
    make, text = LAYERS[kind]
    make()
    nets = [net_of(text, caffe.TRAIN) for _ in range(3)]
    for net in nets[:2]:
        net.forward()
        net.layer_dict, net.params, net.top_names  # noqa: B018  what pycaffe keeps
    layers = [weakref.ref(net.layers[0]) for net in nets]
    threads, files = held(others)
    assert bool(threads) == (kind in PREFETCHING) and (files or kind != "Data")
    del net, nets
    assert [layer() for layer in layers] == [None] * 3
    assert held(others) == (set(), set())


@pytest.mark.parametrize("kind", PREFETCHING)
def test_a_closed_net_holds_nothing_and_loads_no_more(net_of, others, kind) -> None:
    make, text = LAYERS[kind]
    make()
    with net_of(text, caffe.TRAIN) as net, net_of(text) as untouched:
        expected = net.forward()["data"].copy()
    untouched.close()
    assert held(others) == (set(), set())
    np.testing.assert_array_equal(net.blobs["data"].data, expected)
    for closed in (net, untouched):
        with pytest.raises(LayerError, match=rf"layer 'input' \({kind}\).*closed.*build the net again"):
            closed.forward()


@pytest.mark.parametrize(
    "text",
    [
        data() + 'layer { type: "ReLU" bottom: "nowhere" top: "r" }',
        data("batch_size: 1", "crop_size: 7"),
        data() + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" }',
        data() + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" param { } }',
    ],
)
def test_a_net_that_cannot_be_built_holds_nothing(net_of, others, no_collector, text) -> None:
    make_lmdb()
    with pytest.raises(caffe.CaffeError) as kept:
        net_of(text)
    assert kept.value.__traceback__ is not None
    assert held(others) == (set(), set())


def test_a_solver_nobody_holds_is_freed_at_once(net_of, others, no_collector) -> None:
    make_lmdb()
    solver = training_solver("test_iter: 1 test_interval: 1 ")
    solver.add_callback(lambda: None, lambda: None)
    solver.step(2)
    nets = [weakref.ref(net) for net in (solver.net, *solver.test_nets)]
    assert held(others)[0] and held(others)[1]
    del solver
    assert [net() for net in nets] == [None, None]
    assert held(others) == (set(), set())


def test_a_net_in_a_cycle_is_freed_by_the_collector(net_of, others) -> None:
    make_lmdb()
    net = net_of(data())
    net.after_forward(lambda number, net=net: None)
    net.forward()
    del net
    gc.collect()
    assert held(others) == (set(), set())


def test_a_database_is_anybodys_once_its_net_is_gone(net_of, no_collector) -> None:
    plyvel = pytest.importorskip("plyvel")
    make_lmdb(backend="leveldb")
    text = data().replace("LMDB", "LEVELDB")
    for _ in range(3):
        net, other = net_of(text), net_of(text, caffe.TRAIN)
        assert labels(net, 1) + labels(other, 1) == [0, 1, 0, 1]
        del net
        assert labels(other, 1) == [2, 3]
        other.close()
        plyvel.DB("set").close()


def test_a_script_may_have_the_lmdb_of_a_net_open(net_of) -> None:
    make_lmdb()
    with lmdb.open("set") as script:
        first = net_of(data())
        assert labels(first, 2) == [0, 1, 2, 3]
        with script.begin(write=True) as transaction:
            transaction.delete(b"00000006")
        assert labels(net_of(data(), caffe.TRAIN), 4) == [0, 1, 2, 3, 4, 5, 0, 1]
    with lmdb.open("set", readonly=True) as script, script.begin() as transaction:
        assert len(list(transaction.cursor())) == 6
        assert labels(first, 1) == [4, 5]


@pytest.mark.parametrize("kind", PREFETCHING)
def test_the_interpreter_ends_while_a_net_loads_ahead(in_tmp, kind) -> None:
    make, text = LAYERS[kind]
    make()
    Path("net.prototxt").write_text(text.replace("batch_size: ", "batch_size: 10"))
    program = "import caffe; net = caffe.Net('net.prototxt', caffe.TRAIN); net.forward(); print('done')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (data("batch_size: 1").replace('"set"', '"nowhere"'), "could not open lmdb 'nowhere': No such file"),
        (data(""), "batch_size must be positive"),
        (layer("Data", "data_param { batch_size: 1 }"), "data_param.source is not set"),
        (
            data("batch_size: 1", "crop_size: 7"),
            r"record '00000000' of 'set' is \(3, 6, 8\).*smaller than crop_size 7",
        ),
        (data("batch_size: 1", 'mean_file: "nowhere"'), "Could not open file nowhere"),
        (data("batch_size: 1", tops="a b c"), "1 to 2"),
        (image_data("batch_size: 0"), "batch_size must be positive"),
        (image_data("new_width: 4"), "new_height and new_width must be set at the same time"),
        (image_data().replace("list.txt", "nowhere.txt"), "could not open the list of images 'nowhere.txt'"),
        (image_data().replace("list.txt", "empty.txt"), "File is empty: 'empty.txt'"),
        (image_data('root_folder: "no"'), "could not open image 'noim0.png'.*list.txt:1"),
        (hdf5_data(""), "batch_size must be positive"),
        (hdf5_data().replace("h5.txt", "nowhere.txt"), "Failed to open source file 'nowhere.txt'"),
        (
            hdf5_data().replace("h5.txt", "empty.txt"),
            "Must have at least 1 HDF5 filename listed in empty.txt",
        ),
        (hdf5_data()[:-1] + "transform_param { } }", "HDF5Data does not transform data"),
    ],
)
def test_what_is_refused_when_the_net_is_built(net_of, text, message) -> None:
    make_lmdb(), make_images(), make_hdf5()
    Path("empty.txt").touch()
    with pytest.raises(caffe.CaffeError, match=message):
        net_of(text)


def test_a_rank_beyond_the_solvers_is_refused(net_of) -> None:
    make_lmdb()
    caffe.set_solver_rank(2)
    with pytest.raises(LayerError, match="solver_rank 2 of solver_count 1"):
        net_of(data(), caffe.TRAIN)


def test_records_that_are_no_datums(net_of) -> None:
    with db.Writer("set", "lmdb") as writer:
        writer.put("a", b"\xff\xff\xff")
    with pytest.raises(LayerError, match="record 'a' of 'set' is not a Datum"):
        net_of(data())


def test_records_of_other_sizes(net_of) -> None:
    make_lmdb([IMAGES[0], IMAGES[1, :, :4]])
    with pytest.raises(
        LayerError, match=r"record '00000001' of 'set' gives \(3, 4, 8\), the first .* \(3, 6, 8\)"
    ):
        net_of(data()).forward()
    net = net_of(data("batch_size: 1"))
    assert [net.forward()["data"].shape[2] for _ in range(3)] == [6, 4, 6]


def test_forcing_colour_on_raw_records_is_logged_once(net_of, glog) -> None:
    make_lmdb()
    logged = net_of(data(transform="force_color: true force_gray: true")).forward()
    assert logged["data"].shape == (2, 3, 6, 8)
    assert sum("force_color and force_gray only for encoded datum" in line for line in glog) == 1


def test_the_log_says_what_is_read(net_of, glog) -> None:
    make_images()
    net_of(image_data("shuffle: true rand_skip: 1"))
    start = glog.index("Opening file list.txt")
    assert glog[start + 1 : start + 4] == [
        "Shuffling data",
        "A total of 7 images.",
        "Skipping first 0 data points.",
    ]
