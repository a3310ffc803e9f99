"""ncnn on the CPU, in float32: its halves and bfloats off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ncnn
import numpy as np

from ..case import Case, Run
from . import exported


def version() -> str:
    """The library's version."""
    return str(ncnn.__version__)


def prepare(case: Case) -> None:
    """Export the net as TorchScript and convert it."""
    source = exported.torchscript(case)
    shape = ",".join(map(str, case.read("image").shape))
    convert = Path(sys.executable).with_name("pnnx")
    files = [f"ncnnparam={case.file('net.ncnn.param')}", f"ncnnbin={case.file('net.ncnn.bin')}"]
    command = [str(convert), str(source), f"inputshape=[{shape}]", "fp16=0", *files]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=case.folder)


def load(case: Case, task: str, variant: str) -> Run:
    """The converted net; ncnn's arrays have no batch axis."""
    net = ncnn.Net()
    net.opt.num_threads = case.threads
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
        if hasattr(net.opt, f"use_{option}"):  # which of them there are depends on the version
            setattr(net.opt, f"use_{option}", False)
    for load_file, name in ((net.load_param, "net.ncnn.param"), (net.load_model, "net.ncnn.bin")):
        if load_file(str(case.file(name))):
            raise RuntimeError(f"ncnn cannot read {name}: a layer that it does not have?")
    (source,), (target,) = net.input_names(), net.output_names()

    def infer(image: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input(source, ncnn.Mat(image[0]))
            status, output = extractor.extract(target)
            if status:
                raise RuntimeError(f"ncnn's extract ended with status {status}")
            return np.array(output)

    return infer
