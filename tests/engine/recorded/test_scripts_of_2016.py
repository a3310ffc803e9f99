"""docs/running-a-2016-script.md is true: each old line ends as the page says, and each mended one runs."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import h5py
import pytest
from google.protobuf import descriptor_pb2

from tests.engine.support import programs

PAGE = Path(__file__).resolve().parents[3] / "docs/running-a-2016-script.md"
ROW = re.compile(r"^\| `([^`]+)`(?: \((\w+) ([\d.]+)\))? \| [^|]+ \| `([^`]+)` \| `([^`]+)` \|$", re.M)
OPTIONAL = ("yaml", "skimage")

#: Runs each of the texts in names of its own; says how each ended.
PROGRAM = """
import json, sys
import numpy, caffe
caffe.set_mode_cpu()
endings = []
for text in json.load(sys.stdin):
    names = {"np": numpy, "caffe": caffe}
    names["net"] = caffe.Net("deploy.prototxt", "small.caffemodel", caffe.TEST)
    try:
        exec(text, names)
        endings.append("")
    except Exception as error:
        endings.append(f"{type(error).__name__}: {error}")
json.dump(endings, open("endings.json", "w"))
"""

#: As protoc 2 and 3 wrote them.
OLD_PB2 = """
from google.protobuf import descriptor as _descriptor

_FIELD = _descriptor.FieldDescriptor(
    name='x', full_name='old.Label.x', index=0, number=1, type=5, cpp_type=1, label=1,
    has_default_value=False, default_value=0, message_type=None, enum_type=None, containing_type=None,
    is_extension=False, extension_scope=None, options=None)
"""


class Row(NamedTuple):
    """A row of the page: the last line that is seen, since which version of what, the two codes."""

    seen: str
    package: str
    since: str
    was: str
    now: str


ROWS = [Row(*found) for found in ROW.findall(PAGE.read_text())]


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How each code on the page ended, in one process, in a folder with a small classifier."""
    folder = tmp_path_factory.mktemp("scripts")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        programs.prepare()
        stranger = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe")
        stranger.message_type.add(name="NetParameter")
        Path("their_pb2.py").write_text(
            "from google.protobuf import descriptor_pool\n"
            f"descriptor_pool.Default().AddSerializedFile({stranger.SerializeToString()!r})\n"
        )
        Path("old_pb2.py").write_text(OLD_PB2)
        Path("old.pkl").write_bytes(b"\x80\x02U\x01\xff.")  # the text '\xff', as Python 2 pickles it
        with h5py.File("old.h5", "w") as file:
            file["x"] = [1.0]
        Path("program.py").write_text(PROGRAM)
        codes = [code for row in ROWS for code in (row.was, row.now)]
        subprocess.run(
            [sys.executable, "program.py"], input=json.dumps(codes), text=True, check=True, timeout=200
        )
        return dict(zip(codes, json.loads(Path("endings.json").read_text()), strict=True))


def version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")[:2]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.was[:40])
def test_the_old_line_ends_as_the_page_says_and_the_mended_one_runs(
    row: Row, endings: dict[str, str]
) -> None:
    for module in OPTIONAL:
        if f"import {module}" in row.was and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    assert endings[row.now] == ""
    if row.package and version(metadata.version(row.package)) < version(row.since):
        pytest.skip(f"{row.package} is older than {row.since}")
    assert endings[row.was].startswith(row.seen)


def test_every_row_of_the_page_is_run() -> None:
    tables = PAGE.read_text().split("## What changes without a word")[0]
    lines = [line for line in tables.splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS) > 30
