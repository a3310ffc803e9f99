"""`fcn weights get`: a server on this machine that has the files, or something else under their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcn.commands import weights
from fcn.engine import open_net
from fcn.weights import exchange, published
from fcn.weights.published import PUBLISHED
from tests.toolkit.served import Server

FILE = PUBLISHED["googlenet"].source.file


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    """Of GoogLeNet's weights."""
    params = open_net(None, "googlenet").params
    return {name: tuple(blobs[0].data.shape) for name, blobs in params.items()}


def caffemodel(path: Path, shapes: dict[str, tuple[int, ...]]) -> bytes:
    exchange.write_layers({name: [np.ones(shape, np.float32)] for name, shape in shapes.items()}, path)
    return path.read_bytes()


@pytest.fixture
def no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that tests make has another digest than the published one."""
    row = PUBLISHED["googlenet"]
    changed = replace(row, source=replace(row.source, digests=()))
    monkeypatch.setitem(published.PUBLISHED, "googlenet", changed)


def get(name: str, to: Path, *arguments: str) -> int:
    return weights.main(["get", name, "-o", str(to), "-q", *arguments])


@pytest.mark.usefixtures("no_digest")
def test_a_file_comes_from_the_first_server_that_has_it(
    tmp_path: Path, shapes: dict, server: Server, capsys: pytest.CaptureFixture
) -> None:  # fmt: skip
    body = caffemodel(tmp_path / "made.caffemodel", shapes)
    mirrors = ["--mirror", f"{server.url}/gone/", "--mirror", server.has(f"/{FILE}", body)]
    assert get("googlenet", tmp_path / "to", *mirrors) == 0
    assert (tmp_path / "to" / FILE).read_bytes() == body
    assert capsys.readouterr().out.strip() == str(tmp_path / "to" / FILE)
    assert sorted(p.name for p in (tmp_path / "to").iterdir()) == [FILE]
    assert get("googlenet", tmp_path / "to", "--offline") == 0


@pytest.mark.usefixtures("no_digest")
def test_another_net_is_told_by_its_layers(
    tmp_path: Path, shapes: dict, server: Server, capsys: pytest.CaptureFixture
) -> None:  # fmt: skip
    wide = {**shapes, "conv1/7x7_s2": (64, 6, 7, 7)}
    url = server.has("/x", caffemodel(tmp_path / "made.caffemodel", wide))
    assert get("googlenet", tmp_path / "to", "--mirror", url) == 1
    assert "layer 'conv1/7x7_s2': (64, 6, 7, 7), expected (64, 3, 7, 7)" in capsys.readouterr().err


def test_a_wrong_digest_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, capsys: pytest.CaptureFixture
) -> None:  # fmt: skip
    row = PUBLISHED["googlenet"]
    body = caffemodel(tmp_path / "made.caffemodel", {"conv1/7x7_s2": (64, 3, 7, 7)})
    here = replace(row, source=replace(row.source, urls=(server.has(f"/{FILE}", body),)))
    monkeypatch.setitem(published.PUBLISHED, "googlenet", here)
    assert get("googlenet", tmp_path / "to") == 1
    assert "expected sha1:405fc5ac" in capsys.readouterr().err


def test_what_to_do_by_hand_is_said_where_no_server_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert get("voc-fcn8s", tmp_path / "to", "--offline") == 1
    said = capsys.readouterr().err
    assert "1ieXWyoG68xqoHJPWdyrDyaIaaWlfmUxI" in said and "md5:de93e540ec79512f8770033849c8ae89" in said
    assert "fcn weights import fcn8s_from_caffe.pth --model voc-fcn8s" in said
    assert get("vgg19", tmp_path) == 1 and "there are vgg16," in capsys.readouterr().err


def test_the_list_names_every_file(capsys: pytest.CaptureFixture) -> None:
    assert weights.main(["get"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == PUBLISHED.keys()
