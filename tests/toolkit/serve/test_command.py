"""`fcn serve` before it serves: what is wrong is told, and who may reach it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.commands import serve
from fcn.serve.guard import Guard, is_loopback
from tests.source_tree import ROOT
from tests.toolkit.serve.conftest import serving


def test_a_port_that_is_taken_is_told(brightest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert serve.main([str(brightest), "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"port {port}" in said and "--port" in said


def test_a_host_that_is_not_ours_is_told(brightest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main([str(brightest), "--host", "192.0.2.1", "--port", "0"]) == 1
    assert "192.0.2.1" in capsys.readouterr().err


def test_another_host_is_warned_of(brightest: Path) -> None:
    with serving(brightest, "--host", "0.0.0.0") as running:
        running.process.terminate()
        _, wrong = running.process.communicate(timeout=60)
    assert "--host 0.0.0.0" in wrong and "without a password" in wrong


def test_without_flask_the_extra_is_named(brightest: Path) -> None:
    hide = "import sys; sys.modules['flask'] = None; from fcn.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", hide, "serve", str(brightest), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "caffe-fcn[serve]" in done.stderr and "Traceback" not in done.stderr


def test_without_a_run_the_default_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert serve.main(["--port", "0"]) == 1
    assert "runs/voc-fcn8s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.168.0.7:8000", True),
        ("box", True),
        ("BOX:80", True),
        ("localhost", True),
        ("evil.example", False),
        (None, False),
    ],
)
def test_seen_by_others_it_goes_by_addresses_and_its_own_names(host: str | None, known: bool) -> None:
    assert Guard(loopback=False, names=("box",)).knows(host) is known


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "box")))
