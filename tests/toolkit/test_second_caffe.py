"""The toolkit runs on any package named `caffe`: a BVLC pycaffe on PYTHONPATH comes before our engine.

The second `caffe` is `tests/stand_in`: as narrow as pycaffe, and it ends the process where a real Caffe does.
Every test is a fresh process, and whole programs are run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
from fcn.__main__ import COMMANDS
from fcn.runs import STATES, Run, read_rows
from fcn.weights import save_random
from tests.source_tree import ROOT, TOOLKIT
from tests.toolkit.conftest import WIDTH

STAND_IN = ROOT / "tests" / "stand_in"
ABORTED = -6


def python(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Python with the second caffe before ours."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(STAND_IN), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    env["CAFFE_ALGORITHMS"] = "reference"  # of our engine, which is behind the stand-in
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd)


def printed(program: str, cwd: Path = ROOT) -> str:
    done = python("-c", program, cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def solve(folder: Path, *arguments: object, status: int = 0) -> str:
    """`solve.py` in a folder that has `data`; what it writes to standard error."""
    common = ["--data", "data", "--width", WIDTH] if "--resume" not in arguments else []
    done = python(ROOT / "solve.py", *arguments, *common, cwd=folder)
    assert done.returncode == status, done.stderr[-3000:]
    return done.stderr


def test_a_caffe_on_pythonpath_comes_before_the_installed_engine() -> None:
    found = Path(printed("import caffe; print(caffe.__file__)"))
    assert found == STAND_IN / "caffe" / "__init__.py"


#: They need `caffe.Layer`, for which the stand-in loads what is behind it.
LAYERS = ("nyud_layers", "siftflow_layers", "pascalcontext_layers")


def test_modules_import_the_second_caffe_and_no_torch() -> None:
    modules = [part for part in TOOLKIT if part not in LAYERS] + [f"fcn.commands.{name}" for name in COMMANDS]
    program = f"""
import importlib, sys
for module in {modules}:
    importlib.import_module(module)
    print(module, [name for name in sys.modules if name == 'torch' or name.startswith('caffe._caffe')])
import caffe
print(caffe.__file__)
"""
    wanted = [*(f"{module} []" for module in modules), str(STAND_IN / "caffe" / "__init__.py")]
    assert printed(program).splitlines() == wanted


def test_the_second_caffe_is_as_strict_as_pycaffe(data: Path) -> None:
    (data.parent / "net.prototxt").write_text(
        'layer { name: "data" type: "Python" top: "data" python_param { module: "layer" layer: "Walks" } }'
    )
    (data.parent / "layer.py").write_text("""
import caffe
class Walks(caffe.Layer):
    def setup(self, bottom, top):
        self.tops = [blob for blob in top]
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        pass
""")
    (data.parent / "bad.prototxt").write_text('layer { name: "conv1_1" type: "Bias" top: "conv1_1" }')
    program = """
import caffe
try:
    caffe.Net('net.prototxt', caffe.TEST)
except TypeError as error:
    print(error, flush=True)
