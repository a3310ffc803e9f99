"""ncnn and MNN, made of ONNX by their own programs: `pnnx` and `mnnconvert`."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .graph import Graph
from .needs import need, need_program

Outputs = Callable[[Mapping[str, np.ndarray]], Sequence[np.ndarray]]


def to_ncnn(source: Path, path: Path, net: Graph) -> None:
    """Convert for images of the net's own size: `path` (.param) and beside it the .bin, in float32."""
    how = "pip install ncnn pnnx"
    need("ncnn", f"{path.name}: ncnn", how)
    program = need_program(("pnnx",), f"{path.name}: ncnn", how)
    shapes = ",".join(f"[{','.join(map(str, shape))}]" for shape in net.inputs.values())
    files = [f"ncnnparam={path.absolute()}", f"ncnnbin={path.absolute().with_suffix('.bin')}"]
    with tempfile.TemporaryDirectory() as folder:
        _call([program, str(source), f"inputshape={shapes}", "fp16=0", *files], path, Path(folder))


def load_ncnn(net: Graph, path: Path) -> Outputs:
    """ncnn on the CPU in float32; its arrays have no batch axis."""
    import ncnn

    model = ncnn.Net()
    model.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
        if hasattr(model.opt, f"use_{option}"):  # which of them there are depends on the version
            setattr(model.opt, f"use_{option}", False)
    for read, file in ((model.load_param, path), (model.load_model, path.with_suffix(".bin"))):
        if read(str(file)):
            raise ValueError(
                f"ncnn cannot read {file.name} that was made for it: it lacks a layer of this net"
            )

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        with model.create_extractor() as extractor:
            for name, value in zip(model.input_names(), inputs.values()):
                extractor.input(name, ncnn.Mat(value[0]))
            found = [extractor.extract(name) for name in model.output_names()]
        if any(status for status, _ in found):
            raise ValueError(f"ncnn cannot run {path.name}")
        return [np.array(output)[None] for _, output in found]

    return run


def to_mnn(source: Path, path: Path, net: Graph) -> None:
    """Convert to a model of MNN."""
    how = "pip install MNN"
    need("MNN", f"{path.name}: MNN", how)
    program = need_program(("mnnconvert", "MNNConvert"), f"{path.name}: MNN", how)
    files = ["--modelFile", str(source), "--MNNModel", str(path.absolute())]
    with tempfile.TemporaryDirectory() as folder:
        _call([program, "-f", "ONNX", *files, "--bizCode", "fcn"], path, Path(folder))


def load_mnn(net: Graph, path: Path) -> Outputs:
    """MNN on the CPU, with its precision set high: float32 everywhere."""
    import MNN

    runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high"},))
    model = MNN.nn.load_module_from_file(
        str(path), list(net.inputs), list(net.outputs), runtime_manager=runtime, shape_mutable=False
    )

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        given = []
        for value in inputs.values():
            given.append(MNN.expr.placeholder(list(value.shape), MNN.expr.NCHW, MNN.expr.float))
            given[-1].write(value)
        return [np.array(MNN.expr.convert(x, MNN.expr.NCHW).read()) for x in model.forward(given)]

    return run


def _call(command: list[str], path: Path, folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode or not path.is_file():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise ValueError(
            f"{path.name}: {Path(command[0]).name} failed: {' | '.join(said) or 'it said nothing'}"
        )
