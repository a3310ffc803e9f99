"""Binary protobuf files: what is read and written here is what protobuf itself reads and writes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe._caffe.errors import ParseError, WeightsError
from caffe._caffe.formats import wire_writer
from caffe._caffe.formats.files import replacing
from caffe._caffe.formats.wire import nested, scan, scan_net
from caffe._caffe.formats.wire_writer import BlobArrays, write_net, write_state
from caffe.proto import caffe_pb2 as pb

VALUES = ("data", "diff", "double_data", "double_diff")
in_tmp = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@st.composite
def blobs(draw: st.DrawFn) -> pb.BlobProto:
    blob = pb.BlobProto()
    if draw(st.booleans()):
        blob.shape.dim.extend(draw(st.lists(st.integers(0, 9), max_size=5)))
    for name in ("num", "channels", "height", "width"):
        if draw(st.integers(0, 3)) == 0:
            setattr(blob, name, draw(st.integers(-1, 300)))
    for name in VALUES:
        width = 64 if name.startswith("double") else 32
        getattr(blob, name).extend(draw(st.lists(st.floats(width=width, allow_nan=False), max_size=20)))
    return blob


@st.composite
def nets(draw: st.DrawFn) -> pb.NetParameter:
    """Nets with blobs where each of the three formats has them."""
    net, text = pb.NetParameter(), st.text(max_size=8)
    net.name = draw(text)
    net.input_dim.extend(draw(st.lists(st.integers(-5, 2**31 - 1), max_size=3)))
    for name in draw(st.lists(text, max_size=3)):
        layer = net.layer.add(name=name, type="Convolution", phase=pb.TEST, bottom=["a", "b"])
        layer.convolution_param.kernel_size.extend([3, 1])
        layer.blobs.extend(draw(st.lists(blobs(), max_size=3)))
    for name in draw(st.lists(text, max_size=2)):
        layer = net.layers.add(name=name, type=pb.V1LayerParameter.CONVOLUTION, blobs_lr=[1, 2])
        layer.blobs.extend(draw(st.lists(blobs(), max_size=2)))
        layer.layer.blobs.extend(draw(st.lists(blobs(), max_size=2)))
    return net


def all_blobs(net: pb.NetParameter) -> list[pb.BlobProto]:
    places = [*net.layer, *net.layers, *(layer.layer for layer in net.layers)]
    return [blob for place in places for blob in place.blobs]


def assert_same(path: Path, expected: pb.NetParameter) -> None:
    """`scan_net` finds in the file the structure and the numbers of `expected`."""
    header, refs = scan_net(path)
    found, wanted = all_blobs(header), all_blobs(expected)
    assert len(found) == len(wanted) == len(refs)
    for blob, original in zip(found, wanted):
        ref = refs[int(blob.data[0])]
        for name in VALUES:
            values, dtype = getattr(original, name), "f8" if name.startswith("double") else "f4"
            got = ref.values[name].read() if name in ref.values else np.empty(0, dtype)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, np.array(values, dtype))
            del getattr(original, name)[:]
        del blob.data[:]
    for message in (header, expected):
        message.DiscardUnknownFields()
    assert header.SerializePartialToString() == expected.SerializePartialToString()


@in_tmp
@given(nets())
def test_what_protobuf_writes_is_read_back(tmp_path: Path, net: pb.NetParameter) -> None:
    path = tmp_path / "any.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert_same(path, net)


@in_tmp
@given(nets(), st.data())
def test_a_damaged_file_is_refused_or_read_as_protobuf_reads_it(
    tmp_path: Path, net: pb.NetParameter, data: st.DataObject
) -> None:
    raw = bytearray(net.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(raw)
    try:
        expected = pb.NetParameter.FromString(bytes(raw))
    except DecodeError:
        with pytest.raises(ParseError, match="damaged.caffemodel"):
            scan_net(path)
        return
    try:
        scan_net(path)
    except ParseError:
        return  # text that is not UTF-8, or a group: protobuf lets them pass
    assert_same(path, expected)


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_cut_file_says_where_and_what(tmp_path: Path, cut: int) -> None:
    net = pb.NetParameter(name="n")
    net.layer.add(name="ip").blobs.add(shape={"dim": [2, 5]}, data=range(10))
    raw = net.SerializeToString()
    assert len(raw) == 60
    path = tmp_path / "cut.caffemodel"
    path.write_bytes(raw[:cut])
    if cut == 3:  # behind the name the message may end
        assert scan_net(path)[0].name == "n"
        return
    with pytest.raises(ParseError, match=r"cut\.caffemodel': at byte \d+, (field|expected)"):
        scan_net(path)


@pytest.mark.parametrize("field,code", [(5, "<f"), (6, "<f"), (8, "<d"), (9, "<d")])
def test_values_that_are_not_packed(tmp_path: Path, field: int, code: str) -> None:
    """Each number with its own key, in runs between packed ones and other fields: all of it counts."""
    size = struct.calcsize(code)
    key = bytes([field << 3 | (5 if size == 4 else 1)])
    numbers = np.arange(40.0).astype(code[1])
    run = b"".join(key + struct.pack(code, value) for value in numbers[:30])
    packed = nested(field, numbers[30:35].tobytes())
    tail = b"".join(key + struct.pack(code, value) for value in numbers[35:])
    body = run + packed + b"\x08\x01" + tail
    path = tmp_path / "unpacked.binaryproto"
    path.write_bytes(nested(1, body))
    header, refs = scan(path, pb.BlobProtoVector)
    name = pb.BlobProto.DESCRIPTOR.fields_by_number[field].name
    assert header.blobs[0].num == 1
    assert list(getattr(pb.BlobProto.FromString(body), name)) == list(numbers)
    np.testing.assert_array_equal(refs[0].values[name].read(), numbers)
    for dtype in ("f4", "f8"):
        target = np.zeros((4, 10), dtype)
        refs[0].values[name].read_into(target)
        np.testing.assert_array_equal(target.ravel(), numbers)
    turned = np.zeros((10, 4), "f4").T
    refs[0].values[name].read_into(turned)
    np.testing.assert_array_equal(turned.ravel(), numbers)


@pytest.mark.parametrize(
    "content,hint",
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b'name: "net"\nlayer { name: "a" }\n', "prototxt"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b"\x12\x05\x32\x03\x2a\x01\0", "whole number of values"),
        (b"\x0a\x02\xff\xfe", "UTF-8"),
    ],
)
def test_files_that_are_something_else_are_recognised(tmp_path: Path, content: bytes, hint: str) -> None:
    path = tmp_path / "x.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ParseError, match=hint) as error:
        scan_net(path)
    assert "Failed to parse NetParameter file" in str(error.value)


@pytest.mark.parametrize("path", ["nowhere.caffemodel", "."])
def test_what_cannot_be_opened_is_named(path: str) -> None:
    with pytest.raises(ParseError, match=f"Could not open file {path}"):
        scan_net(path)


def test_a_file_cut_between_scan_and_read(tmp_path: Path) -> None:
    path = tmp_path / "shrinks.caffemodel"
    write_net(path, "n", [(pb.LayerParameter(name="a"), [BlobArrays(np.ones(1000, "f4"))])])
    refs = scan_net(path)[1]
    with open(path, "rb+") as file:
        file.truncate(500)
    with pytest.raises(ParseError, match="shrinks.caffemodel' was cut"):
        refs[0].values["data"].read()


@in_tmp
@given(
    st.lists(st.lists(st.integers(0, 6), max_size=4), max_size=4),
    st.booleans(),
    st.sampled_from(["f4", "f8"]),
)
def test_what_is_written_is_what_protobuf_would_write(
    tmp_path: Path, shapes: list[list[int]], with_diff: bool, dtype: str
) -> None:
    """Byte for byte: fields in the order of their numbers, blobs amid the LayerParameter's own fields."""
    layer = pb.LayerParameter(name="ip", type="InnerProduct", phase=pb.TRAIN, bottom=["x"], top=["y"])
    layer.inner_product_param.num_output = 4
    expected = pb.NetParameter(name="net", layer=[layer, layer])
    rng = np.random.default_rng(0)
    arrays = []
    for shape in shapes:
        data, diff = rng.standard_normal((2, *shape)).astype(dtype)
        arrays.append(BlobArrays(data, diff if with_diff else None))
        blob = expected.layer[0].blobs.add()
        blob.shape.dim.extend(shape)
        if not shape:
            blob.ClearField("shape")
        kind = "double_" if dtype == "f8" else ""
        getattr(blob, f"{kind}data").extend(np.ravel(data).tolist())
        getattr(blob, f"{kind}diff").extend(np.ravel(diff).tolist() if with_diff else [])
    path = tmp_path / "out.caffemodel"
    layer.blobs.add(data=[1, 2, 3])  # a prototxt's own blobs: the arrays stand for them
    write_net(path, "net", [(layer, arrays), (layer, [])])
    assert path.read_bytes() == expected.SerializeToString()
    state = pb.SolverState(iter=7, learned_net="out.caffemodel", current_step=2)
    write_state(tmp_path / "out.solverstate", state, [blob.data for blob in arrays])
    for blob in expected.layer[0].blobs:
        entry = state.history.add()
        entry.CopyFrom(blob)
        entry.ClearField("diff")
        entry.ClearField("double_diff")
    assert (tmp_path / "out.solverstate").read_bytes() == state.SerializeToString()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.caffemodel"
    path.write_bytes(b"old")

    def layers():
        yield pb.LayerParameter(name="a"), [BlobArrays(np.ones(5, "f4"))]
        raise OSError(28, "No space left on device")

    with pytest.raises(WeightsError, match=r"model\.caffemodel': No space left"):
        write_net(path, "n", layers())
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_where_no_file_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no folder '.*no/such"):
        write_net(tmp_path / "no" / "such" / "x.caffemodel", "n", [])
    with pytest.raises(WeightsError, match="not a regular file"):
        write_net(tmp_path, "n", [])


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_a_file_beyond_what_protobuf_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_writer, "MESSAGE_LIMIT", 3000)  # 2 GiB would take the test's disk
    layers = [(pb.LayerParameter(name=name), [BlobArrays(np.zeros(300, "f4"))]) for name in "abc"]
    write_net(tmp_path / "fits.caffemodel", "n", layers[:2])
    with pytest.raises(WeightsError, match="2 GiB.*HDF5"):
        write_net(tmp_path / "huge.caffemodel", "n", layers)
    assert [path.name for path in tmp_path.iterdir()] == ["fits.caffemodel"]