caffe.Net('bad.prototxt', caffe.TEST)
"""
    done = python("-c", program, cwd=data.parent)
    assert done.stdout.startswith("No to_python (by-value) converter")
    assert done.returncode == ABORTED and "Check failed" in done.stderr


def test_the_chain_is_trained_scored_and_used(data: Path, base: Path) -> None:
    work = data.parent
    said = solve(work, "--weights", base, "--iters", 2, "--base-lr", 1e-6, "--snapshot", 1)
    assert "I20" not in said and "Check failed" not in said and "loss" in said
    run = Run(work / "runs/voc-fcn8s")
    assert list(run.snapshots()) == [1, 2] and read_rows(run.scores)[-1]["iteration"] == "2"
    scored = python(ROOT / "score.py", "runs/voc-fcn8s", cwd=work)
    assert scored.returncode == 0, scored.stderr
    assert "voc-fcn8s on data val: 2 images" in scored.stdout and scored.stderr.count("\n") == 1
    seen = python(ROOT / "infer.py", "data/JPEGImages", "--weights", "runs/voc-fcn8s", "-o", "out", cwd=work)
    assert seen.returncode == 0, seen.stderr
    assert len(seen.stdout.splitlines()) == 5 and seen.stderr == ""
    with Image.open(work / "out/3.png") as label:
        assert np.array(label).max() < 3


@pytest.mark.parametrize("option", ["--precision bfloat16", "--checkpoint"])
def test_what_the_second_caffe_cannot_do_is_told(data: Path, base: Path, option: str) -> None:
    said = solve(data.parent, "--weights", base, "--iters", 1, *option.split(), status=1)
    assert option in said and str(STAND_IN) in said and "Traceback" not in said
    assert not (data.parent / "runs").exists()


def test_the_log_is_whole_and_the_tools_read_it(data: Path, base: Path, tmp_path: Path) -> None:
    solve(data.parent, "voc-fcn32s", "--weights", base, "--iters", 2, "--test-every", 0)
    log = data.parent / "runs/voc-fcn32s/train.log"
    lines = log.read_text().splitlines()
    assert any("Initializing net from parameters" in line for line in lines)
    stamped = [line for line in lines if re.match(r"[IWEF]\d", line)]
    assert all(re.match(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.]+:\d+\] ", line) for line in stamped)
    read = subprocess.run(
        [sys.executable, "-m", "caffe", "parse_log", str(log), str(tmp_path)], capture_output=True, text=True
    )
    assert read.returncode == 0, read.stderr
    assert (tmp_path / "train.log.train").read_text().splitlines()[1].startswith("0.0,")


def order(run: Run) -> list[str]:
    """The loss of each step: with dropout off, that of the image in turn."""
    return [row["loss_per_image"] for row in read_rows(run.curves)]


def test_a_resumed_training_reads_on_from_its_own_files(data: Path, tmp_path: Path) -> None:
    """In a renamed folder whose old name is another run by now, and without a third file."""
    program = """
import logging, sys
from dataclasses import replace
from pathlib import Path
import nets, solvers
from fcn.data import TrainingData
from fcn.runs import STATES, Run
from fcn.train import chain, train
from fcn.weights import save_random
steps, folder, resume = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] == ["resume"]
data = TrainingData.own(Path("data"))
row = replace(solvers.recipe("voc-fcn32s"), max_iter=steps, test_every=0, display=1, iter_size=2)
arch = nets.VGG(((4,),) * 5, fc=8, fc_kernel=4, dropout=0.0, overhang=3)
(job,) = chain([row], data, weights=Path("base.caffemodel"), seed=3)
job = replace(job, trunk=arch)
if not Path("base.caffemodel").exists():
    save_random("vgg16", "base.caffemodel", arch=arch)
train(job, Run(folder), Run(folder).newest(STATES) if resume else None)
"""
    work = data.parent
    for i in range(3):
        label = np.full((30, 40 + 10 * (i % 2)), i, np.uint8)  # images are told apart by their loss
        Image.fromarray(label).save(data / f"SegmentationClass/{i}.png")
    (work / "go.py").write_text(program)

    def run(*arguments: object) -> None:
        done = python("go.py", *arguments, cwd=work)
        assert done.returncode == 0, done.stderr[-3000:]

    run(9, "whole")
    run(4, "first")
    (work / "first").rename(work / "second")
    run(1, "first")
    shutil.copyfile(
        work / "first/snapshot/train_iter_1.caffemodel", work / "first/snapshot/train_iter_4.caffemodel"
    )
    run(9, "second", "resume")
    assert order(Run(work / "second")) == order(Run(work / "whole"))
    assert not list((work / "second").glob("resume-*"))


def test_weights_that_do_not_fit_end_no_process(data: Path, base: Path) -> None:
    """Cut off, empty, of another width, of another net: each command says so and ends with status 1."""
    work = data.parent
    solve(work, "voc-fcn32s", "--weights", base, "--iters", 1, "--test-every", 0)
    good = Run(work / "runs/voc-fcn32s").newest()
    assert good is not None
    (work / "cut.caffemodel").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (work / "empty.caffemodel").touch()
    message = caffe.proto.caffe_pb2.NetParameter.FromString(good.read_bytes())
    for layer in message.layer:
        layer.name = f"my_{layer.name}"
    (work / "other.caffemodel").write_bytes(message.SerializeToString())
    save_random("vgg16", work / "wide.caffemodel", arch=nets.VGG16.scaled(0.1))
    program = f"""
