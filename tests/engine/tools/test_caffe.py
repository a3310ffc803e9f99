"""``caffe test``, ``time``, ``device_query`` and what all commands share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.__main__ import COMMANDS, TOOLS, main
from caffe._caffe.log import log
from tests.engine.support import cli_case

DEPLOY = """
name: "deploy" input: "data" input_shape { dim: 2 dim: 3 dim: 8 dim: 8 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
layer { name: "best" type: "ArgMax" bottom: "fc" top: "best" }
"""


def run(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m caffe`, as a process."""
    return subprocess.run(
        [sys.executable, "-m", "caffe", *argv], capture_output=True, text=True, env={**os.environ, **env}
    )


def milliseconds(log_text: str, layer: str, pass_: str) -> float:
    return float(re.search(rf"\] +{layer}\t{pass_}: (\S+) ms\.", log_text)[1])


def test_time_runs_every_layer_of_a_net_that_has_no_loss(in_tmp, capsys):
    Path("net.prototxt").write_text(DEPLOY)
    assert main(["time", "-model", "net.prototxt", "-iterations", "2", "-phase", "TEST"]) == 0
    text = capsys.readouterr().err
    layers = ["input", "conv", "relu", "pool", "fc", "prob", "best"]
    passes = [(layer, pass_) for layer in layers for pass_ in ("forward", "backward")]
    assert all(milliseconds(text, *each) >= 0 for each in passes)
    # The convolution's weights have a gradient to compute, whoever wants it.
    assert milliseconds(text, "conv", "backward") > 0
    whole = float(re.search(r"Average Forward-Backward: (\S+) ms", text)[1])
    halves = [float(each) for each in re.findall(r"Average (?:Forward|Backward) pass: (\S+) ms", text)]
    total = float(re.search(r"Total Time: (\S+) ms", text)[1])
    rounding = 1 + 1e-4
    assert sum(milliseconds(text, *each) for each in passes) <= sum(halves) * rounding
    assert sum(halves) <= whole * rounding
    assert total == pytest.approx(2 * whole, rel=1e-4)


def test_test_gives_the_means_that_a_loop_gives(in_tmp, capsys):
    cli_case.bring("test")
    assert main(["test", "-weights=init.caffemodel", "-model=net.prototxt", "-iterations", "3"]) == 0
    text = capsys.readouterr().err
    net = caffe.Net("net.prototxt", caffe.TEST, stages=[""], weights="init.caffemodel")
    losses = [float(net.forward()["loss"]) for _ in range(3)]
    assert float(re.search(r"\] Loss: (\S+)", text)[1]) == pytest.approx(np.mean(losses), rel=1e-5)


def test_level_and_stage_choose_layers(in_tmp, capsys):
    rules = "include { stage: 'a' min_level: 2 }"
    Path("net.prototxt").write_text(DEPLOY.replace('type: "ArgMax"', f'type: "ArgMax" {rules}'))
    arguments = ["time", "-model", "net.prototxt", "-iterations", "1"]
    for extra, present in (([], False), (["-stage", "b,a", "-level", "2"], True), (["-stage=a"], False)):
        assert main([*arguments, *extra]) == 0
        assert ("best\tforward" in capsys.readouterr().err) == present


@pytest.mark.parametrize(("argv", "message"), [
    (["test", "-weights", "w"], "Need a model definition to score"),
    (["test", "-model", "net.prototxt"], "Need model weights to score"),
    (["time"], "Need a model definition to time"),
    (["time", "-model", "net.prototxt", "-phase", "train"], "-phase train: it is TRAIN or TEST"),
    (["time", "-model", "net.prototxt", "-iterations", "0"], "-iterations 0: at least 1"),
    (["time", "-model", "nowhere.prototxt"], "Could not open file nowhere.prototxt"),
    (["time", "-model", "net.prototxt", "-gpu", "one"], "-gpu one: ids such as 0,1"),
    (["time", "-model", "net.prototxt", "-gpu", "0,0"], "-gpu 0,0: a device is named twice"),
    (["train"], "Need a solver definition to train"),
    (["paint"], "Unknown action: paint"),
])  # fmt: skip
def test_what_is_wrong_is_one_fatal_line_and_an_abort(argv, message, in_tmp, capsys):
    Path("net.prototxt").write_text(DEPLOY)
    assert main(argv) == 134
    *_, last = capsys.readouterr().err.splitlines()
    assert re.match(rf"F\d{{4}} \d\d:\d\d:\d\d\.\d{{6}} +\d+ \w+\.py:\d+\] {re.escape(message)}", last)


def test_the_exit_status_is_the_process_s(in_tmp):
    done = run("test", "--modell=x")
    assert (done.returncode, done.stderr) == (1, "ERROR: unknown command line flag 'modell'\n")
    assert run("train", "-solver", "nowhere.prototxt").returncode == 134
    assert run("--version").stdout == f"caffe version 1.0.0\n{caffe.__engine__}\n"


def test_without_one_command_the_usage_is_shown(capsys):
    for argv, status in (([], 0), (["train", "test"], 0), (["-help"], 1)):
        assert main(argv) == status
        shown = capsys.readouterr().out
        assert all(f"  {name} " in shown for name in [*COMMANDS, *TOOLS])


def test_no_tensor_library_is_loaded_to_say_how_it_is_called():
    program = "import sys; from caffe.__main__ import main; main([]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_in_the_usage_can_be_called_and_says_how(tool, capsys):
    try:
        status = main([tool, "--help"])
    except SystemExit as end:  # argparse's way
        status = end.code
    printed = capsys.readouterr()
    assert status in (0, 1) and "usage:" in (printed.out + printed.err)


def test_a_log_file_has_what_stderr_has(in_tmp):
    done = run("device_query", "-log_dir", str(in_tmp))
    assert done.returncode == 0 and "Querying GPUs" in done.stderr
    written = Path("caffe.INFO").read_text()
    assert written.startswith("Log file created at: ") and written.endswith(done.stderr)


@pytest.mark.parametrize("argv", [["-log_dir", "nowhere/at/all"], ["-logtostderr", "-log_dir=."]])
def test_without_a_place_for_it_there_is_no_log_file(argv, in_tmp):
    done = run("device_query", *argv)
    assert done.returncode == 0 and os.listdir() == []


def test_minloglevel_silences(in_tmp, capsys):
    level = log.level
    try:
        assert main(["device_query", "-minloglevel=1"]) == 0
        assert capsys.readouterr().err == ""
    finally:
        log.setLevel(level)


def test_all_gpus_where_there_are_none(in_tmp):
    no_gpu = {"CUDA_VISIBLE_DEVICES": ""}
    done = run("device_query", "-gpu", "all", **no_gpu)
    if "Apple" in done.stderr:
        pytest.skip("Apple's device is there")
    assert done.returncode == 134 and "finds no GPU" in done.stderr
    Path("net.prototxt").write_text(DEPLOY)
    timed = ("time", "-model", "net.prototxt", "-iterations", "1", "-gpu", "all")
    done = run(*timed, CAFFE_FALLBACK="cpu", **no_gpu)
    assert done.returncode == 0 and "running on the CPU" in done.stderr


@pytest.mark.parametrize(
    ("argv", "way_out"),
    [
        ("train -solver solver.prototxt -gpu 0", "leave out -gpu"),
        ("train -solver solver.prototxt -gpu all", "leave out -gpu"),
        ("train -solver wants_gpu.prototxt", "wants_gpu.prototxt: solver_mode: GPU"),
        ("time -model net.prototxt -gpu 0", "leave out -gpu"),
        ("test -model net.prototxt -weights w -gpu 1", "-gpu 1"),
        ("device_query -gpu 0", "-gpu 0"),
        ("extract_features w net.prototxt fc out 1 lmdb GPU 0", "leave that word out"),
        ("classify a.png out.npy --gpu", "--gpu: "),
        ("detect a.csv out.h5 --gpu", "--gpu: "),
    ],
)
def test_without_a_gpu_a_command_speaks_of_its_own_flags(argv, way_out, in_tmp, monkeypatch, capfd):
    """And not of the functions that a program would call."""
    if caffe._caffe.gpu_count():
        pytest.skip("there is a GPU")
    monkeypatch.delenv("CAFFE_FALLBACK", raising=False)
    Path("net.prototxt").write_text(DEPLOY)
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1')
    Path("wants_gpu.prototxt").write_text(Path("solver.prototxt").read_text() + " solver_mode: GPU")
    assert main(argv.split()) == 134
    said = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("F"))
    assert way_out in said and "set_mode" not in said and "set_device" not in said


@pytest.mark.gpu
def test_a_gpu_is_described_and_timed(in_tmp):
    if run("device_query", "-gpu", "0").returncode:
        pytest.skip("no GPU that PyTorch can use")
    described = run("device_query", "-gpu", "all").stderr
    assert "Device id:" in described and "Total global memory:" in described
    # 4096^3 multiply-adds take a GPU milliseconds, and the call that starts them microseconds.
    Path("net.prototxt").write_text(
        'layer { name: "in" type: "DummyData" top: "x" dummy_data_param { shape { dim: 4096 dim: 4096 } } }'
        'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 4096 } }"
        'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
    )
    done = run("time", "-model", "net.prototxt", "-gpu", "0", "-iterations", "10")
    assert done.returncode == 0 and "Use GPU with device ID 0" in done.stderr
    assert milliseconds(done.stderr, "fc", "forward") > 5 * milliseconds(done.stderr, "relu", "forward")
