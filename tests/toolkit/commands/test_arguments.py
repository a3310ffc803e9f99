"""Numbers out of their range are refused where they are typed, by each command that takes one."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe
from fcn.commands import bound, compare, data, demo, infer, nets, plot, score, serve, submit, train, weights

COMMANDS = {
    "train": (train.main, ["voc-fcn32s"]),
    "score": (score.main, ["run"]),
    "infer": (infer.main, ["x.png", "--weights", "run", "-o", "out"]),
    "serve": (serve.main, ["run", "--port", "0"]),
    "demo": (demo.main, []),
    "plot": (plot.main, ["run"]),
    "nets": (nets.main, []),
    "weights": (weights.main, ["random", "vgg16", "-o", "w"]),
    "data": (data.main, ["draw", "folder"]),
    "compare": (compare.main, ["a", "b"]),
    "bound": (bound.main, ["--data", "folder"]),
    "submit": (submit.main, ["run", "--voc-dir", "folder", "-o", "out"]),
}


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        ("train", "--iters", ("0", "-1", "2.5", "many")),
        ("train", "--snapshot", ("-1",)),
        ("train", "--test-every", ("-1",)),
        ("train", "--classes", ("1", "0", "-2", "256")),
        ("train", "--width", ("0", "-1", "nan", "inf")),
        ("train", "--base-lr", ("-0.5", "nan")),
        ("train", "--seed", ("-1", "99999999999")),
        ("train", "--gpu", ("-1", "first")),
        ("score", "--limit", ("0", "-1")),
        ("infer", "--alpha", ("7", "-0.1", "nan")),
        ("infer", "--tile", ("0", "-1")),
        ("infer", "--max-pixels", ("0",)),
        ("infer", "--jobs", ("0", "two")),
        ("serve", "--port", ("-1", "65536")),
        ("serve", "--waiting", ("0", "201")),
        ("serve", "--max-bytes", ("0",)),
        ("demo", "--seed", ("-1",)),
        ("plot", "--smooth", ("0", "-1", "2.5")),
        ("nets", "--classes", ("0", "256")),
        ("nets", "--width", ("0",)),
        ("nets", "--seed", ("-1",)),
        ("weights", "--classes", ("0",)),
        ("weights", "--width", ("-1",)),
        ("weights", "--seed", ("-1",)),
        ("data", "--train", ("0",)),
        ("data", "--class-images", ("-1",)),
        ("score", "--gpu", ("-1", "0,-1", "first")),
        ("score", "--jobs", ("0", "two")),
        ("score", "--trimap", ("0", "1,0")),
        ("compare", "--draws", ("0", "10")),
        ("compare", "--seed", ("-1",)),
        ("bound", "--factors", ("0", "8,none")),
        ("submit", "--jobs", ("0",)),
    ],
)
def test_a_number_out_of_range_is_refused(
    command: str, option: str, values: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    main, needed = COMMANDS[command]
    for value in values:
        with pytest.raises(SystemExit) as stop:
            main([*needed, option, value])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert option in said and f"'{value.split(',')[-1]}'" in said and "expected a" in said


@pytest.mark.parametrize("command", ["train", "score", "infer", "serve", "demo"])
def test_a_gpu_that_is_not_there_is_told_in_words_of_the_command(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CAFFE_FALLBACK", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").touch()
    (tmp_path / "run").touch()
    try:
        caffe.set_device(7)
        pytest.skip("there are eight GPUs")
    except RuntimeError:
        main, needed = COMMANDS[command]
    if command in ("infer", "serve"):
        needed = [*needed, "--model", "voc-fcn8s"]
    assert main([*needed, "--gpu", "7"]) == 1
    said = capsys.readouterr().err
    assert "--gpu 7: " in said and "leave out --gpu" in said and "set_" not in said
