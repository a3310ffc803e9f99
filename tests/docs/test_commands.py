"""The commands in the documents: each is one that there is, and is run or has a reason not to be."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffe import __main__ as caffe_command
from fcn import __main__ as fcn_command
from fcn.__main__ import COMMANDS
from tests.docs.pages import PAGES, ROOT, blocks, name
from tests.docs.small_files import LEFT_OUT, prepare, to_run

#: Documents in which every block of commands says whether it is run, or what it needs.
MARKED = [page for page in PAGES if page.parent.name in ("paper", "from")] + [
    ROOT / "docs" / "every-row.md",
    ROOT / "docs" / "completion.md",
]
#: Documents with commands that are run on small files.
SMALL = [page for page in PAGES if any(to_run(block) for block in blocks(page))]
RUN = [page for page in PAGES if any(block.mark == "run" for block in blocks(page))]
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.M)) | {
    word
    for line in re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.M)
    for word in line.replace("\\\n", " ").split()
}


def of_fcn(words: list[str]) -> None:
    """Have the command's own parser read its arguments."""
    if words[0].startswith("-") or words[0] == "COMMAND":
        assert words[0] in ("--print-completion", "COMMAND", "--help")
        return
    assert words[0] in COMMANDS, f"there is no command {words[0]}"
    module = importlib.import_module(f"fcn.commands.{words[0]}")
    module.arguments(f"fcn {words[0]}").parse_args(words[1:])


def of_caffe(words: list[str]) -> None:
    assert words[0] in {*caffe_command.COMMANDS, *caffe_command.TOOLS}, f"there is no command {words[0]}"


def of_make(words: list[str]) -> None:
    missing = {word for word in words if "=" not in word} - TARGETS
    assert not missing, f"no target of the Makefile: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_is_one_that_there_is(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = {"fcn": of_fcn, "caffe": of_caffe, "make": of_make}
    wrong = []
    for block in blocks(page):
        for words in block.commands:
            try:
                if len(words) > 1:
                    check[words[0]](words[1:])
            except (SystemExit, AssertionError) as error:
                said = capsys.readouterr().err.strip().splitlines()[-1:]
                wrong.append(f"{' '.join(words)}: {said or error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", MARKED, ids=name)
def test_every_block_of_commands_is_run_or_says_what_it_needs(page: Path) -> None:
    assert [block.text for block in blocks(page) if block.commands and not block.mark] == []


def test_what_is_left_out_is_in_a_document() -> None:
    """A reason that no command has any more is one too many."""
    commands = [words for page in PAGES for block in blocks(page) for words in block.commands]
    found = {next((word for word in LEFT_OUT if word in words), None) for words in commands}
    assert set(LEFT_OUT) <= found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", SMALL, ids=name)
def test_the_commands_run_on_small_files(
    page: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those of `to_run`, one after the other; what they ask of a GPU is computed on the CPU."""
    folder = shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CAFFE_FALLBACK", "cpu")
    for words in (words for block in blocks(page) for words in to_run(block)):
        made = {"import": "my-data", "train": "trained"}
        for word in made.keys() & words:
            shutil.rmtree(made[word], ignore_errors=True)
        if words[0] == "fcn":
            status, told = fcn_command.main(words[1:]), ""
        else:
            done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
            status, told = done.returncode, done.stderr
        assert status == 0, f"{' '.join(words)}\n{told}{capsys.readouterr().err[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name)
def test_what_is_marked_so_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    """In an empty folder, block after block, as a reader would."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'engine'}"
    env = {**os.environ, "PYTHONPATH": path, "PYTHON": sys.executable, "OMP_NUM_THREADS": "2"}
    programs = "\n".join(f'{program}() {{ "$PYTHON" -m {program} "$@"; }}' for program in ("fcn", "caffe"))
    printed = ""
    for block in blocks(page):
        if block.mark == "prints":
            missing = [line for line in block.text.splitlines() if line not in printed.splitlines()]
            assert not missing, f"{missing} not in\n{printed}"
        if block.mark != "run":
            continue
        python = block.language == "python"
        done = subprocess.run(
            [sys.executable, "-c", block.text] if python else ["bash", "-euc", f"{programs}\n{block.text}"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        printed = done.stdout
