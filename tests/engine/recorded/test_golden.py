"""The engine gives what a real Caffe gave (tests/golden)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from tests.engine.support import cli_case, golden

NETSPEC = json.loads((golden.GOLDEN / "netspec" / "netspec.json").read_text())
ERRORS = {case["name"]: case for case in json.loads((golden.GOLDEN / "errors.json").read_text())["cases"]}
#: The recorded programs leave their files to the garbage collector.
careless = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(golden.GOLDEN / "layers" / "py"))
    yield
    for name in [
        name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))
    ]:
        del sys.modules[name]


@pytest.mark.parametrize("which", golden.numeric())
def test_numbers(which):
    golden.replay(which)


@pytest.mark.parametrize("name", golden.names("data"))
def test_data(name):
    golden.check_data(*golden.load("data", name), rtol=1e-5, atol=1e-4)


@careless
@pytest.mark.parametrize("name", golden.names("api"))
def test_api_program(name):
    golden.check_program("api", *golden.load("api", name), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", cli_case.CASES)
def test_command_line(name, capsys):
    cli_case.check(name, capsys)


@pytest.mark.parametrize("name", golden.names("io"))
def test_io_program(name):
    golden.check_program("io", *golden.load("io", name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETSPEC)
def test_netspec_program(name):
    scope = {"caffe": caffe, "__name__": "program"}
    exec(compile(NETSPEC[name]["program"], "<program>", "exec"), scope)
    want = text_format.Parse(NETSPEC[name]["prototxt"], caffe_pb2.NetParameter())
    assert text_format.Parse(str(scope["proto"]), caffe_pb2.NetParameter()) == want


@careless
@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    case = ERRORS[name]
    scope = {"caffe": caffe, "np": golden.np, "os": golden.os, "write": golden.write, "__name__": "program"}
    exec(compile(case["setup"], "<setup>", "exec"), scope)
    real = case["real"]
    if real["kind"] in ("no-error", "undefined"):
        return
    # Where Caffe ends the process any exception that says something will do.
    catch = tuple(getattr(__builtins__, n, None) or __builtins__[n] for n in real.get("catch", ["Exception"]))
    with pytest.raises(catch) as caught:
        exec(compile(case["misuse"], "<misuse>", "exec"), scope)
    assert not isinstance(caught.value, NotImplementedError)
    assert len(str(caught.value)) > 3
