"""The engine against plain eager PyTorch on the same arithmetic: FCN-8s at 500 x 334.

    python benchmarks/bench_fcn.py [--runs 5] [--width 1.0] [--gpu] [--json FILE]

Both sides hold the same weights and see the same image; each run times one, then the other, and the
figures are medians and the median of the paired ratios engine / PyTorch (below 1: the engine is faster).
The peak memory of each side is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

os.environ.setdefault("GLOG_minloglevel", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import caffe  # noqa: E402
import nets  # noqa: E402
from benchmarks.memory import peak_bytes  # noqa: E402
from nets.vgg import VGG16  # noqa: E402

H, W, CLASSES = 334, 500, 21
RATE, MOMENTUM, DECAY = 1e-14, 0.99, 5e-4


def write_nets(folder: Path, width: float) -> tuple[Path, Path]:
    """A deploy net and a solver whose train net reads Input blobs instead of files."""
    arch = VGG16.scaled(width)
    deploy, train = folder / "deploy.prototxt", folder / "train.prototxt"
    deploy.write_text(str(nets.build("voc-fcn8s", "deploy", arch=arch, size=(H, W))))
    proto = nets.build("voc-fcn8s", "train", arch=arch)
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {d}" for d in dims) + " } } }\n"
        for name, dims in (("data", (1, 3, H, W)), ("label", (1, 1, H, W)))
    )  # fmt: skip
    del proto.layer[0]
    train.write_text(inputs + str(proto))
    solver = folder / "solver.prototxt"
    solver.write_text(
        f'train_net: "{train}" lr_policy: "fixed" base_lr: {RATE} momentum: {MOMENTUM} '
        f'weight_decay: {DECAY} max_iter: 1 snapshot_prefix: "{folder}/s"'
    )
    return deploy, solver


def fill(net: caffe.Net) -> None:
    """He noise; bilinear kernels where the net upsamples."""
    import surgery

    stream = np.random.default_rng(0)
    for name, blobs in net.params.items():
        if "up" not in name:
            shape = tuple(blobs[0].shape)
            blobs[0].data[...] = stream.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    surgery.interp(net, [name for name in net.params if "up" in name])


class Eager(torch.nn.Module):
    """FCN-8s as a PyTorch user writes it."""

    def __init__(self, params: dict[str, list[np.ndarray]]) -> None:
        super().__init__()
        for name, arrays in params.items():
            for kind, array in zip("wb", arrays, strict=False):
                value = torch.from_numpy(array.copy())
                self.register_parameter(f"{name}_{kind}", torch.nn.Parameter(value, "up" not in name))
        self.stages = [[f"conv{s}_{i}" for i in range(1, 3 + (s > 2))] for s in range(1, 6)]

    def conv(self, name: str, x: torch.Tensor, pad: int = 0) -> torch.Tensor:
        return F.conv2d(x, getattr(self, f"{name}_w"), getattr(self, f"{name}_b"), padding=pad)

    def up(self, name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        return F.conv_transpose2d(x, getattr(self, f"{name}_w"), stride=stride)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        x, pools, pad = data, [], 100
        for stage in self.stages:
            for name in stage:
                x, pad = F.relu_(self.conv(name, x, pad)), 1
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pools.append(x)
        for name in ("fc6", "fc7"):
            x = F.dropout(F.relu_(self.conv(name, x)), 0.5, self.training)
        x = self.up("upscore2", self.conv("score_fr", x), 2)
        for pool, name, offset, upper, stride in (
            (pools[3], "score_pool4", 5, "upscore_pool4", 2),
            (pools[2], "score_pool3", 9, "upscore8", 8),
        ):
            skip = self.conv(name, pool)
            skip = skip[:, :, offset : offset + x.shape[2], offset : offset + x.shape[3]]
            x = self.up(upper, x + skip, stride)
        return x[:, :, 31 : 31 + data.shape[2], 31 : 31 + data.shape[3]]


def sides(task: str, width: float, folder: Path, only: str = "") -> dict[str, Callable[[], object]]:
    """What to time on each side for `inference` or `training`."""
    deploy, solver_file = write_nets(folder, width)
    image = np.random.default_rng(1).standard_normal((1, 3, H, W)).astype(np.float32) * 60
    label = np.random.default_rng(2).integers(0, CLASSES, (1, 1, H, W)).astype(np.float32)
    found: dict[str, Callable[[], object]] = {}
    if task == "inference":
        net = caffe.Net(str(deploy), caffe.TEST)
        fill(net)
        found["engine"] = lambda: net.forward(data=image)["score"]
    else:
        solver = caffe.SGDSolver(str(solver_file))
        net = solver.net
        fill(net)
        net.blobs["data"].data[...], net.blobs["label"].data[...] = image, label
        found["engine"] = lambda: solver.step(1)
    if only != "engine":
        params = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
        if only == "pytorch":
            found.clear()
            net = None
        device = "cuda" if torch.cuda.is_available() and "--gpu" in sys.argv else "cpu"
        found["pytorch"] = _eager(Eager(params).to(device), task, image, label, device)
    return found


def _eager(
    eager: Eager, task: str, image: np.ndarray, label: np.ndarray, device: str
) -> Callable[[], object]:
    data = torch.from_numpy(image)
    if task == "inference":
        eager.eval()

        def infer() -> object:
            with torch.inference_mode():
                return eager(data.to(device)).cpu()

        return infer
    eager.train()
    target = torch.from_numpy(label[:, 0]).long().to(device)
    decayed = [p for n, p in eager.named_parameters() if p.requires_grad and n.endswith("_w")]
    biases = [p for n, p in eager.named_parameters() if p.requires_grad and n.endswith("_b")]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": DECAY}, {"params": biases, "lr": 2 * RATE}], RATE, MOMENTUM
    )

    def train() -> object:
        optimizer.zero_grad()
        loss = F.cross_entropy(eager(data.to(device)), target, ignore_index=255, reduction="sum")
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def paired(found: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Medians in seconds, and the median of the ratios of paired runs."""
    for call in found.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(runs):
        for name, call in found.items():
            begun = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begun)
    ratios = [a / b for a, b in zip(times["engine"], times["pytorch"], strict=True)]
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {**medians, "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def peak(task: str, side: str, width: float) -> float:
    """Peak resident memory in MiB of a process that runs one side twice."""
    command = [sys.executable, __file__, "--child", task, side, "--width", str(width)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="paired runs per task")
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels of VGG16")
    parser.add_argument("--gpu", action="store_true", help="both sides on the GPU")
    parser.add_argument("--json", help="also write the figures here")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gpu:
        caffe.set_mode_gpu()
    with tempfile.TemporaryDirectory() as name:
        if args.child:
            task, side = args.child
            call = sides(task, args.width, Path(name), side)[side]
            call(), call()
            print(peak_bytes() / 2**20)
            return
        report = {}
        for task in ("inference", "training"):
            found = paired(sides(task, args.width, Path(name)), args.runs)
            found |= {f"{side}_MiB": peak(task, side, args.width) for side in ("engine", "pytorch")}
            report[task] = found
            print(
                f"{task:>9}: engine {found['engine']:.2f} s, PyTorch {found['pytorch']:.2f} s, ratio "
                f"{found['ratio']:.3f} ({found['ratio_min']:.3f} to {found['ratio_max']:.3f}); peak memory "
                f"{found['engine_MiB']:.0f} against {found['pytorch_MiB']:.0f} MiB"
            )
    print(
        f"{args.runs} paired runs, width {args.width}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
