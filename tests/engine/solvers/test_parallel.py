"""Several solvers, one process each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import caffe

WORKER = """
import sys, caffe
rank, uid = int(sys.argv[1]), sys.argv[2]
caffe.set_solver_count(2); caffe.set_solver_rank(rank); caffe.set_multiprocess(True)
solver = caffe.SGDSolver('solver.prototxt')
solver.net.params['p'][0].data[...] = 5 + rank
nccl = caffe.NCCL(solver, uid); nccl.bcast(); solver.add_callback(nccl)
solver.net.blobs['x'].data[...] = 1 + rank
solver.step(1)
print(float(solver.net.params['p'][0].data[0, 0]))
"""


def test_solvers_average_their_gradients_without_nccl(in_tmp):
    Path("solver.prototxt").write_text(
        """base_lr: 1 lr_policy: "fixed" net_param {
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }
        layer { name: "p" type: "InnerProduct" bottom: "x" top: "y"
                inner_product_param { num_output: 1 bias_term: false } }
        layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 } }"""
    )
    uid, command = caffe.NCCL.new_uid().decode(), [sys.executable, "-c", WORKER]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(caffe.__file__).parents[1])}
    workers = [
        subprocess.Popen([*command, str(rank), uid], stdout=subprocess.PIPE, text=True, env=env)
        for rank in (0, 1)
    ]
    # Both start from solver 0's 5 and step by the mean of the gradients 1 and 2.
    assert [float(worker.communicate()[0]) for worker in workers] == [3.5, 3.5]
