"""What a notebook shows of nets, solvers and blobs: true, escaped, and without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import caffe

NET = """name: "small & <new>"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "<script>act</script>" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
"""


class Cells(HTMLParser):
    """The texts of the cells, and every tag; a line break is one in a text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.titles: list[str] = []
        self._into: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._into = self.rows[-1]
            self._into.append("")
        if tag == "strong":
            self._into = self.titles
            self._into.append("")
        if tag == "br":
            self._into[-1] += "\n"

    def handle_data(self, data: str) -> None:
        self._into[-1] += data


def shown(thing: object) -> Cells:
    return Cells(thing._repr_html_())  # type: ignore[attr-defined]


def test_a_net_is_its_layers_with_shapes_and_parameters(net_of: Callable[..., caffe.Net]) -> None:
    page = shown(net_of(NET))
    head, *rows = page.rows
    assert head == ["layer", "type", "bottoms", "tops", "parameters"]
    assert rows == [
        ["in", "Input", "", "data (2, 3, 8, 9)", ""],
        ["conv", "Convolution", "data", "conv (2, 4, 6, 7)", "(4, 3, 3, 3): 108\n(4,): 4"],
        ["<script>act</script>", "ReLU", "conv", "conv (2, 4, 6, 7)", ""],
        ["pool", "Pooling", "conv", "pool (2, 4, 3, 4)", ""],
    ]
    assert page.titles == ["small & <new>: TEST, 4 layers, 3 blobs, 112 parameters"]
    assert "script" not in page.tags


def test_a_net_is_shown_at_the_shapes_that_it_has_now(net_of: Callable[..., caffe.Net]) -> None:
    net = net_of(NET)
    net.blobs["data"].reshape(1, 3, 20, 20)
    net.reshape()
    assert shown(net).rows[-1][3] == "pool (1, 4, 9, 9)"


def test_showing_a_net_takes_no_memory(net_of: Callable[..., caffe.Net]) -> None:
    net = net_of(NET)
    net._repr_html_()
    assert not any(blob.data_memory.allocated for blob in net.blobs.values())


def test_a_blob_shows_the_range_of_its_values(net_of: Callable[..., caffe.Net]) -> None:
    blob = net_of(NET).blobs["data"]
    assert shown(blob).rows[1:] == [["data", "0", "0", "0"], ["diff", "0", "0", "0"]]
    blob.data[...] = np.linspace(-1, 3, blob.count).reshape(blob.data.shape)
    page = shown(blob)
    assert page.titles == ["Blob (2, 3, 8, 9)"]
    assert page.rows[1:] == [["data", "-1", "1", "3"], ["diff", "0", "0", "0"]]
    blob.data[0, 0, 0, 0] = np.nan
    assert shown(blob).rows[1] == ["data", "nan", "nan", "nan"]


def test_a_blob_that_shrank_shows_the_values_that_it_has(net_of: Callable[..., caffe.Net]) -> None:
    blob = net_of(NET).blobs["data"]
    blob.data[...] = 5
    blob.data[0, 0] = 1
    blob.reshape(1, 1, 8, 9)
    assert shown(blob).rows[1] == ["data", "1", "1", "1"]
    blob.reshape(0, 3)
    assert shown(blob).rows[1] == ["data", "", "", ""]


def test_showing_a_blob_computes_nothing(
    net_of: Callable[..., caffe.Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast path makes blobs inside its operations when they are read."""
    pytest.importorskip("numba", reason="the fast path needs the extra 'fast'")
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    net = net_of(NET)
    net.blobs["data"].data[...] = 1
    net.forward()
    inside = net.blobs["conv"]
    assert inside.data_memory.promised
    assert shown(inside).rows[1] == ["data", "computed when it is read", "", ""]
    assert inside.data_memory.promised
    low, high = inside.data.min(), inside.data.max()
    assert shown(inside).rows[1] == ["data", f"{low:.4g}", f"{inside.data.mean():.4g}", f"{high:.4g}"]


def test_a_solver_shows_where_it_is(in_tmp: Path) -> None:
    loss = (
        'layer { name: "sum" type: "Reduction" bottom: "pool" top: "loss" loss_weight: 1 '
        "reduction_param { operation: SUMSQ } }"
    )
    Path("net.prototxt").write_text(NET + loss)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.001 lr_policy: "step" gamma: 0.1 stepsize: 2 max_iter: 1000 '
        "snapshot_after_train: false"
    )
    solver = caffe.SGDSolver("solver.prototxt")
    page = shown(solver)
    assert page.titles[0] == "SGD solver"
    assert page.rows[1:3] == [["iteration", "0 of 1,000"], ["learning rate", "0.001"]]
    assert ["conv", "Convolution", "data", "conv (2, 4, 6, 7)", "(4, 3, 3, 3): 108\n(4,): 4"] in page.rows
    solver.step(2)
    assert shown(solver).rows[1:3] == [["iteration", "2 of 1,000"], ["learning rate", "0.0001"]]
