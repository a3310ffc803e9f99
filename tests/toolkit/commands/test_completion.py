"""`fcn --print-completion`: the scripts, sourced by a shell that has no Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nets
from fcn.__main__ import COMMANDS, main

pytest.importorskip("shtab", reason="the extra 'completion' is not installed")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with bash, zsh and tcsh, as printed by the command."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "tcsh"):
        command = [sys.executable, "-m", "fcn", "--print-completion", shell]
        printed = subprocess.run(command, check=True, capture_output=True, text=True)
        (folder / shell).write_text(printed.stdout)
    return folder


def completed(scripts: Path, folder: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words, in a folder, with nothing on PATH."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    quoted = " ".join(f"'{word}'" for word in ("fcn", *words))
    program = f"""
        source {scripts}/bash
        COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; COMP_LINE="${{COMP_WORDS[*]}}"
        COMP_POINT=${{#COMP_LINE}}
        spec=$(complete -p fcn); function=${{spec#*-F }}; function=${{function%% *}}
        $function fcn '{words[-1]}' '{words[-2] if len(words) > 1 else "fcn"}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [bash, "--norc", "-c", program],
        env={"PATH": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.strip() for line in done.stdout.splitlines()} - {""}


def test_bash_completes_every_command(scripts: Path, tmp_path: Path) -> None:
    assert set(COMMANDS) <= completed(scripts, tmp_path, "")
    assert completed(scripts, tmp_path, "ver") == {"verify"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("align", "--js"), {"--json"}),
        (("data", "im"), {"import"}),
        (("data", "import", "--thr"), {"--threshold"}),
        (("train", "--precision", ""), {"float32", "tf32", "bfloat16"}),
        (("train", "voc-fcn1"), {"voc-fcn16s"}),
        (("align", "voc-fcn1"), {"voc-fcn16s"}),
        (("infer", "--model", "siftflow-fcn8"), {"siftflow-fcn8s"}),
        (("weights", "random", "goog"), {"googlenet"}),
    ],
)
def test_bash_completes_options_values_and_models(
    words: tuple[str, ...], offered: set[str], scripts: Path, tmp_path: Path
) -> None:
    assert completed(scripts, tmp_path, *words) == offered


def test_bash_completes_files_and_folders(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "runs").mkdir()
    assert completed(scripts, tmp_path, "infer", "ph") == {"photo.jpg"}
    assert completed(scripts, tmp_path, "data", "check", "") == {"runs"}
    assert completed(scripts, tmp_path, "verify", "ru") == {"runs"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_the_other_shells_are_given_every_command_option_and_model(shell: str, scripts: Path) -> None:
    text = (scripts / shell).read_text()
    assert all(word in text for word in (*COMMANDS, "threshold", *nets.MODELS))
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} to try it in")
    subprocess.run([program, "-n", str(scripts / shell)], check=True)


def test_another_shell_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--print-completion", "dos"])
    assert stop.value.code == 2
    assert "bash, zsh, tcsh" in capsys.readouterr().err
