"""caffe.set_memory_saving: less memory, the same blobs. Random nets are in test_same_results.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")


def layer(kind: str, bottom: str, top: str, param: str = "") -> str:
    return f'layer {{ name: "{top}" type: "{kind}" bottom: "{bottom}" top: "{top}" {param} }}'


CONVOLUTION = (
    "convolution_param { num_output: 32 kernel_size: 3 pad: 1 "
    'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.1 } }'
)
DEEP = "\n".join([
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: 32 dim: 40 dim: 40 } } }",
    *(layer("Convolution", "data" if n == 0 else f"conv{n - 1}", f"conv{n}", CONVOLUTION) for n in range(8)),
    layer("TanH", "conv7", "tanh"),
    layer("Convolution", "tanh", "score", CONVOLUTION),
])  # fmt: skip


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs every net by the fast path, and leaves memory saving off."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    yield
    caffe.set_memory_saving(False)


def made(net_of: Callable, saving: bool) -> caffe.Net:
    """A net of one chain after a forward."""
    caffe.set_random_seed(5)
    caffe.set_memory_saving(saving)
    net = net_of(DEEP)
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=net.blobs["data"].shape)
    net.forward()
    return net


def held(net: caffe.Net) -> int:
    """Bytes of the memory that planes hold, counted once."""
    path = net.runner._fast
    planes = [*path._inputs.values(), *(item.plane for item in path._items if not isinstance(item, int))]
    memories = [plane._memory for plane in planes]
    if path._saver is not None:
        memories += path._saver.arena._free
        assert 4 * path._saver.arena.count == sum({id(m): m.nbytes for m in memories}.values())
    return sum({memory.data_ptr(): memory.nbytes for memory in memories}.values())


def test_planes_that_nothing_reads_any_more_are_used_again(net_of):
    plain, saving = made(net_of, False), made(net_of, True)
    plane = 4 * (41 * 41 + 1) * 32  # a pixel of zeros follows the map
    assert held(plain) >= 10 * plane
    assert held(saving) <= 3 * plane
    for _ in range(3):
        saving.forward()
    assert held(saving) <= 3 * plane


def test_forgotten_blobs_have_their_values_in_any_order(net_of):
    plain, saving = made(net_of, False), made(net_of, True)
    for name in ("conv5", "score", "conv0", "tanh", "conv7", "conv2"):
        wanted = plain.blobs[name].data
        np.testing.assert_allclose(
            saving.blobs[name].data, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max(), err_msg=name
        )


def test_a_changed_input_or_parameter_is_an_error_and_not_a_wrong_value(net_of):
    net = made(net_of, True)
    net.blobs["data"].data[...] += 1
    with pytest.raises(caffe.CaffeError, match="blob 'data' changed"):
        _ = net.blobs["conv3"].data
    net.forward()
    net.params["conv1"][0].data[...] *= 2
    assert net.blobs["score"].data.any(), "what was not forgotten is there"
    assert net.blobs["conv0"].data.any(), "this does not depend on it"
    with pytest.raises(caffe.CaffeError, match="parameters of .* 'conv1' changed"):
        _ = net.blobs["conv3"].data


def test_it_is_off_until_asked_for_and_asked_for_by_a_truth_value(net_of):
    net = made(net_of, False)
    assert net.runner._fast._saver is None
    caffe.set_memory_saving(True)
    net.forward()
    assert net.runner._fast._saver is not None
    caffe.set_memory_saving(False)
    net.forward()
    assert net.runner._fast._saver is None
