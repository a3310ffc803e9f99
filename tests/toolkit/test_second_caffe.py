"""The toolkit runs on any package named `caffe`: a BVLC pycaffe on PYTHONPATH comes before our engine.

The second `caffe` is `tests/stand_in`. Every test is a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.__main__ import COMMANDS
from tests.source_tree import ROOT, TOOLKIT

STAND_IN = ROOT / "tests" / "stand_in"


def python(program: str, cwd: Path = ROOT, flags: tuple[str, ...] = ()) -> str:
    """What `program` prints, run in the project's folder with the second caffe on PYTHONPATH."""
    env = {**os.environ, "PYTHONPATH": str(STAND_IN)}
    command = [sys.executable, *flags, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_caffe_on_pythonpath_comes_before_the_installed_engine() -> None:
    found = Path(python("import caffe; print(caffe.__file__)"))
    assert found == STAND_IN / "caffe" / "__init__.py"


@pytest.mark.parametrize("module", [*TOOLKIT, *(f"fcn.commands.{name}" for name in COMMANDS)])
def test_module_imports_the_second_caffe_and_no_torch(module: str) -> None:
    program = f"""
import sys, {module}
import caffe
print(caffe.__file__, 'torch' in sys.modules, any(name.startswith('caffe._caffe') for name in sys.modules))
"""
    assert python(program) == f"{STAND_IN / 'caffe' / '__init__.py'} False False"


def test_nets_are_built_with_the_second_caffe() -> None:
    program = "import nets; print(nets.build('voc-fcn8s', 'deploy'))"
    lines = python(program).splitlines()
    assert lines[0] == "data: Input/0"
    assert lines[-1] == "score: Crop/2"
    assert "fuse_pool4: Eltwise/2" in lines and "fuse_pool3: Eltwise/2" in lines
    assert sum(line.endswith("Deconvolution/1") for line in lines) == 3


def test_surgery_works_on_nets_of_the_second_caffe() -> None:
    program = """
import caffe, numpy as np, surgery
fc = caffe.Net({}, {'fc6': [(4, 2 * 3 * 3), (4,)]})
conv = caffe.Net({}, {'fc6': [(4, 2, 3, 3), (4,)], 'upscore': [(2, 2, 4, 4)]})
fc.params['fc6'][0].data[...] = np.arange(72).reshape(4, 18)
surgery.transplant(conv, fc)
surgery.interp(conv, ['upscore'])
weights, kernels = conv.params['fc6'][0].data, conv.params['upscore'][0].data
print(np.array_equal(weights.ravel(), np.arange(72)), kernels[0].sum())
"""
    assert python(program) == "True 4.0"


def test_scores_are_counted_on_nets_of_the_second_caffe() -> None:
    program = """
import caffe, score
net = caffe.Net({'score': (1, 2, 2, 3), 'label': (1, 1, 2, 3), 'loss': ()}, {})
net.blobs['score'].data[0, 1, :, 0] = 1
net.blobs['label'].data[0, 0, 0] = [1, 255, 0]
hist = score.do_seg_tests(net, 7, None, ['first', 'second'])
print(hist.astype(int).tolist())
"""
    *lines, hist = python(program).splitlines()
    assert hist == "[[6, 2], [0, 2]]"
    assert lines and all("Iteration 7" in line for line in lines)
