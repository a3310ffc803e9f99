"""Parameters from and to files: matching by name, shapes, both formats, nothing half loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffe._caffe import weights
from caffe._caffe.blob import make_blob
from caffe._caffe.errors import CaffeError, WeightsError
from caffe._caffe.weights import LoadTarget
from caffe.proto import caffe_pb2 as pb
from tests.engine.support.weight_case import Shapes, layer, logged, numbered, untouched


def save(path: Path, layers: list[LoadTarget], with_diff: bool = False) -> Path:
    params = [(pb.LayerParameter(name=each.name, type=each.type), each.blobs) for each in layers]
    weights.save_binary(path, "net", params, with_diff)
    return path


# ---- both formats --------------------------------------------------------------------------------


@pytest.fixture(params=["binary", "hdf5"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """A function that writes layers in one of the formats, under a name that tells nothing."""

    def write(*layers: LoadTarget) -> Path:
        path = tmp_path / "weights.dat"
        if request.param == "binary":
            return save(path, list(layers))
        weights.save_hdf5(path, list(layers))
        return path

    return write


def test_layers_are_matched_by_name(written) -> None:
    path = written(*numbered(layer("a", (2, 3), (2,)), layer("gone", (4,)), layer("b", (5,)), layer("relu")))
    b, new, a = layer("b", (5,)), layer("new", (2,)), layer("a", (2, 3), (2,))
    with logged() as lines:
        weights.load(path, [b, new, a])
    np.testing.assert_array_equal(a.blobs[0].data, np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(a.blobs[1].data, [0, 1])
    np.testing.assert_array_equal(b.blobs[0].data, np.arange(5))
    assert untouched(new)
    assert lines == ["INFO Ignoring source layer gone", "INFO Ignoring source layer relu"]


@pytest.mark.parametrize(
    "found,wanted",
    [
        (((5, 126), (5,)), ((4, 126), (4,))),
        (((2, 3), (2,)), ((2, 3), (3,))),
        (((2, 3), (2,)), ((2, 3, 1, 1), (2,))),
        (((6,),), ((2, 3),)),
    ],
)
def test_another_shape_is_refused_and_nothing_is_loaded(written, found: Shapes, wanted: Shapes) -> None:
    path = written(*numbered(layer("first", (3,)), layer("ip", *found)))
    first, ip = layer("first", (3,)), layer("ip", *wanted)
    with pytest.raises(WeightsError) as error:
        weights.load(path, [first, ip])
    text = str(error.value)
    assert "from layer 'ip'; shape mismatch" in text and "rename the layer" in text and str(path) in text
    if found[0] == (5, 126):
        assert "Source param shape is 5 126 (630); target param shape is 4 126 (504)" in text
    assert untouched(first, ip)


@pytest.mark.parametrize(
    "found,wanted", [(((2, 3),), ((2, 3), (2,))), (((2, 3), (2,)), ((2, 3),)), ((), ((2, 3),))]
)
def test_another_number_of_blobs_is_refused(written, found: Shapes, wanted: Shapes) -> None:
    """Also when the file has none at all for a layer it names."""
    path = written(*numbered(layer("first", (3,)), layer("ip", *found)))
    first, ip = layer("first", (3,)), layer("ip", *wanted)
    with pytest.raises(
        WeightsError, match=rf"Incompatible number of blobs for layer ip.* has {len(found)}, "
    ):
        weights.load(path, [first, ip])
    assert untouched(first, ip)


def test_an_array_handed_out_before_sees_what_is_loaded(written) -> None:
    path = written(*numbered(layer("a", (4,))))
    a = layer("a", (4,))
    view = a.blobs[0].data
    weights.load(path, [a])
    assert view.tolist() == [0, 1, 2, 3]


def test_scalars_and_empty_blobs(written) -> None:
    source = numbered(layer("a", (), (0, 3), (1,)))
    source[0].blobs[0].data[...] = 7
    target = layer("a", (), (0, 3), (1,))
    weights.load(written(*source), [target])
    assert float(target.blobs[0].data) == 7 and target.blobs[2].data.tolist() == [0]


@pytest.mark.parametrize("name", ["nowhere.caffemodel", "nowhere.caffemodel.h5"])
def test_a_missing_file_is_named(name: str) -> None:
    with pytest.raises(CaffeError, match=f"Could not open file {name}"):
        weights.load(name, [])
    with pytest.raises(CaffeError, match=f"Could not open file {name}"):
        weights.load_hdf5(name, [])


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    for write in (weights.save_hdf5, save):
        with pytest.raises(WeightsError, match="cannot write.*no folder"):
            write(tmp_path / "no" / "x.caffemodel", [layer("a", (2,))])
    assert not list(tmp_path.iterdir())


# ---- binary --------------------------------------------------------------------------------------


def test_of_two_layers_with_one_name_the_first_gets_the_binary_weights(tmp_path: Path) -> None:
    path = save(tmp_path / "w", numbered(layer("a", (2,))))
    first, second = layer("a", (2,)), layer("a", (9,))
    weights.load(path, [first, second])
    assert not untouched(first) and untouched(second)


def test_diffs_are_loaded_if_they_were_saved(tmp_path: Path) -> None:
    with_diff = save(tmp_path / "with", numbered(layer("a", (3,))), with_diff=True)
    without = save(tmp_path / "without", numbered(layer("a", (3,))))
    a, b = layer("a", (3,)), layer("a", (3,))
    weights.load(with_diff, [a])
    weights.load(without, [b])
    assert a.blobs[0].diff.tolist() == [0.5, 1.5, 2.5] and b.blobs[0].diff.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    "legacy,shape,fits",
    [
        ((1, 1, 1, 6), (6,), True),
        ((1, 1, 2, 3), (2, 3), True),
        ((1, 1, 2, 3), (1, 2, 3), True),
        ((2, 3, 1, 1), (2, 3, 1, 1), True),
        ((1, 1, 1, 1), (), True),
        ((2, 3, 1, 1), (2, 3), False),
        ((6, 1, 1, 1), (6,), False),
        ((1, 1, 2, 3), (1, 1, 1, 2, 3), False),
    ],
)
def test_dims_of_old_files_are_aligned_to_the_right(
    tmp_path: Path, legacy: tuple[int, ...], shape: tuple[int, ...], fits: bool
) -> None:
    count = int(np.prod(shape))
    net = pb.NetParameter()
    dims = dict(zip(("num", "channels", "height", "width"), legacy))
    # The shape field does not count beside the old dims.
    net.layer.add(name="a").blobs.add(data=range(count), shape={"dim": [99]}, **dims)
    path = tmp_path / "old"
    path.write_bytes(net.SerializeToString())
    target = layer("a", shape)
    if fits:
        weights.load(path, [target])
        np.testing.assert_array_equal(target.blobs[0].data, np.arange(count).reshape(shape))
    else:
        with pytest.raises(WeightsError, match="Source param shape is " + " ".join(map(str, legacy))):
            weights.load(path, [target])


def test_doubles_go_before_floats(tmp_path: Path) -> None:
    net = pb.NetParameter()
    net.layer.add(name="a").blobs.add(data=[1], double_data=[3, 4], double_diff=[5, 6], shape={"dim": [2]})
    path = tmp_path / "double"
    path.write_bytes(net.SerializeToString())
    a = layer("a", (2,))
    weights.load(path, [a])
    assert a.blobs[0].data.tolist() == [3, 4] and a.blobs[0].diff.tolist() == [5, 6]


@pytest.mark.parametrize("values", [{"data": [1, 2]}, {"data": []}, {"data": [1, 2, 3], "diff": [1]}])
def test_values_that_do_not_make_up_the_shape(tmp_path: Path, values: dict[str, list[float]]) -> None:
    net = pb.NetParameter()
    net.layer.add(name="a").blobs.add(shape={"dim": [3]}, **values)
    path = tmp_path / "bad"
    path.write_bytes(net.SerializeToString())
    a = layer("a", (3,))
    with pytest.raises(WeightsError, match=r"param 0 of layer 'a' has \d values of di?"):
        weights.load(path, [a])
    assert untouched(a)


@pytest.mark.parametrize("version", [0, 1])
def test_the_two_formats_before_the_current_one(tmp_path: Path, version: int) -> None:
    net = pb.NetParameter(name="old", input=["x"], input_dim=[1, 3, 1, 1])
    entry = net.layers.add(bottom=["x"], top=["y"])
    if version == 1:
        entry.name, entry.type = "ip", pb.V1LayerParameter.INNER_PRODUCT
    else:
        entry.layer.name, entry.layer.type, entry.layer.num_output = "ip", "innerproduct", 2
    blobs = (entry if version == 1 else entry.layer).blobs
    blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    blobs.add(num=1, channels=1, height=1, width=2, data=[8, 9])
    (tmp_path / "old").write_bytes(net.SerializeToString())
    target = layer("ip", (2, 3), (2,))
    weights.load(tmp_path / "old", [target])
    assert target.blobs[0].data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert target.blobs[1].data.tolist() == [8, 9]


@pytest.mark.data
@pytest.mark.parametrize("name", ["det1", "det2"])
def test_models_trained_by_others(shared: Path, name: str) -> None:
    """Every number of a V1 caffemodel from real Caffe, as protobuf reads them."""
    path = shared / "data" / "caffemodels" / f"{name}.caffemodel"
    net = pb.NetParameter.FromString(path.read_bytes())
    layers = [each for each in [*net.layer, *net.layers] if each.blobs]
    assert layers
    targets = []
    for each in layers:
        old = [(b.num, b.channels, b.height, b.width) for b in each.blobs]
        new = [tuple(b.shape.dim) for b in each.blobs]
        targets.append(layer(each.name, *(b if b else a for a, b in zip(old, new))))
    weights.load(path, targets)
    for target, each in zip(targets, layers):
        for blob, proto in zip(target.blobs, each.blobs):
            np.testing.assert_array_equal(blob.data.ravel(), np.array(proto.data, "f4"))


@pytest.mark.data
@pytest.mark.parametrize("solver", ["sgd", "adadelta", "adam"])
def test_caffes_own_snapshot_is_written_again_byte_for_byte(
    shared: Path, tmp_path: Path, solver: str
) -> None:
    snapshot = shared / "golden" / "solvers" / "snapshots" / f"snap_{solver}_bin" / "snap_iter_10.caffemodel"
    net = pb.NetParameter.FromString(snapshot.read_bytes())
    targets = [layer(each.name, *(tuple(b.shape.dim) for b in each.blobs)) for each in net.layer]
    weights.load(snapshot, targets)
    params = [(param, target.blobs) for param, target in zip(net.layer, targets)]
    weights.save_binary(tmp_path / "again", net.name, params)
    assert (tmp_path / "again").read_bytes() == snapshot.read_bytes()


def test_shared_blobs_are_written_in_every_layer(tmp_path: Path) -> None:
    owner, sharer = numbered(layer("a", (2, 3)), layer("b", (3, 2), owned=(False,)))
    sharer.blobs[0].share_data(owner.blobs[0])
    net = pb.NetParameter.FromString(save(tmp_path / "w", [owner, sharer]).read_bytes())
    assert [list(each.blobs[0].shape.dim) for each in net.layer] == [[2, 3], [3, 2]]
    assert net.layer[0].blobs[0].data == net.layer[1].blobs[0].data == list(range(6))


def test_a_model_of_nothing_in_the_net_is_worth_a_warning(tmp_path: Path) -> None:
    with logged() as lines:
        weights.load(save(tmp_path / "w", [layer("a", (2,))]), [layer("b", (2,))])
    assert lines[-1].startswith("WARNING ") and "nothing is loaded" in lines[-1]
    (tmp_path / "empty").touch()  # is a message without layers, to protobuf
    with logged() as lines:
        weights.load(tmp_path / "empty", [layer("b", (2,))])
        weights.load(tmp_path / "empty", [layer("without parameters")])
    assert len(lines) == 1 and "empty" in lines[0]


@pytest.mark.data
def test_a_solver_state_in_place_of_a_model(shared: Path) -> None:
    state = shared / "golden" / "solvers" / "snapshots" / "snap_sgd_bin" / "snap_iter_10.solverstate"
    with pytest.raises(WeightsError, match=r"is a solver state.*\.caffemodel"):
        weights.load(state, [])


def test_a_blob_takes_shape_and_values_of_a_message() -> None:
    blob = make_blob()
    weights.read_blob_proto(pb.BlobProto(shape={"dim": [2, 2]}, data=[1, 2, 3, 4], diff=[0, 0, 0, 5]), blob)
    assert blob.data.tolist() == [[1, 2], [3, 4]] and blob.diff.tolist() == [[0, 0], [0, 5]]
    weights.read_blob_proto(pb.BlobProto(num=1, channels=1, height=2, width=1, data=[7, 8]), blob)
    assert blob.dims == (1, 1, 2, 1) and blob.data.ravel().tolist() == [7, 8]
    with pytest.raises(WeightsError, match=r"shape \(3,\) has 1 values of data"):
        weights.read_blob_proto(pb.BlobProto(shape={"dim": [3]}, data=[1]), make_blob())


# ---- share ---------------------------------------------------------------------------------------


def test_share_takes_over_data_but_not_diffs() -> None:
    (source,) = numbered(layer("a", (2, 2)))
    first, second = layer("a", (2, 2)), layer("a", (2, 2))
    weights.share([source, layer("other", (1,))], [first, second])
    source.blobs[0].data[...] = 5
    assert (first.blobs[0].data == 5).all() and (first.blobs[0].diff == -1).all() and untouched(second)


@pytest.mark.parametrize("shapes", [((4, 1),), ((2, 2), (2,)), ((1, 2, 2),)])
def test_share_wants_the_same_shapes(shapes: Shapes) -> None:
    fine, a = layer("fine", (3,)), layer("a", (2, 2))
    with pytest.raises(WeightsError, match="param 0 weights from layer 'a'|number of blobs for layer a"):
        weights.share([layer("fine", (3,)), layer("a", *shapes)], [fine, a])
    fine.blobs[0].data[...] = 2
    assert untouched(a)
