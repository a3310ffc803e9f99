"""The engine's documents are in step with the code, and the tests they name exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import caffe
from dev import generate_compat

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?!what Caffe does|---)(.+) \|$", re.M)
NAMED = re.compile(r"`(\S+\.py)::(\w+)`")


def text(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


@cache
def functions(path: str) -> set[str]:
    """The functions of a file in tests/engine."""
    tree = ast.parse((ROOT / "tests" / "engine" / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROW.findall(text("deviations.md")), ids=lambda row: row[:50])
def test_every_difference_has_its_four_cells_and_a_test(row):
    cells = row.split(" | ")
    assert len(cells) == 4 and all(cell.strip() for cell in cells)
    assert NAMED.search(cells[3]), f"no test is named: {cells[3]}"


@pytest.mark.parametrize("document", ["deviations.md", "compat.md", "layers.md"])
def test_every_test_that_is_named_exists(document):
    named = set(NAMED.findall(text(document)))
    assert {f"{path}::{name}" for path, name in named if name not in functions(path)} == set()
    files = set(re.findall(r"`(layers/\S+?\.py)`", text(document)))
    assert {path for path in files if not (ROOT / "tests" / "engine" / path).exists()} == set()


@pytest.mark.parametrize("document", ["compat", "layers"])
def test_generated_documents_are_in_step(document):
    """If this fails: python -m dev.generate_compat"""
    assert getattr(generate_compat, document)() == text(f"{document}.md")


def test_compat_has_every_tool_of_the_command_line():
    from caffe import __main__ as command_line

    ours = {row[0].removeprefix("caffe ").split()[0] for row in generate_compat.surface.TOOLS.values()}
    assert ours == {*command_line.COMMANDS, *command_line.TOOLS}


def test_every_difference_of_a_layer_is_a_row_of_compat():
    types = set(caffe.layer_type_list())
    assert set(generate_compat.surface.LAYER_NOTES) <= types


def test_every_error_class_is_documented_and_public():
    from caffe._caffe import errors

    found = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    classes = {name for name, value in found.items() if issubclass(value, RuntimeError)}
    assert classes == set(re.findall(r"^\| `(\w+Error)` \|", text("errors.md"), re.M))
    assert classes == {name for name in caffe.__all__ if name.endswith("Error")}
    assert all(issubclass(found[name], errors.CaffeError) for name in classes)


def test_the_messages_shown_are_those_raised(net_of):
    with pytest.raises(caffe.LayerError) as caught:
        net_of(
            'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 4 } } }'
            'layer { name: "score" type: "Convolution" bottom: "x" top: "score" '
            "convolution_param { kernel_size: 1 } }"
        )
    assert str(caught.value) in text("errors.md")
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" top: "label" '
        "input_param { shape { dim: 1 dim: 21 dim: 4 dim: 4 } shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }"
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" }'
    )
    net.blobs["label"].data[0, 0, 1, 3] = 21
    with pytest.raises(caffe.LayerError) as caught:
        net.forward()
    assert str(caught.value) in text("errors.md").replace("\n", " ")
