"""Mode, device and the other settings of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import caffe


def test_settings_are_the_processs_and_not_the_threads():
    seen = []
    caffe.set_solver_count(3)
    try:
        thread = threading.Thread(
            target=lambda: (seen.append(caffe.solver_count()), caffe.set_solver_rank(2))
        )
        thread.start()
        thread.join()
        assert seen == [3] and caffe.solver_rank() == 2
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)


@pytest.mark.parametrize("fallback", ["", "cpu"])
def test_gpu_mode_without_a_gpu(fallback, tmp_path):
    program = (
        "import caffe\n"
        "try:\n    caffe.set_mode_gpu(); caffe.set_device(0); print('runs')\n"
        "except caffe.DeviceError as error:\n    print('refused', 'CAFFE_FALLBACK=cpu' in str(error))\n"
    )
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "CAFFE_FALLBACK": fallback}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    if "mps" in done.stderr:
        pytest.skip("PyTorch has Apple's device here")
    assert done.stdout.strip() == ("runs" if fallback else "refused True")
    assert ("running on the CPU" in done.stderr) == bool(fallback)