import infer, score, solve
net = ["--net", "runs/voc-fcn32s/deploy.prototxt"]
data = ["--data", "data", "--width", "{WIDTH}", "--iters", "1", "--runs", "new"]
for name in ("cut", "empty", "other", "wide"):
    wrong = f"{{name}}.caffemodel"
    print(name, infer.main(["data/JPEGImages/3.jpg", "--weights", wrong, "-o", "out", *net,
                            "--classes", "data/classes.txt"]),
          score.main([wrong, "--data", "data", *net]),
          solve.main(["voc-fcn16s", "--weights", wrong, *data]),
          solve.main(["voc-fcn8s-atonce", "--weights", wrong, *data]))
"""
    done = python("-c", program, cwd=work)
    assert done.stdout.split("\n")[:-1] == [f"{name} 1 1 1 1" for name in ("cut", "empty", "other", "wide")]
    assert done.returncode == 0 and "Check failed" not in done.stderr
    assert done.stderr.count("other.caffemodel does not fit the net: nothing in it for") == 4


def test_a_state_that_does_not_fit_ends_no_process(data: Path, base: Path) -> None:
    work = data.parent
    solve(work, "voc-fcn32s", "--weights", base, "--iters", 2, "--snapshot", 1, "--test-every", 0)
    run = Run(work / "runs/voc-fcn32s")
    first, last = run.snapshots(STATES).values()
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    program = f"""
import solve
print(solve.main(["--resume", "runs/voc-fcn32s", "--iters", "2"]))
other = ["voc-fcn32s", "--data", "data", "--width", "0.1", "--runs", "other", "--test-every", "0"]
print(solve.main([*other, "--iters", "2", "--resume", {str(first)!r}]))
"""
    done = python("-c", program, cwd=work)
    assert done.stdout.split() == ["0", "1"], done.stderr
    assert "train_iter_2.solverstate is passed over" in done.stderr
    assert "continuing from iteration 1" in done.stderr
    assert "train_iter_1.caffemodel does not fit the net" in done.stderr


def test_the_demo_runs_on_it(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from fcn import demo
brief = demo.Setting(train=6, val=3, crops=88, steps=(2, 2, 2, 2), step=2, lead=15)
root = Path(sys.argv[1])
folder = demo.make_dataset(root / "data", 3, brief.train, brief.val, brief.crops)
demo.train(folder, root, brief, 3)
print(*demo.report(folder, root))
"""
    done = python("-c", program, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("FCN-32s FCN-16s FCN-8s")
    assert (tmp_path / "contact-sheet.png").is_file() and (tmp_path / "table.txt").is_file()


def test_surgery_works_on_nets_of_the_second_caffe(tmp_path: Path) -> None:
    shape = "shape { dim: 1 dim: 2 dim: 3 dim: 3 }"
    head = f'layer {{ name: "in" type: "Input" top: "data" input_param {{ {shape} }} }} '
    (tmp_path / "fc.prototxt").write_text(
        head + 'layer { name: "fc6" type: "InnerProduct" bottom: "data" top: "fc6" '
        "inner_product_param { num_output: 4 } }"
    )
    (tmp_path / "conv.prototxt").write_text(
        head + 'layer { name: "fc6" type: "Convolution" bottom: "data" top: "fc6" convolution_param '
        "{ num_output: 4 kernel_size: 3 } } "
        'layer { name: "upscore" type: "Deconvolution" bottom: "data" top: "up" convolution_param '
        "{ num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }"
    )
    program = """
import caffe, numpy as np, surgery
fc, conv = (caffe.Net(f"{name}.prototxt", caffe.TEST) for name in ("fc", "conv"))
fc.params['fc6'][0].data[...] = np.arange(72).reshape(4, 18)
surgery.transplant(conv, fc)
surgery.interp(conv, ['upscore'])
weights, kernels = conv.params['fc6'][0].data, conv.params['upscore'][0].data
print(np.array_equal(weights.ravel(), np.arange(72)), kernels[0].sum())
"""
    assert printed(program, tmp_path) == "True 4.0"
